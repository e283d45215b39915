"""Schemas that others wrote may be unusable; that is told, and nothing else goes wrong."""

from typing import Any

import pytest

from runtime.tools.errors import BadSpec
from runtime.tools.port import ToolFailure
from runtime.tools.schema import Schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "nothing"}, "x is no JSON schema: 'nothing' is not valid under any of"),
        ({"properties": {"a": {"pattern": r"\p{L}"}}}, r"x is no JSON schema: '\\p{L}' is not a"),
        ({"type": "array"}, "x must be the schema of an object, not of 'array'"),
    ],
)
def test_what_is_no_schema_of_arguments_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSpec) as caught:
        Schema(schema, field="x")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("of_a", "said"),
    [
        ({"type": "integer"}, "wrong arguments: a: 'b' is not of type 'integer'"),
        ({"$ref": "http://127.0.0.1:1/a"}, "the tool's schema cannot be used: Unresolvable"),
    ],
)
def test_what_does_not_fit_is_a_sentence(of_a: dict[str, Any], said: str) -> None:
    schema = Schema({"properties": {"a": of_a}}, field="x")
    with pytest.raises(ToolFailure) as caught:
        schema.check({"a": "b"})
    assert str(caught.value).startswith(said)
