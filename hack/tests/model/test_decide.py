import json
import random
from collections.abc import Mapping

import pytest
from model_samples import (
    ADD,
    FINAL,
    FORECAST,
    INTEGER,
    MULTIPLY,
    NUMBER,
    RESEARCHER,
    STRING,
    WEATHER,
    answered,
    ask,
    assistant,
    calls,
    say,
    system,
    tool,
    user,
)
from stand_in.decide import ECHOED_WORDS, decide
from stand_in.request import BadRequest, Call, Message, Request, Tool

TOLD = tool("final_answer", "Ends the work.", total=INTEGER)


def test_a_tool_is_called_and_its_result_is_the_answer(rng: random.Random) -> None:
    a, b, told = (str(rng.randint(-(10**9), 10**9)) for _ in range(3))
    question = user(f"What is {a} + {b}?")

    first = ask(question, tools=(ADD,))

    assert calls(first) == [("add", {"a": int(a), "b": int(b)})]
    # What the tool says counts, were it wrong.
    assert say(question, *answered(first, told), tools=(ADD,)) == f"The answer is {told}."


def test_the_tool_of_the_samples_adds_what_is_no_integer() -> None:
    """Its parameters are `int | float`."""
    either = {"anyOf": [INTEGER, NUMBER]}
    add = tool("add", "Add two numbers.", a=either, b=either)

    assert calls(ask(user("What is 2.5 + 4?"), tools=(add,))) == [("add", {"a": 2.5, "b": 4})]

    chained = user("Add 1.5 and 2, then add 4 to the result.")
    first = ask(chained, tools=(add,))
    then = ask(chained, *answered(first, "3.5"), tools=(add,))
    assert calls(first) == [("add", {"a": 1.5, "b": 2})]
    assert calls(then) == [("add", {"a": 4, "b": 3.5})]


def test_independent_calls_are_made_at_once_and_told_in_order(rng: random.Random) -> None:
    first, second = rng.randint(0, 999), rng.randint(0, 999)
    question = user(f"{first}+1 and {second}+2")

    both = ask(question, tools=(ADD,))

    assert calls(both) == [("add", {"a": first, "b": 1}), ("add", {"a": second, "b": 2})]
    text = say(question, *answered(both, str(first + 1), str(second + 2)), tools=(ADD,))
    assert text == f"The answers are {first + 1} and {second + 2}."


def test_without_parallel_calls_they_follow_one_another() -> None:
    question = user("2+3 and 4+5")

    first = ask(question, tools=(ADD,), parallel=False)
    made = answered(first, "5")
    second = ask(question, *made, tools=(ADD,), parallel=False)

    assert (calls(first), calls(second)) == (
        [("add", {"a": 2, "b": 3})],
        [("add", {"a": 4, "b": 5})],
    )
    assert say(question, *made, *answered(second, "9", turn=1), tools=(ADD,)) == (
        "The answers are 5 and 9."
    )


def test_a_chain_reads_each_result_and_tells_only_the_last(rng: random.Random) -> None:
    numbers = [rng.randint(-999, 999) for _ in range(rng.randint(3, 6))]
    messages = [user(" + ".join(map(str, numbers)))]
    so_far = numbers[0]

    for i, number in enumerate(numbers[1:]):
        step = ask(*messages, tools=(ADD,))
        assert calls(step) == [("add", {"a": so_far, "b": number})]
        so_far += number
        messages += answered(step, f'{{"result": {so_far}}}', turn=i)

    assert say(*messages, tools=(ADD,)) == f'The answer is {{"result": {so_far}}}.'


def test_answers_are_told_in_the_order_of_the_questions() -> None:
    question = user("2*3 + 1 and 7+8")
    tools = (ADD, MULTIPLY)
    both = ask(question, tools=tools)
    made = answered(both, "6", "15")
    rest = ask(question, *made, tools=tools)

    text = say(question, *made, *answered(rest, "7", turn=1), tools=tools)

    assert (calls(rest), text) == ([("add", {"a": 6, "b": 1})], "The answers are 7 and 15.")


