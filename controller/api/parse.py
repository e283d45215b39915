"""The door: what a user wrote becomes one of the kinds, or a sentence that names the field."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.api.agent import Agent
from controller.api.fields import WORDS_BY_PATTERN
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import Kind
from controller.api.resource import Envelope, Resource
from controller.api.schema import RULE_BROKEN
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


LONGEST_SHOWN: Final = 60
"""Characters of a wrong value that an error repeats."""


class InvalidSpec(ValueError):
    """What a user wrote breaks the schema.

    Shape:
        field    path in the words of the CRD, "spec.tools[0].toolRef.name"; "" for the whole.
        message  what is wrong with it and what would be right, without a full stop.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
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


def _invalid(error: ValidationError) -> InvalidSpec:
    first, *rest = error.errors(include_url=False)
    more = f" (and {len(rest)} more)" if rest else ""
    return InvalidSpec(_path(first), f"{_sentence(first)}{more}")


def _path(error: ErrorDetails) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    below = error["ctx"]["field"] if error["type"] == RULE_BROKEN else ""
    dot = "." if below and not below.startswith("[") else ""
    return f"{path}{dot}{below}".removeprefix(".")


def _sentence(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    shown = _shown(error["input"])
    match error["type"]:
        case "missing":
            return "is required"
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            return f"must be {WORDS_BY_PATTERN.get(pattern, f'of the form {pattern}')}, not {shown}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, not {shown}"
        case "less_than_equal":
            return f"must be at most {context['le']}, not {shown}"
        case "string_too_short":
            return f"must have at least {context['min_length']} characters"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_short":
            return f"must have at least {context['min_length']} entries"
        case "too_long":
            return f"must have at most {context['max_length']} entries"
        case "enum" | "literal_error":
            return f"must be one of {context['expected']}, not {shown}"
        case "int_type":
            return f"must be an integer, not {shown}"
        case "bool_type":
            return f"must be true or false, not {shown}"
        case "string_type":
            return f"must be a string, not {shown}"
        case "tuple_type":
            return f"must be a list, not {shown}"
        case "dict_type" | "model_type":
            return f"must be an object, not {shown}"
        case _:
            return error["msg"]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
