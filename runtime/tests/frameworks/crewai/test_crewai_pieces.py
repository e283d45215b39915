"""A user's own tools, tasks and models in runs of CrewAI that begin again."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.contract.messages import TokenUsage
from runtime.tests.adapter_contract import BOTH
from runtime.tests.agents import Config, answer, cost, text, users
from runtime.tests.frameworks.crewai.marks import MARKS
from runtime.tests.resuming import Attempts, listened
from runtime.tests.scripted_model import Reply, calling, saying, scripted

pytestmark = MARKS

TOOLS = """
    import asyncio
    from crewai import Agent, Crew, Process, Task
    from crewai.flow.flow import Flow, listen, start
    from crewai.tools import BaseTool, tool
    from crewai.tools.tool_failure import ToolFailure
    from pydantic import BaseModel

    NOTES = []

    class Note(BaseModel):
        text: str

    def noted(kind):
        NOTES.append(kind)
        match kind:
            case "json":
                return {"a": [1, None]}
            case "failure":
                return ToolFailure(message="no ink")
            case "error":
                raise ValueError(f"no paper {len(NOTES)}")
            case "odd":
                return (1, 2)
        return f"note {len(NOTES)}"

    @tool
    def note(kind: str):
        '''Note something.'''
        return noted(kind)

    @tool("note")
    async def anote(kind: str):
        '''Note something.'''
        await asyncio.sleep(0)
        return noted(kind)

    @tool("note")
    def typed(kind: str) -> Note:
        '''Note something.'''
        return Note(text=noted(kind))

    class Noting(BaseTool):
        name: str = "note"
        description: str = "Note something."

        def _run(self, kind: str):
            return noted(kind)

    def member(context, *tools, **facts):
        return Agent(
            role="clerk", goal="Notes", backstory="Careful.", llm=context.model,
            tools=[*tools, *context.tools], **facts,
        )

    def crew_of(context, *tools):
        agent = member(context, *tools)
        return Crew(agents=[agent], tasks=[asked("{input}", agent)])

    def asked(description, agent, **facts):
        return Task(description=description, expected_output="words", agent=agent, **facts)

    def function(context):
        return crew_of(context, note)

    def coroutine(context):
        return crew_of(context, anote)

    def object(context):
        return crew_of(context, typed)

    def kind(context):
        return crew_of(context, Noting())

    def agent(context):
        return member(context, note)

    def once(context):
        return crew_of(context, Noting(max_usage_count=2))

    def flow(context):
        class Notes(Flow):
            @start()
            def first(self):
                return function(context).kickoff({"input": "Note."}).raw

        return Notes()
"""
ADD = ("add", '{"a": 1, "b": 2}')


@contextlib.asynccontextmanager
async def playing(
    config: Config, source: str, entrypoint: str, *said: Reply
) -> AsyncIterator[Attempts]:
    """Attempts of a user's own agent whose model says this."""
    async with scripted(*said) as model, listened(model.url) as proxy:
        yield Attempts(config(source, entrypoint, url=proxy.url), proxy)


def noted(kind: str) -> tuple[str, str]:
    return ("note", f'{{"kind": "{kind}"}}')


@pytest.mark.parametrize(
    ("entrypoint", "kind"),
    [
        ("function", "text"),
        ("function", "json"),
        ("function", "failure"),
        ("function", "error"),
        ("coroutine", "text"),
        ("object", "text"),
        ("kind", "text"),
        ("agent", "text"),
        ("once", "text"),
        ("flow", "text"),
    ],
)
async def test_a_users_own_tool_is_not_called_again(
    config: Config, entrypoint: str, kind: str
) -> None:
    said = [calling(noted(kind)), calling(noted(kind)), calling(ADD), saying("so be it")]
    async with playing(config, TOOLS, entrypoint, *said) as place:
        await place.cut("Note.")
        assert answer(await place.whole("Note.")) == "so be it"
        assert users(place.config, "NOTES") == [kind] * 2
        assert len(place.effects) == 1
        assert len(place.questions) == len(said)


async def test_what_a_tool_may_be_used_is_counted_over_attempts(config: Config) -> None:
    note = calling(noted("text"))
    said = [note, note, calling(ADD), note, saying("so be it")]
    async with playing(config, TOOLS, "once", *said) as place:
        await place.cut("Note.")
        assert answer(await place.whole("Note.")) == "so be it"
        assert users(place.config, "NOTES") == ["text"] * 2
        assert "has reached its usage limit" in place.questions[-1]


