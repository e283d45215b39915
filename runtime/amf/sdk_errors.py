"""What the server raises, for who tells clients of it; beside `sdk` the one door to its packages.

Source:
    llama-stack 0.7.3, `core/exceptions`, `core/routers/inference.py`.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from llama_stack.core.exceptions.mapping import EXCEPTION_MAP
from llama_stack.core.exceptions.translation import translate_exception
from llama_stack.core.routers.inference import (
    OpenAIChatCompletionToolChoiceOptionParam,
    OpenAIChatCompletionToolParam,
)
from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
    Api,
    ModelNotFoundError,
)
from llama_stack_api.common.errors import (  # type: ignore[import-untyped]  # as above
    LlamaStackError,
)
from pydantic import TypeAdapter, ValidationError

from runtime.amf.errors import BadRequest

EXPECTED: Final[tuple[type[Exception], ...]] = (LlamaStackError, *EXCEPTION_MAP)
"""What providers raise to refuse something; whatever else they raise is a fault."""
ModelNotFound: Final[type[Exception]] = ModelNotFoundError
NO_MODEL: Final = re.compile(r"Model '(.*?)' not found\.")
MODELS: Final = re.compile(r"llama_stack_api\..*\bmodels")


def told_of(error: Exception) -> tuple[HTTPStatus, str]:
    """The HTTP status and the sentence with which the server tells of an error."""
    told = translate_exception(error)
    return HTTPStatus(told.status_code), str(told.detail)


def model_not_found(error: Exception) -> str | None:
    """The model that the server has looked for in vain, None if `error` says something else."""
    told = NO_MODEL.match(str(error)) if isinstance(error, ModelNotFoundError) else None
    return None if told is None else told[1]


def is_of_a_model(error: Exception) -> bool:
    """Whether a model of the server has raised this, in reading a body that it did not expect."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    module = "" if at is None else str(at.tb_frame.f_globals.get("__name__", ""))
    return MODELS.fullmatch(module) is not None


def name_fields_of_chats(server: Any) -> None:
    """Let a chat be refused by the field that the server looks into after it has let it in."""
    router = server.stack.impls[Api.inference]
    ask = router.openai_chat_completion

    async def asked(params: Any) -> Any:
        try:
            return await ask(params)
        except ValidationError as error:
            check_tools(params)
            raise error from None

    router.openai_chat_completion = asked


def check_tools(params: Any) -> None:
    """Refuse tools of a chat that are none.

    Raises:
        BadRequest: `param` names the field.
    """
    if params.tool_choice is not None:
        _check("tool_choice", OpenAIChatCompletionToolChoiceOptionParam, params.tool_choice)
    for number, tool in enumerate(params.tools or ()):
        _check(f"tools[{number}]", OpenAIChatCompletionToolParam, tool)


def _check(field: str, kind: Any, value: Any) -> None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        what = error.errors(include_url=False)[0]["msg"]
        raise BadRequest(f"{field} is not as it has to be: {what}.", param=field) from error
