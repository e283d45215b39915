import random
from collections.abc import Mapping

import pytest
from model_samples import (
    ADD,
    CALCULATOR,
    CLOCK,
    DIVIDE,
    FORECAST,
    MULTIPLY,
    RESEARCHER,
    SQUARE,
    SUBTRACT,
    TOTAL,
    TRANSLATE,
    WEATHER,
    tool,
)
from stand_in.plan import MOST_STEPS, Ref, batches, plan
from stand_in.request import Tool

ALL = (ADD, SUBTRACT, MULTIPLY, DIVIDE, WEATHER, RESEARCHER, CLOCK)
type Made = list[tuple[str, Mapping[str, object]]]


def steps(prompt: str, *tools: Tool) -> Made:
    return [(step.tool.name, step.arguments) for step in plan(prompt, tools).steps]


def result(step: int) -> Ref:
    return Ref(step, numeric=True)


@pytest.mark.parametrize(
    "template",
    [
        "What is {a} + {b}?",
        "what is {a}+{b}",
        "Compute {a} plus {b}, please.",
        "Add {a} and {b}.",
        "Please add {a} to {b}!",
        "The sum of {a} and {b}",
        "I have {a} and {b}. What is their sum?",
        "With {a} and {b}, what is the total?",
        "add b={b}, a={a}",
        "Adding: a is {a} and b is {b}",
    ],
)
def test_a_sum_is_read_however_it_is_said(template: str, rng: random.Random) -> None:
    a, b = rng.randint(0, 10**6), rng.randint(-(10**6), 10**6)

    assert steps(template.format(a=a, b=b), *ALL) == [("add", {"a": a, "b": b})]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("{p} - {q}", [("subtract", "pq")], id="minus"),
        pytest.param("subtract {p} from {q}", [("subtract", "qp")], id="from turns them round"),
        pytest.param("{p} times {q}", [("multiply", "pq")], id="times"),
        pytest.param("{p} / {q}", [("divide", "pq")], id="divided"),
        pytest.param("the product of {p} and {q}", [("multiply", "pq")], id="product"),
    ],
)
def test_other_signs(template: str, expected: list[tuple[str, str]], rng: random.Random) -> None:
    said = {"p": round(rng.uniform(1, 99), 3), "q": round(rng.uniform(-99, -1), 2)}

    made = steps(template.format(**said), *ALL)

    assert [(name, list(given.values())) for name, given in made] == [
        (name, [said[letter] for letter in letters]) for name, letters in expected
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        pytest.param(
            "2 + 3 + 4",
            [("add", {"a": 2, "b": 3}), ("add", {"a": result(0), "b": 4})],
            id="a chain",
        ),
        pytest.param(
            "The sum of 2, 3 and 4",
            [("add", {"a": 2, "b": 3}), ("add", {"a": result(0), "b": 4})],
            id="a chain in words",
        ),
        pytest.param(
            "1 + 2 * 3",
            [("multiply", {"x": 2, "y": 3}), ("add", {"a": 1, "b": result(0)})],
            id="precedence",
        ),
        pytest.param(
            "(1 + 2) * 3",
            [("add", {"a": 1, "b": 2}), ("multiply", {"x": result(0), "y": 3})],
            id="brackets",
        ),
        pytest.param(
            "Add 2 and 3, then multiply the result by 4.",
            [("add", {"a": 2, "b": 3}), ("multiply", {"x": result(0), "y": 4})],
            id="then, with the result",
        ),
        pytest.param(
            "Multiply 2 by 3 and then add 4.",
            [("multiply", {"x": 2, "y": 3}), ("add", {"a": result(0), "b": 4})],
            id="then, the result understood",
        ),
        pytest.param(
            "Add 2 and 3. Subtract 4 from the result.",
            [("add", {"a": 2, "b": 3}), ("subtract", {"a": result(0), "b": 4})],
            id="from the result",
        ),
        pytest.param(
            "Add 2 and 3. Then the result times 4",
            [("add", {"a": 2, "b": 3}), ("multiply", {"x": result(0), "y": 4})],
            id="the result in an expression",
        ),
        pytest.param(
            "2+3 and 4+5",
            [("add", {"a": 2, "b": 3}), ("add", {"a": 4, "b": 5})],
            id="two expressions",
        ),
        pytest.param(
            "Add 2 and 3 and multiply 4 and 5",
            [("add", {"a": 2, "b": 3}), ("multiply", {"x": 4, "y": 5})],
            id="two clauses",
        ),
        pytest.param(
            "What is the weather in Paris and Rome, and what is 2 plus 3?",
            [
                ("get_weather", {"city": "Paris"}),
                ("get_weather", {"city": "Rome"}),
                ("add", {"a": 2, "b": 3}),
            ],
            id="two values and another tool",
        ),
        pytest.param(
            "Ask the researcher to add 2 and 3.",
            [("ask_researcher", {"input": "add 2 and 3"})],
            id="what is delegated is not done here",
        ),
        pytest.param("What time is it?", [("get_time", {})], id="a tool without parameters"),
        pytest.param("7 % 2 or 2 ** 3", [], id="signs without a tool"),
        pytest.param("Hello, who are you?", [], id="nothing to call"),
        pytest.param("It is 5 - and so on", [], id="a dash"),
        pytest.param("", [], id="nothing said"),
    ],
)
def test_what_is_asked(prompt: str, expected: Made) -> None:
    assert steps(prompt, *ALL) == expected


