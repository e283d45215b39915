"""The door: what a user wrote becomes one of the kinds, or a sentence that names the field."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from controller.api.agent import Agent
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import API_VERSION, GROUP, Kind
from controller.api.resource import Envelope, Resource
from controller.api.schema import RULE_BROKEN, shown
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


UNKNOWN: Final = "extra_forbidden"
"""The pydantic error type of a field that is none."""
NEARLY: Final = 0.8
"""How alike two names are, of 1, for one to be taken for the other."""
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
        raise _invalid(model, error.errors(include_url=False)) from error


def parse_strictly[E: Resource](model: type[E], body: Mapping[str, Any]) -> E:
    """Read an object as `parse` does, but refuse unknown fields of its spec, as kubectl does.

    All that is wrong is told together, so that no mistake hides another one.

    Raises:
        InvalidSpec: as from `parse`; or a field below `spec` is none of the schema.
    """
    try:
        model.model_validate(body, by_alias=True, by_name=False, extra="forbid")
    except ValidationError as error:
        # What stands beside the spec is Kubernetes' own.
        found = [
            one
            for one in error.errors(include_url=False)
            if one["type"] != UNKNOWN or one["loc"][0] == "spec"
        ]
        if found:
            raise _invalid(model, found) from error
    return parse(model, body)


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
        message = f"must be one of {', '.join(Kind)}, not {shown(kind)}{did_you_mean(kind, Kind)}"
        raise InvalidSpec("kind", message) from error


def _invalid(model: type[Envelope], found: Sequence[ErrorDetails]) -> InvalidSpec:
    meant = {(*one["loc"][:-1], _beside(one)) for one in found if one["type"] == "missing"}
    first, *rest = [one for one in found if one["type"] != UNKNOWN or one["loc"] not in meant]
    told = [
        _sentence(model, first),
        *(f"{_path(one)}: {_sentence(model, one)}" for one in rest[:MOST_TOLD]),
    ]
    left = f"; and {len(rest) - MOST_TOLD} more" if len(rest) > MOST_TOLD else ""
    return InvalidSpec(_path(first), f"{'; '.join(told)}{left}")


def _path(error: ErrorDetails) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    below = error["ctx"]["field"] if error["type"] == RULE_BROKEN else ""
    dot = "." if below and not below.startswith("[") else ""
    return f"{path}{dot}{below}".removeprefix(".")


def _sentence(model: type[Envelope], error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    given = shown(error["input"])
    match error["type"]:
        case "missing":
            beside = _beside(error)
            return (
                f"is required; {beside} stands there, and is no field" if beside else "is required"
            )
        case "extra_forbidden":
            name, known = str(error["loc"][-1]), _names_at(model, error["loc"][:-1])
            return f"there is no such field{did_you_mean(name, known)}"
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
            meant = did_you_mean(error["input"], re.findall(r"'([^']*)'", context["expected"]))
            return f"must be {several}{context['expected']}, not {given}{meant}"
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


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """The end of a sentence that names which of `known` is nearly `given`; "" if none is."""
    near = _nearest(given, known)
    return f"; did you mean {near}?" if near else ""


def _beside(error: ErrorDetails) -> str:
    """A field beside the missing one whose name is nearly the same; pydantic gives them all."""
    beside = error["input"] if isinstance(error["input"], Mapping) else {}
    return _nearest(error["loc"][-1], map(str, beside))


def _nearest(given: object, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(str(given).lower(), by_lower, 1, NEARLY)
    return by_lower[near[0]] if near else ""


def _names_at(model: type[BaseModel], place: Iterable[int | str]) -> Iterable[str]:
    """The fields that there are at a place, in the words of the CRD."""
    for step in place:
        field = _by_alias(model).get(str(step))
        # An entry of a list or of a map has the fields that the whole is declared with.
        model = model if field is None else next(_models(field.annotation), model)
    return _by_alias(model)


def _by_alias(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
