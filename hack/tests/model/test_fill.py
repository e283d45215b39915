import random

import pytest
from model_samples import INTEGER, NUMBER, STRING
from stand_in.arithmetic import Back
from stand_in.fill import fill_answer, fill_calls
from stand_in.reading import read
from stand_in.stock import Clause

type Schema = dict[str, object]
EITHER_NUMBER = {"anyOf": [INTEGER, NUMBER]}
EITHER = {"anyOf": [STRING, INTEGER]}


def closed(required: list[str] | None = None, /, **properties: object) -> Schema:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names}


def clause(text: str) -> Clause:
    return Clause(read(text), text)


@pytest.mark.parametrize(
    ("schema", "text", "arguments", "missing"),
    [
        pytest.param(closed(a=INTEGER, b=NUMBER), "7 -1.5", {"a": 7, "b": 1.5}, (), id="in order"),
        pytest.param(
            closed(a=INTEGER, s=STRING), "'x' 7", {"a": 7, "s": "x"}, (), id="each by its type"
        ),
        pytest.param(
            closed(a=INTEGER, b=INTEGER), "b=1, 2", {"a": 2, "b": 1}, (), id="named ones first"
        ),
        pytest.param(
            closed(first_name=STRING, n=INTEGER),
            "first_name: Ada King, n = 3",
            {"first_name": "Ada King", "n": 3},
            (),
            id="several words by a name",
        ),
        pytest.param(
            closed(["a", "b"], a=INTEGER, b=INTEGER, c=INTEGER), "1 2 3", {"a": 1, "b": 2}, (),
            id="optional ones are left",
        ),
        pytest.param(
            closed(["a"], a=INTEGER, b=INTEGER), "1, b: 2", {"a": 1, "b": 2}, (), id="unless named"
        ),
        pytest.param(
            closed([], unit={"type": "string", "enum": ["C", "F"]}),
            "in f please", {"unit": "F"}, (),
            id="or a value of an enumeration",
        ),
        pytest.param(
            closed(a={"anyOf": [{"type": "null"}, INTEGER]}), "5", {"a": 5}, (), id="a union"
        ),
        pytest.param(
            closed(a={"type": ["null", "number"]}), "5.5", {"a": 5.5}, (), id="a list of types"
        ),
        pytest.param(
            closed(a=EITHER_NUMBER, b=EITHER_NUMBER), "2.5 4", {"a": 2.5, "b": 4}, (),
            id="an integer or a number",
        ),
        pytest.param(
            closed(a={"oneOf": [INTEGER, NUMBER]}), "2.5", {"a": 2.5}, (), id="one of both"
        ),
        pytest.param(closed(a={"type": ["integer", "number"]}), "2.5", {"a": 2.5}, (), id="types"),
        pytest.param(
            closed(a={"type": ["integer", "null"]}), "2.5", {}, ("a",), id="null is no number"
        ),
        pytest.param(closed(a=EITHER), "7", {"a": 7}, (), id="text or number: a number"),
        pytest.param(closed(a=EITHER), "in Oslo", {"a": "Oslo"}, (), id="text or number: a text"),
        pytest.param(closed(a=EITHER), "a: Oslo", {"a": "Oslo"}, (), id="a text by its name"),
        pytest.param(closed(a=EITHER), "a = 2.5", {"a": "2.5"}, (), id="no integer but a text"),
        pytest.param(
            closed(a={"anyOf": [{"type": "boolean"}, INTEGER]}), "5", {"a": 5}, (),
            id="a boolean that is not said",
        ),
        pytest.param(
            closed(a={"anyOf": [{"const": "low"}, {"const": "high"}]}), "high", {"a": "high"}, (),
            id="the constant that is said",
        ),
        pytest.param(
            closed(a={"anyOf": [closed(x=INTEGER, on={"type": "boolean"}), closed(y=INTEGER)]}),
            "5", {"a": {"y": 5}}, (),
            id="the object that is complete",
        ),
        pytest.param(
            closed(n={"type": "array", "items": EITHER}), "1, 2", {"n": [1, 2]}, (),
            id="a list of either",
        ),
        pytest.param(
            closed(n={"type": "array", "items": {"anyOf": [{"type": "boolean"}, INTEGER]}}),
            "yes", {"n": [True]}, (),
            id="a list that would not end",
        ),
        pytest.param(closed(a={"const": 3}), "5", {"a": 3}, (), id="a constant"),
        pytest.param(closed(on={"type": "boolean"}), "turn it off", {"on": False}, (), id="no"),
        pytest.param(closed(on={"type": "boolean"}), "yes", {"on": True}, (), id="yes"),
        pytest.param(closed(on={"type": "boolean"}), "perhaps", {}, ("on",), id="neither"),
        pytest.param(
            closed(n={"type": "array", "items": INTEGER}), "1, 2", {"n": [1, 2]}, (), id="a list"
        ),
        pytest.param(
            closed(at=closed(x=NUMBER, y=NUMBER)), "go to 1 2", {"at": {"x": 1, "y": 2}}, (),
            id="an object within",
        ),
        pytest.param(closed(any={}), "42", {"any": 42}, (), id="any value"),
        pytest.param(closed(a=INTEGER, b=STRING), "", {}, ("a", "b"), id="nothing is said"),
        pytest.param(
            {"properties": {"a": INTEGER, "b": {"type": "integer", "default": 1}}},
            "4", {"a": 4}, (),
            id="without a list, those with no default are required",
        ),
    ],
)  # fmt: skip
def test_arguments(
    schema: Schema, text: str, arguments: dict[str, object], missing: tuple[str, ...]
) -> None:
    (filled,) = fill_calls(schema, clause(text), back=False)

    assert (filled.arguments, filled.missing) == (arguments, missing)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        pytest.param("4", [Back(), 4], id="understood, it stands first"),
        pytest.param("4 from the result", [4, Back()], id="said, it stands where it is said"),
        pytest.param("4 and 5", [4, 5], id="not needed"),
    ],
)
def test_the_last_result_fills_a_gap(text: str, arguments: list[object]) -> None:
    (filled,) = fill_calls(closed(a=NUMBER, b=NUMBER), clause(text), back=True)

    assert list(filled.arguments.values()) == arguments