def test_results_that_nobody_asked_for_are_told_too() -> None:
    call = Call("c", "other", "{}")
    made = (Message("assistant", "", (call,)), Message("tool", "yes", (), "c"))

    assert say(user("Hello"), *made, tools=(ADD,)) == "The answer is yes."


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        pytest.param("5", "The answer is 5.", id="a number"),
        pytest.param('"sunny"', "The answer is sunny.", id="a JSON string"),
        pytest.param("It rains.", "The answer is It rains.", id="a sentence"),
        pytest.param("5 by MCP", "The answer is 5 by MCP.", id="a number in a text"),
        pytest.param(
            "Error: no such city", "The tool add failed: Error: no such city.", id="an error"
        ),
        pytest.param(
            '{"error": "down"}', 'The tool add failed: {"error": "down"}.', id="an error object"
        ),
        pytest.param('{"error": null}', 'The answer is {"error": null}.', id="no error"),
    ],
)
def test_results_are_quoted(result: str, answer: str) -> None:
    question = user("2+3")

    assert say(question, *answered(ask(question, tools=(ADD,)), result), tools=(ADD,)) == answer


def test_what_failed_is_told_and_what_needed_it_is_not_called() -> None:
    question = user("2+3+4 and 5+6+7")
    both = ask(question, tools=(ADD,))
    made = answered(both, "Error: broken", "11")

    rest = ask(question, *made, tools=(ADD,))

    assert calls(rest) == [("add", {"a": 11, "b": 7})]
    assert say(question, *made, *answered(rest, "18", turn=1), tools=(ADD,)) == (
        "The answer is 18. The tool add failed: Error: broken. So I did not call add."
    )


def test_a_result_that_is_no_number_ends_a_chain() -> None:
    question = user("2+3+4")

    made = answered(ask(question, tools=(ADD,)), "many")

    assert say(question, *made, tools=(ADD,)) == "The answer is many. So I did not call add."


def test_only_the_last_turn_counts() -> None:
    first = user("2+3")
    made = answered(ask(first, tools=(ADD,)), "5")
    history = (first, *made, assistant("The answer is 5."))

    assert calls(ask(*history, user("4+5"), tools=(ADD,))) == [("add", {"a": 4, "b": 5})]
    assert say(*history, user("Thanks"), tools=(ADD,)) == "You said: Thanks"


def test_without_a_fitting_tool_the_prompt_comes_back(rng: random.Random) -> None:
    word = f"w{rng.randrange(10**9)}"

    assert say(user(f" Hello {word}! "), tools=(ADD, WEATHER)) == f"You said: Hello {word}!"
    assert say(system("You help.")) == "You said nothing."


def test_a_long_prompt_comes_back_in_part(rng: random.Random) -> None:
    words = [str(rng.randrange(10**6)) for _ in range(ECHOED_WORDS + rng.randint(1, 1000))]

    assert say(user(" ".join(words))) == (
        f"You said: {' '.join(words[:ECHOED_WORDS])} … ({len(words)} words)"
    )


def test_a_tool_that_is_told_too_little_asks_back() -> None:
    assert say(user("Add 3"), tools=(ADD,)) == "To call add I need b (integer)."


def test_the_system_prompt_shapes_the_answer() -> None:
    question = user("2+3")
    made = answered(ask(question, tools=(ADD,)), "5")
    manner = system('Answer in one word and begin with "Ahoy".')

    assert say(manner, question, *made, tools=(ADD,)) == "Ahoy 5"


@pytest.mark.parametrize(
    ("tools", "prompt", "expected"),
    [
        pytest.param(
            (ADD, FINAL), "2+3", [("add", {"a": 2, "b": 3})], id="what is asked for comes first"
        ),
        pytest.param(
            (RESEARCHER, FINAL), "Hi", [("final_answer", {"response": "You said: Hi"})],
            id="the answer goes to the tool that ends the work",
        ),
        pytest.param(
            (ADD,), "Only 7", [("add", {"a": 7, "b": 0})], id="what is not said is filled up"
        ),
        pytest.param((tool("ping"),), "Hi", [("ping", {})], id="nothing to fill"),
    ],
)  # fmt: skip
def test_a_call_can_be_forced(
    tools: tuple[Tool, ...], prompt: str, expected: list[tuple[str, object]]
) -> None:
    request = Request(model="m", messages=(user(prompt),), tools=tools, must_call=True)

    assert calls(decide(request)) == expected