@pytest.mark.parametrize(
    ("prompt", "tools", "expected"),
    [
        pytest.param("2+3+4", TOTAL, [("total", {"numbers": [2, 3, 4]})], id="a list"),
        pytest.param(
            "What is (2+3)*4?", CALCULATOR, [("calculator", {"expression": "(2+3)*4"})], id="a text"
        ),
        pytest.param(
            "Square 3 and 4", SQUARE, [("square", {"x": 3}), ("square", {"x": 4})], id="one each"
        ),
        pytest.param(
            "The weather in New York?", WEATHER, [("get_weather", {"city": "New York"})], id="words"
        ),
        pytest.param(
            "In Paris, how is the weather?", WEATHER, [("get_weather", {"city": "Paris"})],
            id="words before",
        ),
        pytest.param(
            'Weather of "a" and "b"?', WEATHER,
            [("get_weather", {"city": "a"}), ("get_weather", {"city": "b"})],
            id="a call for each quotation",
        ),
        pytest.param(
            "forecast for 3 days in Paris", FORECAST, [("forecast", {"city": "Paris", "days": 3})],
            id="numbers are no words",
        ),
        pytest.param(
            "Translate 'good day' to French", TRANSLATE,
            [("translate", {"text": "good day", "language": "French"})],
            id="a quotation, then words",
        ),
        pytest.param(
            "What is the capital city of France?",
            tool("lookup", "Finds the capital city of a country.", of={"type": "string"}),
            [("lookup", {"of": "France"})],
            id="chosen by two words of the description",
        ),
        pytest.param("4 + 5 and 4 / 2", ADD, [("add", {"a": 4, "b": 5})], id="what it can do"),
        pytest.param("7 - 2", ADD, [], id="another sign"),
        pytest.param("Add 2.5 and 3", ADD, [], id="no integer"),
        pytest.param("Add 2.0 and 3", ADD, [("add", {"a": 2, "b": 3})], id="a whole number"),
    ],
)  # fmt: skip
def test_forms_of_tools(prompt: str, tools: Tool, expected: Made) -> None:
    assert steps(prompt, tools) == expected


def test_a_text_result_goes_on_as_text() -> None:
    made = steps("Get the weather in Paris, then translate it to French", WEATHER, TRANSLATE)

    assert made[1] == ("translate", {"text": Ref(0, numeric=False), "language": "French"})


@pytest.mark.parametrize(
    ("prompt", "name", "missing"),
    [
        pytest.param("Add something up", "add", ("a", "b"), id="everything is missing"),
        pytest.param("Add 3", "add", ("b",), id="one is missing"),
        pytest.param("How is the weather?", "get_weather", ("city",), id="words are missing"),
    ],
)
def test_a_tool_that_is_meant_but_not_told_enough(
    prompt: str, name: str, missing: tuple[str, ...]
) -> None:
    made = plan(prompt, ALL)

    assert (made.steps, made.tool and made.tool.name, made.missing) == ([], name, missing)


def test_names_choose_before_descriptions_and_the_specific_before_the_general() -> None:
    sums = tool("arithmetic_sum", "", a={"type": "integer"}, b={"type": "integer"})
    other = tool("other", "Add, too.", a={"type": "integer"}, b={"type": "integer"})

    assert steps("2 + 3", other, sums) == [("arithmetic_sum", {"a": 2, "b": 3})]
    assert steps("2 + 3", other) == [("other", {"a": 2, "b": 3})]
    assert steps("6 / 3", sums) == []


def test_batches_hold_what_can_be_made_at_once() -> None:
    made = plan("2*3 + 4*5", ALL).steps

    assert batches(made, parallel=True) == [[0, 1], [2]]
    assert batches(made, parallel=False) == [[0], [1], [2]]
    assert batches([], parallel=True) == []


@pytest.mark.parametrize("hostile", ["(", "1+", "add ", "2, ", "a=", "'", "it + ", "add 1 and "])
def test_no_prompt_costs_more_than_some_steps(hostile: str) -> None:
    assert len(plan(hostile * 100_000, (*ALL, TRANSLATE, TOTAL)).steps) <= MOST_STEPS


def test_a_reference_that_leads_nowhere_is_an_error() -> None:
    broken = Tool("add", "", {"type": "object", "properties": {"a": {"$ref": "#/$defs/No"}}})

    with pytest.raises(LookupError, match="No"):
        plan("add 1", (broken,))