def test_each_value_has_a_call_of_its_own(rng: random.Random) -> None:
    numbers = [rng.randint(0, 99) for _ in range(rng.randint(2, 9))]

    made = fill_calls(closed(x=INTEGER), clause(" ".join(map(str, numbers))), back=False)

    assert [filled.arguments for filled in made] == [{"x": number} for number in numbers]


def test_references_are_followed() -> None:
    schema = closed(p={"$ref": "#/$defs/Point"}) | {"$defs": {"Point": closed(x=NUMBER)}}

    (filled,) = fill_calls(schema, clause("3"), back=False)

    assert filled.arguments == {"p": {"x": 3}}


ENDLESS: Schema = closed(value=INTEGER, next={"$ref": "#/$defs/N"}) | {
    "$defs": {"N": closed(value=INTEGER, next={"$ref": "#/$defs/N"})}
}


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        pytest.param(closed(a=NUMBER, b=NUMBER), "1", {"a": 1, "b": 0}, id="zeros"),
        pytest.param(closed(s=STRING), "to the", {"s": "said"}, id="the text for a string"),
        pytest.param(
            closed(a={"type": "integer", "default": 8}), "", {"a": 8}, id="a default"
        ),
        pytest.param(closed(a={"type": "integer", "minimum": 3}), "", {"a": 3}, id="a minimum"),
        pytest.param(closed(e={"enum": ["x", "y"]}), "", {"e": "x"}, id="the first of a list"),
        pytest.param(
            closed(n={"type": "array", "items": STRING, "minItems": 2}), "",
            {"n": ["said", "said"]},
            id="as many items as must be",
        ),
        pytest.param(
            closed(n={"type": "array", "items": closed(x=INTEGER)}), "4", {"n": [{"x": 4}]},
            id="a list of objects has one",
        ),
        pytest.param({"type": "array", "items": INTEGER}, "1 2", [1, 2], id="a list itself"),
        pytest.param({"type": "boolean"}, "", False, id="a boolean itself"),
        pytest.param({"anyOf": [INTEGER, NUMBER]}, "", 0, id="a union of numbers"),
        pytest.param(
            closed(a={"anyOf": [closed(x=INTEGER), STRING]}), "", {"a": {"x": 0}},
            id="the first branch that is no text",
        ),
    ],
)  # fmt: skip
def test_answers_are_never_short_of_a_value(schema: Schema, text: str, expected: object) -> None:
    assert fill_answer(schema, "said", clause(text)) == expected


def test_a_schema_without_an_end_ends() -> None:
    made = fill_answer(ENDLESS, "said", clause("1 2"))

    assert isinstance(made, dict)
    assert (made["value"], made["next"]["value"]) == (1, 2)
