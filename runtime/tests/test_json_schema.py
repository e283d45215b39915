"""Schemas of clients: what is refused at once, what is found out, and what nobody can prolong."""

import itertools
import time
from typing import Any

import pytest

from runtime.json_schema import BadSchema, ForeignSchema

POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "next": {"$ref": "#/$defs/point"}},
    "required": ["x"],
    "additionalProperties": False,
}
POINTS = {"$ref": "#/$defs/point", "$defs": {"point": POINT}}
ELSEWHERE = {
    "properties": {"a": {"$ref": "https://example.org/inner"}},
    "$defs": {
        "inner": {
            "$id": "https://example.org/inner",
            "$ref": "#/$defs/text",
            "$defs": {"text": {"type": "string"}},
        }
    },
}
DRAFT_7 = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {"text": {"type": "string"}},
    "properties": {"a": {"$ref": "#/definitions/text"}},
}
NEVER = [{"type": "null"}] * 1900
MOMENT_SECONDS = 10.0  # on a machine that does other things, too


def nested(levels: int) -> dict[str, Any]:
    """A schema of a few hundred bytes whose check would never end."""
    names = [f"level{number}" for number in range(levels)]
    parts: dict[str, Any] = {
        name: {"allOf": [{"$ref": f"#/$defs/{inner}"}] * 2}
        for name, inner in itertools.pairwise(names)
    }
    return {"$ref": "#/$defs/level0", "$defs": parts | {names[-1]: {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        pytest.param({"type": "nothing"}, "'nothing' is not valid under any of", id="no type"),
        pytest.param({"required": "a"}, "'a' is not of type 'array'", id="no list"),
        pytest.param({"$ref": "#/$defs/a"}, "its [$]ref '#/[$]defs/a' is nowhere", id="nowhere"),
        pytest.param(
            {"items": {"not": {"$ref": "file:///etc/passwd"}}}, "is nowhere in it", id="leads out"
        ),
        pytest.param({"anyOf": [{}] * 2000}, "more than 2000 objects", id="too large"),
        pytest.param(
            {"properties": {"a": {"patternProperties": {"(a+)+$": {}}}}},
            "patternProperties are not supported",
            id="patterns of names",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSchema, match=said):
        ForeignSchema(schema)


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        pytest.param(POINTS, {"x": 1, "next": {"x": 2}}, None, id="it fits"),
        pytest.param(
            POINTS,
            {"x": 1, "next": {"x": "2"}},
            "next.x: '2' is not of type 'integer'",
            id="a value within",
        ),
        pytest.param(POINTS, {}, "'x' is a required property", id="the whole"),
        pytest.param(
            POINTS,
            {"x": 1, "y": 2},
            "Additional properties are not allowed ('y' was unexpected)",
            id="too much",
        ),
        pytest.param(
            POINTS,
            {"x": "1", "next": {"x": "2"}},
            "x: '1' is not of type 'integer'; next.x: '2' is not of type 'integer'",
            id="several",
        ),
        pytest.param(
            {"items": {"type": "null"}},
            list(range(9)),
            "; ".join(f"{one}: {one} is not of type 'null'" for one in range(4)),
            id="the first of many",
        ),
        pytest.param(
            {"allOf": [{"type": "null"}, {"type": "null"}]},
            5,
            "5 is not of type 'null'",
            id="the same from two parts",
        ),
        pytest.param(ELSEWHERE, {"a": "b"}, None, id="a part with an address"),
        pytest.param(ELSEWHERE, {"a": 5}, "a: 5 is not of type 'string'", id="within that"),
        pytest.param(DRAFT_7, {"a": 5}, "a: 5 is not of type 'string'", id="another draft"),
        pytest.param(
            {"properties": {"$ref": {"type": "string"}}}, {"$ref": "a"}, None, id="no reference"
        ),
        pytest.param({"pattern": "^(a+)+$"}, "a" * 99 + "b", None, id="patterns are not matched"),
    ],
)
def test_what_does_not_fit(schema: dict[str, Any], value: Any, fault: str | None) -> None:
    assert ForeignSchema(schema).fault(value) == fault


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        pytest.param(nested(60), "30000 steps to check", id="it never ends"),
        pytest.param(
            {"items": {"not": {"anyOf": NEVER}}}, "30000 steps to check", id="each of many"
        ),
        pytest.param({"$ref": "#"}, "in a circle", id="a circle"),
    ],
)
def test_nobody_is_kept_busy(schema: dict[str, Any], said: str) -> None:
    used = ForeignSchema(schema)
    for _ in range(2):
        before = time.process_time()
        with pytest.raises(BadSchema, match=said):
            used.fault([5] * 1000)
        assert time.process_time() - before < MOMENT_SECONDS
