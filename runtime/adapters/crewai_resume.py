"""The answers of models in one run of CrewAI, as JSON.

A crew that is begun again finds the answers for the tasks that are done, and for the turns of the
one that was cut off; so these go by without a model. CrewAI's own checkpoints hold the whole crew,
with the keys of its models in clear.

Source:
    CrewAI 1.15, `BaseLLM.call` and what the providers give.
"""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from openai.types.chat import ChatCompletionMessageFunctionToolCall as ToolCall
from pydantic import BaseModel

from runtime.adapters.progress import Json
from runtime.adapters.recorded import question

VERSION: Final = version("crewai")


def asked(
    call: Callable[..., Any], model: Any, *args: Any, **kwargs: Any
) -> tuple[str, type[BaseModel] | None] | None:
    """What names a question to a model, and the class that its answer is to have.

    None if the model is to call functions by itself: what these have done is not the model's word.
    """
    given = inspect.signature(call).bind(model, *args, **kwargs).arguments
    if given.get("available_functions"):
        return None
    kind = given.get("response_model")
    schema = kind.model_json_schema() if kind is not None else None
    said = (given["messages"], given.get("tools"), schema)
    return question(VERSION, model.model, *said), kind


def written(answer: Any, kind: type[BaseModel] | None) -> Json | None:
    """An answer as JSON; None if it is nothing that `read` could give back."""
    match answer:
        case str():
            return {"text": answer}
        case BaseModel() if type(answer) is kind:
            return {"object": answer.model_dump(mode="json")}
        case [*calls] if all(isinstance(one, ToolCall) for one in calls):
            return {"calls": [one.model_dump(mode="json") for one in calls]}
        case [*calls] if all(isinstance(one, dict) for one in calls):
            return {"dictionaries": calls}
        case _:
            return None


def read(said: Json, kind: type[BaseModel] | None) -> Any:
    """The answer that `written` was given."""
    if "text" in said:
        return said["text"]
    if "dictionaries" in said:
        return said["dictionaries"]
    if "object" in said and kind is not None:
        return kind.model_validate(said["object"])
    return [ToolCall.model_validate(one) for one in said["calls"]]
