"""What models, tools and tasks of one run of CrewAI came to, as JSON.

A crew that is begun again finds the tasks that are done, and of the one that was cut off the
answers of its models and the results of its tools. CrewAI's own checkpoints hold the whole crew,
with the keys of its models in clear.

Source:
    CrewAI 1.15, `BaseLLM.call` and what the providers give, `BaseTool.run`, `TaskOutput`.
"""

import contextlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from crewai import Task
from crewai.tasks.task_output import TaskOutput
from crewai.tools.tool_failure import ToolFailure
from openai.types.chat import ChatCompletionMessageFunctionToolCall as ToolCall
from pydantic import BaseModel, ValidationError

from runtime.adapters.progress import Json
from runtime.adapters.recorded import Codec, Piece, as_json

VERSION: Final = version("crewai")


def asked(call: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Piece | None:
    """The piece that a question to a model is.

    None if the model is to call functions by itself: what these have done is not the model's word;
    or if it is asked with what nobody but itself knows.
    """
    try:
        given = inspect.signature(call).bind(model, *args, **kwargs).arguments
    except TypeError:
        return None
    if given.get("available_functions"):
        return None
    kind: type[BaseModel] | None = given.get("response_model")

    def named() -> tuple[Any, ...]:
        schema = kind.model_json_schema() if kind is not None else None
        return VERSION, model.model, given["messages"], given.get("tools"), schema

    return Piece(
        asked=named,
        result=Codec(lambda answer: _written(answer, kind), lambda said: _read(said, kind)),
        is_question=True,
        is_last=lambda answer: not isinstance(answer, list),
    )


def _written(answer: Any, kind: type[BaseModel] | None) -> Json:
    match answer:
        case str():
            return {"text": answer}
        case BaseModel() if type(answer) is kind:
            return {"object": _same(answer, type(answer))}
        case [*calls] if all(isinstance(one, ToolCall) for one in calls):
            return {"calls": [_same(one, ToolCall) for one in calls]}
        case [*calls] if all(isinstance(one, dict) for one in calls):
            return {"dictionaries": calls}
        case _:
            raise TypeError(f"a model's {type(answer).__qualname__} is nothing that JSON knows")


def _read(said: Json, kind: type[BaseModel] | None) -> Any:
    if "text" in said:
        return said["text"]
    if "dictionaries" in said:
        return said["dictionaries"]
    if "object" in said and kind is not None:
        return kind.model_validate(said["object"])
    return [ToolCall.model_validate(one) for one in said["calls"]]


def written_result(result: Any, kind: type[BaseModel] | None) -> Json:
    """What a tool gives as JSON; `kind` is the class that it has declared for it, if it has.

    Raises:
        TypeError: JSON would make something else of it.
    """
    if type(result) is ToolFailure:
        return {"failure": as_json(result.model_dump(mode="json"))}
    if kind is not None and type(result) is kind:
        return {"object": _same(result, kind)}
    return {"value": as_json(result)}


def read_result(said: Json, kind: type[BaseModel] | None) -> Any:
    """The result that `written_result` was given."""
    if "failure" in said:
        return ToolFailure.model_validate(said["failure"])
    if "object" in said and kind is not None:
        return kind.model_validate(said["object"])
    return said["value"]


def written_output(task: Task, output: TaskOutput) -> Json:
    """What a task came to as JSON.

    Raises:
        TypeError: JSON would make something else of it.
    """
    said = output.model_dump(mode="json", exclude={"pydantic"})
    if (found := output.pydantic) is not None:
        if type(found) is not _kind(task):
            raise TypeError(f"a task's {type(found).__qualname__} cannot be kept")
        said["pydantic"] = _same(found, type(found))
    if read_output(task, said) != output:
        raise TypeError(f'what the task "{task.description}" came to cannot be kept')
    return said


def read_output(task: Task, said: Json) -> TaskOutput:
    """The output that `written_output` was given.

    Raises:
        TypeError: it held an object of a class that is not the task's any more.
    """
    if (made := said.get("pydantic")) is not None:
        if (kind := _kind(task)) is None:
            raise TypeError(f'the task "{task.description}" gives no objects any more')
        made = kind.model_validate(made)
    return TaskOutput.model_validate(said | {"pydantic": made})


def _kind(task: Task) -> type[BaseModel] | None:
    """The class of what a task gives as an object."""
    kind: type[BaseModel] | None = task.output_pydantic or task.response_model
    return kind


def _same(thing: BaseModel, kind: type[BaseModel]) -> Json:
    """It by the names of its fields, or by their aliases if it is read by these alone."""
    for by_alias in (False, True):
        said = thing.model_dump(mode="json", by_alias=by_alias, round_trip=True)
        with contextlib.suppress(ValidationError):
            if kind.model_validate(said) == thing:
                return said
    raise TypeError(f"JSON would make another {kind.__qualname__} of it")