def test_a_forced_call_ends_the_work_with_the_result() -> None:
    question = user("2+3")
    made = answered(ask(question, tools=(ADD, FINAL)), "5")
    request = Request(model="m", messages=(question, *made), tools=(ADD, FINAL), must_call=True)

    assert calls(decide(request)) == [("final_answer", {"response": "The answer is 5."})]


@pytest.mark.parametrize("tools", [(ADD, TOLD), (TOLD, ADD)])
def test_a_closing_tool_takes_what_is_known_in_its_own_form(tools: tuple[Tool, ...]) -> None:
    question = user("What is 2 + 3?")
    results = answered(ask(question, tools=(ADD,)), "5")
    made = Request(model="m", messages=(question, *results), tools=tools, must_call=True)
    hello = Request(model="m", messages=(user("Hi"),), tools=tools, must_call=True)

    assert calls(decide(made)) == [("final_answer", {"total": 5})]
    assert calls(decide(hello)) == [("final_answer", {"total": 0})]


def structured(schema: Mapping[str, object], *messages: Message) -> object:
    answer = decide(Request(model="m", messages=messages, schema=schema))
    return json.loads(answer.text)  # type: ignore[union-attr]  # no tools, so it is words


def test_a_form_that_instructions_ask_for_is_filled() -> None:
    wanted = system('Answer with one JSON document. Its JSON schema is: {"type": "integer"}')
    assert say(wanted, user("Say the number 7.")) == "7"


def test_a_form_that_a_user_asks_for_is_filled_from_the_rest() -> None:
    asked = user('Take 7.\n\nIts JSON schema is: {"type": "integer", "maximum": 9}\n\nGo on.')
    assert say(asked) == "7"


def test_a_schema_is_filled_from_the_prompt(rng: random.Random) -> None:
    name, age = rng.choice(["Ada", "Grace", "Alan"]), rng.randint(1, 99)
    properties = {"name": STRING, "age": {"type": "integer"}, "mood": {"enum": ["sad", "glad"]}}
    schema = {"type": "object", "properties": properties, "required": [*properties]}

    made = structured(schema, user(f"name: {name}, she is {age} and glad."))

    assert made == {"name": name, "age": age, "mood": "glad"}


def test_a_schema_is_filled_from_results() -> None:
    question = user("2+3")
    made = answered(ask(question, tools=(ADD,)), "7")
    schema = {"type": "object", "properties": {"sum": NUMBER}, "required": ["sum"]}

    assert structured(schema, question, *made) == {"sum": 7}
    assert structured({}, question, *made) == {"answer": "The answer is 7."}


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("tools", {"tools": (Tool("add", "", {"properties": {"a": {"$ref": "#/$defs/X"}}}),)}),
        ("response_format", {"schema": {"properties": {"a": {"$ref": "#/properties/a"}}}}),
    ],
)
def test_schemas_that_lead_nowhere_name_their_field(
    field: str, request_: dict[str, object]
) -> None:
    with pytest.raises(BadRequest) as refused:
        decide(Request(model="m", messages=(user("add 1"),), **request_))  # type: ignore[arg-type]  # a table of fields

    assert refused.value.param == field


def test_the_same_request_has_the_same_answer(rng: random.Random) -> None:
    words = ["add", "2", "-3.5", "and", "weather", "Paris", "then", "it", ",", "(", "+", "'x'", "."]
    for _ in range(200):
        prompt = " ".join(rng.choices(words, k=rng.randint(1, 12)))
        tools = (ADD, MULTIPLY, WEATHER, FORECAST)
        assert ask(user(prompt), tools=tools) == ask(user(prompt), tools=tools), prompt
