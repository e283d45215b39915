"""What a model is told about a Python function."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from runtime.tools.port import ToolFailure
from runtime.tools.signature import Unreadable, arguments_of, documented


class Place(BaseModel):
    city: str


def add(a: int, b: int = 2) -> int:
    """Add two numbers.

    They may be negative.

    Args:
        a: the first
        b: the second,
            which may be left out

    Returns:
        their sum
    """
    return a + b


def sphinx(a: int) -> int:
    """Add one.

    :param a: a number
    :returns: the next one
    """
    return a + 1


def bare(a, b="x"):  # type: ignore[no-untyped-def]  # users write such functions
    return a, b


def rich(
    day: date, place: Place, unit: Literal["C", "F"], count: Annotated[int, Field(gt=0)] = 1
) -> None:
    pass


def shadowing(schema: str, model_config: str, self: int) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "said", "arguments"),
    [
        pytest.param(
            add,
            "Add two numbers.\n\nThey may be negative.",
            {"a": "the first", "b": "the second, which may be left out"},
            id="google",
        ),
        pytest.param(sphinx, "Add one.", {"a": "a number"}, id="sphinx"),
        pytest.param(bare, "", {}, id="nothing said"),
    ],
)
def test_a_docstring_describes_function_and_arguments(
    function: Callable[..., Any], said: str, arguments: dict[str, str]
) -> None:
    assert documented(function) == (said, arguments)


@pytest.mark.parametrize(
    ("function", "schema"),
    [
        pytest.param(
            add,
            {
                "type": "object",
                "properties": {
                    "a": {"type": "integer", "description": "the first"},
                    "b": {
                        "type": "integer",
                        "description": "the second, which may be left out",
                        "default": 2,
                    },
                },
                "required": ["a"],
                "additionalProperties": False,
            },
            id="described, with a default",
        ),
        pytest.param(
            bare,
            {
                "type": "object",
                "properties": {"a": {}, "b": {"default": "x"}},
                "required": ["a"],
                "additionalProperties": False,
            },
            id="without type hints",
        ),
        pytest.param(
            shadowing,
            {
                "type": "object",
                "properties": {
                    "schema": {"type": "string"},
                    "model_config": {"type": "string"},
                    "self": {"type": "integer"},
                },
                "required": ["schema", "model_config", "self"],
                "additionalProperties": False,
            },
            id="names that pydantic uses itself",
        ),
    ],
)
def test_a_signature_becomes_a_schema(function: Callable[..., Any], schema: dict[str, Any]) -> None:
    assert arguments_of(function).schema == schema


def test_rich_types_become_a_schema_and_values() -> None:
    arguments = arguments_of(rich)
    assert arguments.schema["properties"]["day"] == {"type": "string", "format": "date"}
    assert arguments.schema["properties"]["unit"]["enum"] == ["C", "F"]
    read = arguments.read({"day": "2026-11-22", "place": {"city": "Turin"}, "unit": "C"})
    assert read == {"day": date(2026, 11, 22), "place": Place(city="Turin"), "unit": "C"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "wrong arguments: a: Field required"),
        ({"a": "one"}, "wrong arguments: a: Input should be a valid integer"),
        ({"a": 1, "c": 1}, "wrong arguments: c: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ToolFailure, match=f"^{sentence}"):
        arguments_of(add).read(given)


class Opaque:
    pass


def many(*numbers: int) -> None:
    pass


def anything(**given: int) -> None:
    pass


def unnamed(a: int, /) -> None:
    pass


def opaque(thing: Opaque) -> None:
    pass


def unknown(thing: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821  # as users do
    pass


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (many, "its argument \\*numbers: int has no name"),
        (anything, "its argument \\*\\*given: int has no name"),
        (unnamed, "its argument a: int has no name"),
        (opaque, "its arguments have no JSON schema: .*Opaque"),
        (unknown, "its type hints cannot be read: name 'Nowhere' is not defined"),
    ],
)
def test_what_a_model_cannot_give_is_refused(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        arguments_of(function)
