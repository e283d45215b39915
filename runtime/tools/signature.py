"""What a Python function says of itself: its arguments as a JSON schema, and its docstring."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict, get_type_hints, override

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError, with_config
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from runtime.tools.port import ToolFailure

SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):?$", re.MULTILINE
)
SPHINX = re.compile(r"^:param (?:[^:]* )?(\w+):\s*(.+(?:\n[ \t]+.+)*)", re.MULTILINE)
GOOGLE = re.compile(r"^[ \t]+\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.+(?:\n[ \t]{6,}.+)*)", re.MULTILINE)


class Unreadable(Exception):
    """The function cannot be offered to a model; the message says why."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a function.

    Shape:
        schema  JSON schema of the object that a model has to give.
        read    checks such an object and turns its values into what the function's type hints
                name; raises `ToolFailure` with what is wrong.
    """

    schema: dict[str, Any]
    read: Callable[[dict[str, Any]], dict[str, Any]]


class _WithoutTitles(GenerateJsonSchema):
    """Titles only repeat names, and a model pays for each word."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def arguments_of(function: Callable[..., Any]) -> Arguments:
    """The arguments of `function`, from its signature, type hints and docstring.

    Raises:
        Unreadable: an argument has no name to be given by, or a type that JSON cannot give.
    """
    said = documented(function)[1]
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise Unreadable(f"its type hints cannot be read: {error}") from error
    fields = {
        parameter.name: _field(parameter, hints.get(parameter.name, Any), said)
        for parameter in inspect.signature(function).parameters.values()
    }
    try:
        adapter = TypeAdapter[dict[str, Any]](_shape(fields))
        schema = adapter.json_schema(schema_generator=_WithoutTitles)
    except PydanticUserError as error:
        first = str(error).partition("\n")[0]
        raise Unreadable(f"its arguments have no JSON schema: {first}") from error
    schema.pop("title", None)

    def read(given: dict[str, Any]) -> dict[str, Any]:
        try:
            return adapter.validate_python(given)
        except ValidationError as error:
            raise ToolFailure(f"wrong arguments: {_explained(error)}") from error

    return Arguments(schema=schema, read=read)


def _shape(fields: dict[str, Any]) -> Any:
    made = TypedDict("Arguments", fields)  # type: ignore[misc]  # from what the user wrote
    return with_config(ConfigDict(extra="forbid"))(made)


def _explained(error: ValidationError) -> str:
    """Each thing that is wrong, without pydantic's links."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)
    )


def _field(parameter: inspect.Parameter, hint: Any, said: dict[str, str]) -> Any:
    named = {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    if parameter.kind not in named:
        raise Unreadable(f"its argument {parameter} has no name that a model could give")
    extra: dict[str, Any] = {}
    if parameter.default is not parameter.empty:
        extra = _default(parameter.default)
    text = said.get(parameter.name)
    described = Annotated[hint, Field(description=text, json_schema_extra=extra or None)]
    return described if parameter.default is parameter.empty else NotRequired[described]


def _default(value: object) -> dict[str, Any]:
    try:
        return {"default": to_jsonable_python(value)}
    except PydanticSerializationError:
        return {}  # a default that only Python can say needs not be shown


def documented(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring of `function`: what it says first, and what it says of each argument.

    Source:
        The Google form (`Args:`) and the reStructuredText form (`:param name:`).
    """
    text = inspect.getdoc(function) or ""
    found = SPHINX.findall(text) or GOOGLE.findall(_section(text, "Args", "Arguments"))
    arguments = {name: " ".join(said.split()) for name, said in found}
    first = re.split(r"^:(?:param|returns?|raises?)\b", text, maxsplit=1, flags=re.MULTILINE)[0]
    return SECTION.split(first, maxsplit=1)[0].strip(), arguments


def _section(text: str, *names: str) -> str:
    parts = SECTION.split(text)
    headed = zip(parts[1::2], parts[2::2], strict=True)
    return next((body for name, body in headed if name in names), "")
