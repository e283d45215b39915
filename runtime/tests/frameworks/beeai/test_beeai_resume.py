"""Runs of BeeAI that begin again with what their models and tools came to before."""

import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from runtime.adapters import recorded
from runtime.contract.agent_config import Framework
from runtime.contract.messages import TokenUsage
from runtime.tests.agents import Config, answer, cost, users
from runtime.tests.frameworks.beeai.endings import ending
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.lost import lost_at_the_effect
from runtime.tests.resuming import Attempts, ResumeContract, attempts, listened
from runtime.tests.scripted_model import Reply, calling, saying, scripted

__all__ = ["attempts"]  # a fixture

pytestmark = MARKS


class TestInstructed(ResumeContract):
    framework = Framework.BEEAI


OWN = """
    import os
    from beeai_framework.adapters.openai import OpenAIChatModel
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.cache import UnconstrainedCache

    def model(**facts):
        return OpenAIChatModel(
            "stand-in",
            base_url=os.environ["OPENAI_BASE_URL"],
            api_key="canary",
            settings={"extra_headers": {"Authorization": "Bearer canary"}},
            tool_choice_support={"required", "single", "none", "auto"},
            **facts,
        )

    def requirement(context):
        return RequirementAgent(llm=model(), tools=context.tools)

    def lite(context):
        return LiteAgent(llm=model(), tools=context.tools)

    def cached(context):
        return RequirementAgent(llm=model(cache=UnconstrainedCache()), tools=context.tools)
"""


