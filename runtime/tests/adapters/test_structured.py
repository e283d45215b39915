"""What becomes of an answer that is to have a form, whoever gives it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import override

import pytest

from runtime.adapters.port import AgentFailure, Answer, Run, Step, Text, Used, WrongFormat
from runtime.adapters.structured import HEARD, LONGEST, Form, Structured, unfenced
from runtime.contract.agent_config import Framework
from runtime.contract.messages import FailureReason, Role, TokenUsage
from runtime.contract.output_format import OutputFormat
from runtime.tests.agents import asking

SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
SUM = OutputFormat(name="sum", json_schema=SCHEMA)
COST = Used(TokenUsage(input_tokens=3, output_tokens=2))
GOOD, BAD = '{"total": 5}', '{"total": "five"}'
FAULT = "total: 'five' is not of type 'integer'"


@dataclass
class Sayings:
    """An adapter that gives one answer after the other."""

    said: list[str]
    runs: list[Run] = field(default_factory=list)

    async def run(self, run: Run) -> AsyncIterator[Step]:
        self.runs.append(run)
        text = self.said[len(self.runs) - 1]
        if run.options.stream:
            yield Text(text)
        yield COST
        yield Answer(text)


def structured(within: Sayings, *, is_own: bool = False) -> Structured:
    return Structured(within, framework=Framework.CREWAI, is_own=is_own)


async def steps_of(run: Run, *said: str, is_own: bool = False) -> tuple[list[Step], list[Run]]:
    within = Sayings([*said])
    steps = [step async for step in structured(within, is_own=is_own).run(run)]
    return steps, within.runs


@pytest.mark.parametrize(
    ("said", "output", "steps"),
    [
        pytest.param([GOOD], SUM, [COST, Text(GOOD), Answer(GOOD)], id="it fits"),
        pytest.param([f"```json\n{GOOD}\n```"], SUM, [COST, Text(GOOD), Answer(GOOD)], id="fenced"),
        pytest.param([BAD, GOOD], SUM, [COST, COST, Text(GOOD), Answer(GOOD)], id="asked again"),
        pytest.param(
            ["[1]", "{}"], OutputFormat(), [COST, COST, Text("{}"), Answer("{}")], id="no object"
        ),
        pytest.param(
            ["[1]"],
            OutputFormat(name="any", json_schema={}),
            [COST, Text("[1]"), Answer("[1]")],
            id="anything",
        ),
        pytest.param(["five"], None, [Text("five"), COST, Answer("five")], id="just text"),
    ],
)
async def test_nothing_is_told_that_does_not_fit(
    said: list[str], output: OutputFormat | None, steps: list[Step]
) -> None:
    run = asking(stream=True, output=output)
    assert (await steps_of(run, *said))[0] == steps


async def test_what_does_not_fit_is_asked_for_once_more_with_what_was_said() -> None:
    run = asking("2+3?", output=SUM)
    _, (first, second) = await steps_of(run, BAD, GOOD)
    assert first is run
    question, answer, correction = second.input
    assert (question, answer.role, answer.text) == (run.input[0], Role.ASSISTANT, BAD)
    assert correction.role is Role.USER
    assert FAULT in correction.text
    assert '"required": ["total"]' in correction.text
    assert second.options == run.options


async def test_twice_is_enough() -> None:
    with pytest.raises(WrongFormat, match=FAULT) as failed:
        await steps_of(asking(output=SUM), BAD, BAD, GOOD)
    assert failed.value.reason is FailureReason.WRONG_FORMAT


@pytest.mark.parametrize(
    ("is_own", "way_out"),
    [
        pytest.param(False, "ask a model that keeps to JSON schemas", id="from instructions"),
        pytest.param(
            True,
            "your own agent is told the form among its client's instructions (a crew gets them in "
            "its last task, or where its texts say {instructions}, a Flow as `instructions` of its "
            "state, if that has such a field), the second time in its input; let its model have "
            "these, or let it answer so by itself",
            id="a user's own",
        ),
    ],
)
async def test_who_gets_no_form_hears_what_came_and_what_to_do(is_own: bool, way_out: str) -> None:
    with pytest.raises(WrongFormat) as failed:
        await steps_of(asking(output=SUM), GOOD[:-1], "The\ntotal is 5." * 20, is_own=is_own)
    said, _, told = str(failed.value).partition('; it is "')
    assert said == (
        "the answer does not have the form that was asked for, nor did it when it was asked for "
        "once more: it is no JSON: Expecting value: line 1 column 1 (char 0)"
    )
    begun, _, rest = told.partition('…"; ')
    assert begun.startswith("The total is 5.The total is 5.")
    assert len(begun) == LONGEST
    assert rest == way_out


def test_it_is_known_of_each_framework_where_the_form_is_told() -> None:
    assert set(HEARD) == set(Framework)


@pytest.mark.parametrize(
    ("is_own", "output", "handed", "told"),
    [
        pytest.param(False, SUM, SUM, False, id="a model that gets the form"),
        pytest.param(False, OutputFormat(), OutputFormat(), True, id="any object, in words too"),
        pytest.param(True, SUM, None, True, id="a user's own agent"),
    ],
)
async def test_who_is_told_how(
    is_own: bool, output: OutputFormat, handed: OutputFormat | None, told: bool
) -> None:
    run = asking(instructions="Be brief.", output=output)
    _, (asked,) = await steps_of(run, GOOD, is_own=is_own)
    assert asked.options.output == handed
    wish = Form(output).wish
    assert asked.options.instructions == (f"Be brief.\n\n{wish}" if told else "Be brief.")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(GOOD, None, id="it fits"),
        pytest.param(BAD, FAULT, id="a value"),
        pytest.param("The total is 5.", "it is no JSON: Expecting value", id="text"),
        pytest.param(f"{GOOD} So it is.", "it is no JSON: Extra data", id="text behind it"),
        pytest.param('{"total": NaN}', "it is no JSON: NaN is no number", id="no number"),
        pytest.param("[" * 100_000, "it is no JSON: ", id="too deep"),
        pytest.param(f'"{"a" * 9999}"', "a…", id="a long one"),
    ],
)
def test_faults(text: str, fault: str | None) -> None:
    found = Form(SUM).fault(text)
    assert found == fault if fault is None or found is None else fault in found
    assert len(found or "") <= 500


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "nothing"}, id="at once"),
        pytest.param({"$ref": "#"}, id="when it is used"),
    ],
)
async def test_a_schema_that_cannot_be_used_fails_the_run(schema: dict[str, str]) -> None:
    run = asking(output=OutputFormat(name="a", json_schema=schema))
    with pytest.raises(AgentFailure, match="the schema of the answer that was asked for"):
        await steps_of(run, GOOD)


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("```json\n{}\n```", "{}"),
        ("\n```\n{\n}\n```\n", "{\n}"),
        ("{}", "{}"),
        ("See ```json\n{}\n```", "See ```json\n{}\n```"),
    ],
)
def test_a_fence_is_left_out(text: str, within: str) -> None:
    assert unfenced(text) == within


async def test_calls_of_the_second_try_find_what_the_first_ones_did() -> None:
    numbers = []

    @dataclass
    class Calling(Sayings):
        @override
        async def run(self, run: Run) -> AsyncIterator[Step]:
            numbers.append(run.numbering.take("send"))
            async for step in super().run(run):
                yield step

    run = asking(output=SUM)
    within = Calling([BAD, GOOD])
    steps = [step async for step in structured(within).run(run)]
    assert steps[-1] == Answer(GOOD)
    assert numbers == [0, 0]