async def test_a_result_that_cannot_be_kept_is_asked_for_again(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """And what follows from it is not, since it comes to the same."""
    said = [calling(noted("text")), calling(noted("odd")), calling(ADD), saying("so be it")]
    async with playing(config, TOOLS, "function", *said) as place:
        await place.cut("Note.")
        assert "a piece of a run cannot be kept; a crash would do it again" in caplog.messages
        assert answer(await place.whole("Note.")) == "so be it"
        assert users(place.config, "NOTES") == ["text", "odd", "odd"]
        assert len(place.questions) == len(said)
    assert len(place.effects) == 1


TASKS = (
    TOOLS
    + """
    from crewai.tasks.conditional_task import ConditionalTask

    class Sum(BaseModel):
        total: int

    def one(output):
        NOTES.append(f"one: {output.raw}")

    def other(output):
        NOTES.append(f"two: {output.raw}")

    def each(output):
        NOTES.append(f"each: {output.raw}")

    def two(context, first=None, second=None, **facts):
        agent = member(context, note)
        tasks = [
            asked("One: {input}", agent, callback=one, **first or {}),
            asked("Two.", agent, callback=other, **second or {}),
        ]
        return Crew(agents=[agent], tasks=tasks, **facts)

    def plain(context):
        return two(context, task_callback=each)

    def formed(context):
        return two(context, {"output_pydantic": Sum}, after_kickoff_callbacks=[of_sum])

    def as_json(context):
        return two(context, {"output_json": Sum}, after_kickoff_callbacks=[of_sum])

    def of_sum(result):
        first = result.tasks_output[0]
        NOTES.append(repr(first.pydantic or first.json_dict))
        return result

    def managed(context):
        return two(context, process=Process.hierarchical, manager_llm=context.model)

    def filed(context):
        return two(context, {"output_file": "filed"})

    def conditional(context):
        agent = member(context)
        tasks = [
            asked("One.", agent, callback=one),
            ConditionalTask(
                description="Never.", expected_output="words", agent=agent,
                condition=lambda output: output.raw != "1",
            ),
            asked("Two.", agent, callback=other),
        ]
        return Crew(agents=[agent], tasks=tasks)

    def at_once(context):
        fast, slow = member(context), member(context)
        first = asked("One.", fast, callback=one, async_execution=True)
        second = asked("Two.", slow, callback=other, context=[first])
        return Crew(agents=[fast, slow], tasks=[first, second])

    def in_a_flow(context):
        class Both(Flow):
            @start()
            def first(self):
                return two(context).kickoff({"input": "x"}).raw

        return Both()
"""
)


@pytest.mark.parametrize(
    ("entrypoint", "first", "notes"),
    [
        ("plain", "1", ["one: 1", "each: 1", "two: 2", "each: 2"]),
        ("formed", '{"total": 1}', ['one: {"total": 1}', "two: 2", "Sum(total=1)"]),
        ("as_json", '{"total": 1}', ['one: {"total": 1}', "two: 2", "{'total': 1}"]),
        ("managed", "1", ["one: 1", "two: 2"]),
        ("conditional", "1", ["one: 1", "two: 2"]),
        ("at_once", "1", ["one: 1", "two: 2"]),
        ("in_a_flow", "1", ["one: 1", "two: 2"]),
    ],
)
async def test_a_task_that_is_done_is_not_done_again(
    config: Config, entrypoint: str, first: str, notes: list[str]
) -> None:
    said = [saying(first), calling(ADD), saying("2")]
    async with playing(config, TASKS, entrypoint, *said) as place:
        await place.cut()
        assert users(place.config, "NOTES") == notes[: len(notes) // 2]
        steps = await place.whole()
        assert answer(steps) == "2"
        assert users(place.config, "NOTES") == notes
        assert len(place.questions) == len(said)
    assert len(place.effects) == 1
    assert cost(steps) == TokenUsage(input_tokens=9, output_tokens=6)


async def test_the_file_of_a_task_that_is_done_is_there_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt may be in another pod."""
    filed = tmp_path / "filed"
    monkeypatch.chdir(tmp_path)
    async with playing(config, TASKS, "filed", saying("1"), calling(ADD), saying("2")) as place:
        await place.cut()
        filed.unlink()
        await place.whole()
    assert filed.read_text() == "1"


async def test_calls_of_a_task_that_is_done_are_not_those_behind_it(config: Config) -> None:
    """A task that is not done again makes no calls; an equal one behind it is a new call."""
    other = calling(("add", '{"a": 5, "b": 6}'))
    said = [calling(ADD, noted("x")), saying("1"), other, calling(ADD, noted("x")), saying("2")]
    async with playing(config, TASKS, "plain", *said) as place:
        await place.cut(calls=2)
        assert answer(await place.whole()) == "2"
        notes = ["x", "one: 1", "each: 1", "x", "two: 2", "each: 2"]
        assert users(place.config, "NOTES") == notes
    equal = {"a": 1, "b": 2}
    assert place.effects == [equal, {"a": 5, "b": 6}, equal]


@BOTH
async def test_an_answer_that_was_given_before_is_told(
    config: Config, model_url: str, stream: bool
) -> None:
    """The worker was lost behind the last task, and before the end of the run."""
    async with listened(model_url) as proxy:
        place = Attempts(config(TASKS, "plain", url=proxy.url), proxy, stream=stream)
        expected = await place.whole()
        turns = len(place.questions)
        steps = await place.whole()
    assert answer(steps) == answer(expected)
    assert text(steps) == text(expected) == (answer(steps) if stream else "")
    assert cost(steps) == cost(expected)
    assert len(place.questions) == turns
