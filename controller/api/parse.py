"""The door: what a user wrote becomes one of the kinds, or a sentence that names the field."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.api.agent import Agent
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import API_VERSION, GROUP, Kind
from controller.api.resource import Envelope, Resource
from controller.api.schema import RULE_BROKEN, Fields, shown
from controller.api.stack import Stack
from controller.api.tool import Tool

MODEL_BY_KIND: Final[Mapping[Kind, type[Resource]]] = MappingProxyType(
    {
        Kind.STACK: Stack,
        Kind.AGENT: Agent,
        Kind.TOOL: Tool,
        Kind.IDENTITY_POLICY: IdentityPolicy,
    }
)


NEARLY: Final = 0.8
MOST_TOLD: Final = 4
"""How many further mistakes are named beside the first."""


class InvalidSpec(ValueError):
    """What a user wrote breaks the schema.

    Shape:
        field    path in the words of the CRD, "spec.tools[0].toolRef.name"; "" for the whole.
        message  what is wrong with it and what would be right, without a full stop.
    """

    def __init__(self, field: str, message: str) -> None:
        is_named = not field or message.startswith(f"{field} ")
        super().__init__(message if is_named else f"{field}: {message}")
        self.field = field
        self.message = message


def parse[E: Envelope](model: type[E], body: Mapping[str, Any]) -> E:
    """Read an object as `model`; unknown fields are ignored, a null is the same as nothing.

    Args:
        model: Agent, Tool, Stack or IdentityPolicy; or `Envelope`, which any object passes that
            came from an API server, whatever its spec.
        body: the object as Kubernetes holds it, camelCase.

    Raises:
        InvalidSpec: a field is missing or has a value the API server would refuse too.
    """
    try:
        return model.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(error) from error


def model_of(body: Mapping[str, Any]) -> type[Resource] | None:
    """The model that reads this object; None when it is none of ours.

    Raises:
        InvalidSpec: our group, but a kind or a version that does not exist.
    """
    api_version, kind = body.get("apiVersion"), body.get("kind")
    if not str(api_version).startswith(f"{GROUP}/"):
        return None
    if api_version != API_VERSION:
        raise InvalidSpec("apiVersion", f"must be {API_VERSION}, not {shown(api_version)}")
    try:
        return MODEL_BY_KIND[Kind(str(kind))]
    except ValueError as error:
        message = f"must be one of {', '.join(Kind)}, not {shown(kind)}"
        raise InvalidSpec("kind", message) from error


def unknown_fields(resource: Resource, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths below `spec` that `resource` was read without, because nothing has these names.

    kubectl refuses them; whoever reads files without an API server should do the same.
    """
    return tuple(_unknown(dict(resource)["spec"], body["spec"], "spec"))


def _unknown(known: object, given: Any, path: str) -> Iterator[str]:
    if isinstance(known, tuple):
        for place, (entry, value) in enumerate(zip(known, given, strict=True)):
            yield from _unknown(entry, value, f"{path}[{place}]")
    if not isinstance(known, Fields):
        return
    value_by_alias = {
        field.alias: value
        for field, (_, value) in zip(type(known).model_fields.values(), known, strict=True)
    }
    for name, value in given.items():
        if name not in value_by_alias:
            yield f"{path}.{name}"
        elif value is not None:
            yield from _unknown(value_by_alias[name], value, f"{path}.{name}")


def _invalid(error: ValidationError) -> InvalidSpec:
    first, *rest = error.errors(include_url=False)
    told = [_sentence(first), *(f"{_path(one)}: {_sentence(one)}" for one in rest[:MOST_TOLD])]
    left = f"; and {len(rest) - MOST_TOLD} more" if len(rest) > MOST_TOLD else ""
    return InvalidSpec(_path(first), f"{'; '.join(told)}{left}")


def _path(error: ErrorDetails) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    below = error["ctx"]["field"] if error["type"] == RULE_BROKEN else ""
    dot = "." if below and not below.startswith("[") else ""
    return f"{path}{dot}{below}".removeprefix(".")


def _sentence(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    given = shown(error["input"])
    match error["type"]:
        case "missing":
            return f"is required{_meant(error)}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {given}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {given}"
        case "string_too_short":
            return f"must have at least {_counted(context['min_length'], 'character')}"
        case "string_too_long":
            return f"must have at most {_counted(context['max_length'], 'character')}"
        case "too_short":
            return f"must have at least {_counted(context['min_length'], 'entry', 'entries')}"
        case "too_long":
            return f"must have at most {_counted(context['max_length'], 'entry', 'entries')}"
        case "enum" | "literal_error":
            several = "one of " if " or " in context["expected"] else ""
            return f"must be {several}{context['expected']}, not {given}"
        case "int_type":
            return f"must be an integer, not {given}"
        case "bool_type":
            return f"must be true or false, not {given}"
        case "string_type":
            return f"must be a string, not {given}"
        case "tuple_type":
            return f"must be a list, not {given}"
        case "dict_type" | "model_type":
            return f"must be an object, not {given}"
        case _:
            return error["msg"]


def _meant(error: ErrorDetails) -> str:
    """A field beside the missing one whose name is nearly the same; pydantic gives them all."""
    beside = error["input"] if isinstance(error["input"], Mapping) else {}
    near = get_close_matches(str(error["loc"][-1]), map(str, beside), 1, NEARLY)
    return f"; {near[0]} stands there, and is no field" if near else ""


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
