"""What is said of two schemas, and what of it may break a call that was right before."""

from typing import Any

import pytest

from controller.status.schema_changes import SchemaChange, schema_changes

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
NULL = {"type": "null"}
LONG = "x" * 100


def takes(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def breaks(said: str) -> SchemaChange:
    return SchemaChange(said, is_breaking=True)


def fits(said: str) -> SchemaChange:
    return SchemaChange(said, is_breaking=False)


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def of_item(schema: Any) -> dict[str, Any]:
    """A schema whose argument `a` refers to a definition that refers to itself."""
    item = {"type": "object", "properties": {"b": schema, "next": ref("Item")}}
    return takes(a=ref("Item")) | {"$defs": {"Item": item}}


ARGUMENTS = [
    pytest.param(takes(a=INTEGER), takes(a=INTEGER), (), id="nothing"),
    pytest.param(
        takes("a", a=INTEGER),
        takes("a", "b", a=INTEGER, b=STRING),
        (breaks("argument b is new and required"),),
        id="a required one is added",
    ),
    pytest.param(
        takes(a=INTEGER), takes(a=INTEGER, b=STRING), (fits("argument b is new"),), id="one more"
    ),
    pytest.param(
        takes("b", a=INTEGER, b=STRING),
        takes(a=INTEGER),
        (breaks("argument b was removed"),),
        id="one less",
    ),
    pytest.param(
        takes(a=INTEGER), takes("a", a=INTEGER), (breaks("argument a is required now"),), id="must"
    ),
    pytest.param(
        takes("a", a=INTEGER),
        takes(a=INTEGER),
        (fits("argument a is not required any more"),),
        id="may",
    ),
    pytest.param(
        takes("a", "b", a=INTEGER, b=INTEGER),
        takes("b", "a", a=INTEGER, b=INTEGER),
        (fits("its schema is written in another way"),),
        id="the order says nothing",
    ),
    pytest.param(
        takes() | {"additionalProperties": False},
        takes(),
        (fits("the arguments object allows more than it names"),),
        id="opened",
    ),
    pytest.param(
        takes(),
        takes() | {"additionalProperties": False},
        (breaks("the arguments object allows less beyond what it names"),),
        id="closed",
    ),
    pytest.param(
        {"type": "object", "additionalProperties": STRING},
        takes(b=INTEGER) | {"additionalProperties": STRING},
        (
            fits("argument b is new"),
            breaks("argument b takes integer instead of string"),
        ),
        id="named, and another kind than before",
    ),
    pytest.param(
        {"type": "object", "patternProperties": {"^x": {}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": False},
        (breaks("the arguments object has no patternProperties any more"),),
        id="a pattern allowed some",
    ),
    pytest.param(
        takes(a=takes("b", b=INTEGER)),
        takes(a=takes("b", "c", b=STRING, c=INTEGER)),
        (
            breaks("argument a.b takes string instead of integer"),
            breaks("argument a.c is new and required"),
        ),
        id="within an object",
    ),
    pytest.param(
        takes(a={"type": "array", "items": INTEGER}),
        takes(a={"type": "array", "items": STRING}),
        (breaks("argument a[] takes string instead of integer"),),
        id="within a list",
    ),
    pytest.param(
        of_item(INTEGER),
        of_item(STRING),
        (breaks("argument a.b takes string instead of integer"),),
        id="behind a reference that goes round in a circle",
    ),
    pytest.param(
        takes(a={"allOf": [ref("A")], "default": 1}) | {"$defs": {"A": INTEGER}},
        takes(a={"allOf": [ref("A")], "default": 1}) | {"$defs": {"A": NUMBER}},
        (fits("argument a takes number instead of integer"),),
        id="behind a reference with something beside it",
    ),
    pytest.param(
        takes(a={"not": ref("A")}) | {"$defs": {"A": INTEGER}},
        takes(a={"not": ref("A")}) | {"$defs": {"A": STRING}},
        (breaks("its schema has changed, and it cannot be told how"),),
        id="behind a reference that is not followed",
    ),
    pytest.param(
        takes(a={"$ref": "https://example.org/a.json"}),
        takes(a={"$ref": "https://example.org/b.json"}),
        (breaks("its schema has changed, and it cannot be told how"),),
        id="out of the schema",
    ),
]

VALUES = [
    pytest.param(
        {"enum": [1]},
        {"enum": [True]},
        (breaks("takes boolean instead of integer"),),
        id="one is not true",
    ),
    pytest.param(
        {"type": "array", "contains": STRING, "minContains": 0},
        {"type": "array", "contains": STRING},
        (breaks("has no minContains any more"),),
        id="what may be missing may not",
    ),
    pytest.param(
        {"oneOf": [INTEGER, STRING]},
        {"oneOf": [INTEGER, STRING, NULL]},
        (fits("takes null as well"),),
        id="one more alternative that is apart",
    ),
    pytest.param(
        {"oneOf": [takes("k", k={"const": "a"})]},
        {"oneOf": [takes("k", k={"const": "a"}), takes("k", k={"const": "b"})]},
        (fits("takes object as well"),),
        id="one more alternative with a tag of its own",
    ),
    pytest.param(INTEGER, STRING, (breaks("takes string instead of integer"),), id="another type"),
    pytest.param(INTEGER, NUMBER, (fits("takes number instead of integer"),), id="a wider type"),
    pytest.param(NUMBER, INTEGER, (breaks("takes integer instead of number"),), id="a narrower"),
    pytest.param(INTEGER, {}, (fits("takes anything instead of integer"),), id="no type"),
    pytest.param({}, INTEGER, (breaks("takes integer instead of anything"),), id="a type"),
    pytest.param(INTEGER, {"anyOf": [INTEGER, NULL]}, (fits("takes null as well"),), id="null too"),
    pytest.param(
        {"type": ["integer", "null"]}, INTEGER, (breaks("takes null no more"),), id="null no more"
    ),
    pytest.param(
        {"type": ["integer", "null"]},
        {"anyOf": [INTEGER, NULL]},
        (),
        id="the same in other words",
    ),
    pytest.param(
        {"anyOf": [INTEGER, STRING]},
        {"oneOf": [NUMBER, NULL]},
        (
            fits("takes number instead of integer"),
            breaks("takes string no more"),
            fits("takes null as well"),
        ),
        id="wider here, narrower there",
    ),
    pytest.param(
        {"enum": ["a", "b"]},
        {"enum": ["b", "c"]},
        (breaks('takes "a" no more'), fits('takes "c" as well')),
        id="other values",
    ),
    pytest.param(STRING, {"type": "string", "const": "a"}, (breaks('takes "a" alone'),), id="one"),
    pytest.param(
        {"type": "string", "enum": ["a"]}, STRING, (fits("takes other values as well"),), id="any"
    ),
    pytest.param(
        {"const": 1}, {"enum": [LONG]}, (breaks("takes string instead of integer"),), id="of a type"
    ),
    pytest.param(
        NUMBER | {"minimum": 1, "maximum": 9},
        NUMBER | {"minimum": 0, "maximum": 5},
        (fits("has the minimum 0 instead of 1"), breaks("has the maximum 5 instead of 9")),
        id="bounds",
    ),
    pytest.param(
        STRING | {"maxLength": 5},
        STRING | {"minLength": 1},
        (breaks("has the minLength 1"), fits("has no maxLength any more")),
        id="bounds come and go",
    ),
    pytest.param(
        STRING | {"pattern": "a"},
        STRING | {"pattern": "b"},
        (breaks("has another pattern"),),
        id="what cannot be compared",
    ),
    pytest.param(
        STRING | {"format": "date"}, STRING, (fits("has no format any more"),), id="not asked for"
    ),
    pytest.param(
        STRING | {"description": "A.", "default": "a"},
        STRING | {"description": "B.", "default": LONG},
        (fits("is described in other words"), fits(f'has the default "{LONG[:58]}…')),
        id="words",
    ),
    pytest.param(
        STRING | {"default": "a"}, STRING, (fits("has no default any more"),), id="no default"
    ),
    pytest.param({}, True, (), id="the same without a word"),
    pytest.param({}, False, (breaks("has another not"),), id="nothing at all"),
]


@pytest.mark.parametrize(("before", "after", "changes"), ARGUMENTS)
def test_what_is_said_of_arguments(
    before: dict[str, Any], after: dict[str, Any], changes: tuple[SchemaChange, ...]
) -> None:
    assert schema_changes(before, after) == changes


@pytest.mark.parametrize(("before", "after", "changes"), VALUES)
def test_what_is_said_of_one_argument(
    before: Any, after: Any, changes: tuple[SchemaChange, ...]
) -> None:
    told = tuple(SchemaChange(f"argument a {one.said}", one.is_breaking) for one in changes)

    found = schema_changes(takes(a=before), takes(a=after))

    assert found == (told or (fits("its schema is written in another way"),))


def nested(depth: int, innermost: Any) -> dict[str, Any]:
    schema: dict[str, Any] = takes(a=innermost)
    for _ in range(depth):
        schema = takes(a=schema)
    return schema


HOSTILE = [
    pytest.param(
        takes(a={"oneOf": [INTEGER, STRING]}),
        takes(a={"oneOf": [INTEGER, NUMBER, STRING]}),
        id="alternatives of which some values fit two",
    ),
    pytest.param(nested(2000, INTEGER), nested(2000, STRING), id="nested too deep"),
    pytest.param(
        takes(**{f"a{number}": INTEGER for number in range(10_000)}),
        takes(**{f"a{number}": {"type": "number"} for number in range(10_000)}),
        id="too many arguments",
    ),
    pytest.param(
        takes(a={"anyOf": [{"const": number} for number in range(100)]}),
        takes(a={"anyOf": [{"const": number} for number in range(101)]}),
        id="too many alternatives",
    ),
    pytest.param(
        takes(a=ref("A")) | {"$defs": {"A": ref("A")}},
        takes(a=ref("A"), b=INTEGER) | {"$defs": {"A": ref("A")}},
        id="a reference to itself",
    ),
    pytest.param(
        takes(a=ref("A")) | {"$defs": {"A": {"anyOf": [ref("A")]}}},
        takes(a=ref("A"), b=INTEGER) | {"$defs": {"A": {"anyOf": [ref("A")]}}},
        id="a choice of itself",
    ),
    pytest.param(
        takes(a={"anyOf": [INTEGER], "type": "string"}),
        takes(a={"anyOf": [STRING], "type": "string"}),
        id="asked for twice",
    ),
]


@pytest.mark.parametrize(("before", "after"), HOSTILE)
def test_what_cannot_be_told_is_taken_for_breaking(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = schema_changes(before, after)

    assert found == (breaks("its schema has changed, and it cannot be told how"),)