@pytest.mark.parametrize("entrypoint", ["requirement", "lite", "cached"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_users_own_model_is_not_asked_again(
    config: Config,
    model_url: str,
    monkeypatch: pytest.MonkeyPatch,
    entrypoint: str,
    stream: bool,  # a parameter of the table
) -> None:
    async with listened(model_url) as proxy:
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        agent = config(OWN, entrypoint, framework=Framework.BEEAI, url=proxy.url)
        place = Attempts(agent, proxy, stream=stream)
        await place.cut(calls=2)
        kept = await place.kept()
        assert kept is not None
        assert b"canary" not in kept
        assert "6" in answer(await place.whole())
    assert len(place.effects) == 2
    assert len(place.questions) == len(set(place.questions)) == 3


TOOLS = """
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.react import ReActAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.agents.tool_calling import ToolCallingAgent
    from beeai_framework.memory import UnconstrainedMemory
    from beeai_framework.tools import JSONToolOutput, StringToolOutput, ToolError, tool

    NOTES = []

    class Odd(StringToolOutput):
        pass

    RESULTS = {"text": str, "json": lambda _: JSONToolOutput({"a": [1]}), "odd": Odd}

    @tool
    async def note(kind: str) -> str:
        '''Note something.'''
        NOTES.append(kind)
        if kind == "error":
            raise ToolError("no paper", cause=KeyError(len(NOTES)))
        return RESULTS[kind](f"note {kind}")

    def requirement(context):
        return RequirementAgent(
            llm=context.model, tools=[note, *context.tools], tool_call_checker=False
        )

    def lite(context):
        return LiteAgent(llm=context.model, tools=[note, *context.tools])

    def react(context):
        return ReActAgent(
            llm=context.model, tools=[note, *context.tools], memory=UnconstrainedMemory()
        )

    def calls_tools(context):
        return ToolCallingAgent(
            llm=context.model, tools=[*context.tools], memory=UnconstrainedMemory()
        )

    def catching(context):
        (add,) = context.tools

        @tool
        async def careful(kind: str) -> str:
            '''Note with care.'''
            try:
                await note.run({"kind": kind})
            except ToolError as error:
                return f"{error.get_cause()!r}: {await add.run({'a': 1, 'b': 2})}"

        return RequirementAgent(llm=context.model, tools=[careful])

    def nested(context):
        (add,) = context.tools

        @tool
        async def sum_up(kind: str) -> str:
            '''Sum up.'''
            NOTES.append(kind)
            return str(await add.run({"a": 1, "b": 2}))

        return RequirementAgent(llm=context.model, tools=[sum_up, add])
"""
ADD = ("add", '{"a": 1, "b": 2}')


@contextlib.asynccontextmanager
async def tools(config: Config, entrypoint: str, *said: Reply) -> AsyncIterator[Attempts]:
    """Attempts of an agent that has tools of its user, whose model says this."""
    async with scripted(*said) as model, listened(model.url) as proxy:
        agent = config(TOOLS, entrypoint, framework=Framework.BEEAI, url=proxy.url)
        yield Attempts(agent, proxy)


def noted(kind: str) -> tuple[str, str]:
    return ("note", f'{{"kind": "{kind}"}}')


@pytest.mark.parametrize(
    ("entrypoint", "kind"),
    [("requirement", "text"), ("requirement", "json"), ("requirement", "error"), ("lite", "text")],
)
async def test_a_users_own_tool_is_not_called_again(
    config: Config, entrypoint: str, kind: str
) -> None:
    said = [calling(noted(kind)), calling(noted(kind)), calling(ADD)]
    end = saying("so be it") if entrypoint == "lite" else ending("so be it")
    async with tools(config, entrypoint, *said, end) as place:
        await place.cut()
        assert answer(await place.whole()) == "so be it"
        assert users(place.config, "NOTES") == [kind] * 2
        assert len(place.effects) == 1
        assert len(place.questions) == len(said) + 1
        expected = await Attempts(place.config, place.proxy).whole()
    assert answer(expected) == "so be it"


async def test_costs_of_what_is_not_asked_again_are_told(config: Config) -> None:
    said = [calling(noted("text")), calling(ADD), ending("so be it")]
    async with tools(config, "requirement", *said) as place:
        await place.cut()
        steps = await place.whole()
    assert cost(steps) == TokenUsage(input_tokens=9, output_tokens=6)


async def test_a_result_that_cannot_be_kept_is_asked_for_again(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """And what follows from it is not, since it comes to the same."""
    said = [calling(noted("text")), calling(noted("odd")), calling(ADD), ending("so be it")]
    async with tools(config, "requirement", *said) as place:
        await place.cut()
        assert "a piece of a run cannot be kept; a crash would do it again" in caplog.messages
        assert answer(await place.whole()) == "so be it"
        assert users(place.config, "NOTES") == ["text", "odd", "odd"]
        assert len(place.questions) == len(said)
    assert len(place.effects) == 1


async def test_calls_within_a_tool_are_not_those_behind_it(config: Config) -> None:
    """A tool that is not called again makes none; what equals them behind it is a new call."""
    other = ("add", '{"a": 5, "b": 6}')
    said = [calling(("sum_up", '{"kind": "x"}')), calling(other), calling(ADD), ending("so be it")]
    async with tools(config, "nested", *said) as place:
        await place.cut(calls=2)
        assert answer(await place.whole()) == "so be it"
        assert users(place.config, "NOTES") == ["x"]
    three = {"a": 1, "b": 2}
    assert place.effects == [three, {"a": 5, "b": 6}, three]


def acting(name: str, given: str) -> Reply:
    """A message that calls a tool in words."""
    return saying(f"Thought: I do it.\nFunction Name: {name}\nFunction Input: {given}\n")


@pytest.mark.fault(1)
async def test_what_a_model_says_in_words_is_kept_before_a_tool_is_called(config: Config) -> None:
    """It would say something else if it was asked again, and the effect would happen twice."""
    said = [acting("add", '{"a": 1, "b": 2}'), acting("add", '{"a": 2, "b": 1}')]
    async with tools(config, "react", *said, saying("Thought: So.\nFinal Answer: 3")) as place:
        await lost_at_the_effect(place, "Add.")
        await place.whole("Add.")
        assert len(place.questions) == len(set(place.questions))
    assert place.effects == [{"a": 1, "b": 2}, {"a": 2, "b": 1}]


@pytest.mark.filterwarnings("ignore:Call to deprecated class ToolCallingAgent")
@pytest.mark.parametrize("seconds", [1, 24 * 60 * 60])
@pytest.mark.parametrize(
    ("entrypoint", "said", "form"),
    [
        ("react", acting(*ADD), "%Y-%m-%dT%H:%M:%S"),
        ("requirement", calling(ADD), "%Y-%m-%d"),
        ("calls_tools", calling(ADD), "%Y-%m-%dT%H:%M:%SZ"),
    ],
)
async def test_a_run_goes_on_at_another_time(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    entrypoint: str,
    said: Reply,
    form: str,
    seconds: int,
) -> None:
    began = time.time() - seconds
    last = saying("Thought: So.\nFinal Answer: 3") if entrypoint == "react" else ending("3")
    async with tools(config, entrypoint, said, last) as place:
        with monkeypatch.context() as past:
            past.setattr(recorded, "time", lambda: began)
            await place.cut()
        assert answer(await place.whole()) == "3"
        assert len(place.questions) == 2
        then = datetime.fromtimestamp(began, UTC).strftime(form)
        assert all(then in question for question in place.questions)
    assert len(place.effects) == 1


async def test_what_a_tool_catches_it_catches_again(config: Config) -> None:
    """What no agent has told a model is done again, so that its error is the same."""
    said = [calling(("careful", '{"kind": "error"}')), ending("so be it")]
    async with tools(config, "catching", *said) as place:
        await place.cut()
        assert answer(await place.whole()) == "so be it"
        assert users(place.config, "NOTES") == ["error"] * 2
        assert "KeyError(2): 3" in place.questions[-1]
    assert len(place.effects) == 1


async def test_a_kept_answer_that_cannot_be_read_is_asked_for_again(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async with tools(config, "requirement", calling(ADD), calling(ADD), ending("3")) as place:
        await place.cut()
        kept = await place.kept()
        assert kept is not None
        await place.put(kept.replace(b"messages", b"massages"))
        assert answer(await place.whole()) == "3"
        assert "a piece of a run is done again" in caplog.messages
        assert len(place.questions) == 3
    assert len(place.effects) == 1
