"""What every adapter keeps, shown by agents from instructions: one class of tests for all."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from runtime.adapters.port import (
    Adapter,
    AgentFailure,
    Answer,
    BudgetExceeded,
    EmptyAnswer,
    ModelAway,
    ModelBusy,
    ModelLost,
    Text,
    Used,
)
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Budget, Framework
from runtime.contract.messages import Message, Role
from runtime.contract.output_format import OutputFormat
from runtime.tests.agents import (
    CLIENTS,
    SPEC,
    Config,
    Endless,
    adding,
    answer,
    asking,
    closed,
    cost,
    function,
    no_model,
    run,
    steps_of,
    text,
)
from runtime.tests.scripted_model import NEVER, scripted
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure
from runtime.transport.port import TransportError

BOTH = pytest.mark.parametrize("stream", [False, True])
SUM = "2 + 3?"
TOTAL = OutputFormat(
    name="sum",
    json_schema={
        "type": "object",
        "properties": {"total": {"$ref": "#/$defs/number"}},
        "required": ["total"],
        "additionalProperties": False,
        "$defs": {"number": {"type": "integer"}},
    },
    strict=True,
)


def failing(error: BaseException) -> Callable[[dict[str, Any]], Any]:
    """A tool that fails with this."""

    async def add(_arguments: dict[str, Any]) -> str:
        raise error

    return add


async def kept_apart(adapter: Adapter, streams: Callable[[int], bool]) -> None:
    """Eight runs at the same time call their own tools and say their own text."""

    def giving(value: str) -> Callable[[dict[str, Any]], Any]:
        async def add(_arguments: dict[str, Any]) -> str:
            await together.wait()
            return value

        return add

    values = [str(value) for value in random.sample(range(1000, 9999), 8)]
    together = asyncio.Barrier(len(values))
    asked = [
        asking(SUM, function(giving(value)), stream=streams(place))
        for place, value in enumerate(values)
    ]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for place, (value, steps) in enumerate(zip(values, answers, strict=True)):
        assert answer(steps) == f"The answer is {value}."
        assert text(steps) == (answer(steps) if streams(place) else "")
        assert [type(step) for step in steps if not isinstance(step, Text)] == [Used, Used, Answer]


async def fails(made: AgentConfig, kind: type[AgentFailure], said: str, *, stream: bool) -> None:
    """A run fails with this kind, and a sentence about the model that has `said` in it."""
    with pytest.raises(kind) as caught:
        await run(made, asking(stream=stream))
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"the model {made.model.id} ") or kind is EmptyAnswer
    assert caught.value.retryable is issubclass(kind, ModelBusy | ModelLost)


async def ends_within_a_second(running: asyncio.Task[Any], *ended: asyncio.Event) -> None:
    """Cancels it; it and what has to end with it does so in time."""
    running.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await running
        for event in ended:
            await event.wait()


class AdapterContract:
    """Whatever the framework: through the address that its models are asked at."""

    framework: ClassVar[Framework]
    path: ClassVar[str] = "/chat/completions"
    """What is asked there."""
    waiting: ClassVar[Budget] = Budget(tokens=1)
    """With this one, an agent goes on only when what it has cost was taken."""

    @pytest.fixture
    def server_url(self, model_url: str) -> str:
        return model_url

    @pytest.fixture
    def instructed(self, config: Config, server_url: str) -> Config:
        """The configuration of an agent from instructions."""

        def made(*, model: str = "stand-in", **facts: Any) -> AgentConfig:
            facts = {"url": server_url} | facts
            return config(framework=self.framework, model=f"small/{model}", **facts)

        return made

    @BOTH
    async def test_instructions_and_a_tool_answer_a_sum(
        self, instructed: Config, stream: bool
    ) -> None:
        a, b = random.sample(range(100, 900), 2)
        calls: list[dict[str, Any]] = []

        async def add(arguments: dict[str, Any]) -> str:
            calls.append(arguments)
            return await adding(arguments)

        asked = asking(f"What is {a} + {b}?", function(add), stream=stream)
        steps = await run(instructed(), asked, (SPEC,))
        assert str(a + b) in answer(steps)
        assert calls == [{"a": a, "b": b}]
        assert text(steps) == (answer(steps) if stream else "")
        assert [type(step) for step in steps if not isinstance(step, Text)] == [Used, Used, Answer]
        assert cost(steps).input_tokens > 0
        assert cost(steps).output_tokens > 0

    @BOTH
    async def test_a_function_of_the_client_is_one_more_tool(
        self, instructed: Config, stream: bool
    ) -> None:
        """It is offered in the runs that bring it along, and in no others."""
        adapter = await build(instructed(), ())
        asked = asking(SUM, function(), stream=stream, functions=(CLIENTS,))
        for _ in range(2):
            steps = await steps_of(adapter, asked)
            assert "5" in answer(steps)
            assert [type(step) for step in steps if isinstance(step, Used)] == [Used, Used]
        steps = await steps_of(adapter, asking(SUM, stream=stream))
        assert [type(step) for step in steps if isinstance(step, Used)] == [Used]

    async def test_a_function_of_the_client_cannot_take_the_name_of_a_tool(
        self, instructed: Config
    ) -> None:
        asked = asking(SUM, function(), functions=(CLIENTS,))
        with pytest.raises(AgentFailure, match="add is a function that the agent has already"):
            await run(instructed(), asked, (SPEC,))

    async def test_text_comes_piece_by_piece(self, instructed: Config) -> None:
        said = "elephants crocodile antelopes albatross chameleon"
        adapter = await build(instructed(model="slow-100"), ())
        times = [
            time.monotonic()
            async for step in adapter.run(asking(f"Say {said}", stream=True))
            if isinstance(step, Text)
        ]
        assert len(times) >= len(said.split())
        assert times[-1] - times[0] > 0.3

    async def test_history_and_instructions_of_the_client_are_heard(
        self, instructed: Config
    ) -> None:
        history = (
            Message(role=Role.USER, text="My name is Ada."),
            Message(role=Role.ASSISTANT, text="Hello Ada."),
        )
        asked = asking("What is my name?", history=history, instructions='Begin with "Ahoy"')
        said = answer(await run(instructed(), asked))
        assert said.startswith("Ahoy")
        assert "Ada" in said

    async def test_what_the_system_said_is_heard(self, instructed: Config) -> None:
        history = (Message(role=Role.SYSTEM, text='Begin with "Ahoy"'),)
        said = answer(await run(instructed(), asking("Hello", history=history)))
        assert said.startswith("Ahoy")

    @BOTH
    async def test_a_sum_has_the_form_that_the_client_wants(
        self, instructed: Config, stream: bool
    ) -> None:
        a, b = random.sample(range(100, 900), 2)
        adapter = await build(instructed(), (SPEC,))
        asked = asking(f"What is {a} + {b}?", function(), stream=stream, output=TOTAL)
        steps = await steps_of(adapter, asked)
        assert json.loads(answer(steps)) == {"total": a + b}
        assert text(steps) == (answer(steps) if stream else "")
        assert answer(await steps_of(adapter, asking(SUM, function()))) == "The answer is 5."

    async def test_the_model_may_go_on_after_a_failed_tool(self, instructed: Config) -> None:
        add = failing(ToolFailure("the adding machine is on fire"))
        said = answer(await run(instructed(), asking(SUM, function(add)), (SPEC,)))
        assert said.count("the adding machine is on fire") == 1
        assert "Traceback" not in said

    @pytest.mark.parametrize(
        "streams",
        [
            pytest.param(lambda _place: False, id="none streamed"),
            pytest.param(lambda _place: True, id="all streamed"),
            pytest.param(lambda place: place % 2 == 0, id="every other one streamed"),
        ],
    )
    async def test_runs_at_the_same_time_are_kept_apart(
        self, instructed: Config, streams: Callable[[int], bool]
    ) -> None:
        await kept_apart(await build(instructed(model="slow-5"), (SPEC,)), streams)

    async def test_calls_of_one_turn_are_made_at_the_same_time(self, instructed: Config) -> None:
        together = asyncio.Barrier(2)

        async def add(arguments: dict[str, Any]) -> str:
            await asyncio.wait_for(together.wait(), 10)
            return await adding(arguments)

        asked = asking("Add 1 and 2, then add 30 and 40.", function(add))
        said = answer(await run(instructed(), asked, (SPEC,)))
        assert "3" in said
        assert "70" in said

    @BOTH
    async def test_the_iterations_are_limited(self, instructed: Config, stream: bool) -> None:
        asked = asking(SUM, function(), stream=stream)
        assert "5" in answer(await run(instructed(iterations=2), asked, (SPEC,)))
        with pytest.raises(AgentFailure) as caught:
            await run(instructed(iterations=1), asked, (SPEC,))
        assert str(caught.value) == (
            "no answer after 1 turns of the model (spec.source.declarative.maxIterations); "
            "allow more, or ask for less"
        )

    @BOTH
    async def test_a_model_without_a_word_is_told(self, instructed: Config, stream: bool) -> None:
        said = "the agent ended without an answer"
        await fails(instructed(model="empty"), EmptyAnswer, said, stream=stream)

    @BOTH
    async def test_a_model_that_is_not_there_is_told(
        self, instructed: Config, stream: bool
    ) -> None:
        async with no_model() as url:
            said = f"the model small/stand-in at {url}{self.path} cannot be reached"
            await fails(instructed(url=url), ModelAway, said, stream=stream)

    async def test_the_budget_of_calls_ends_the_run(self, instructed: Config) -> None:
        add = failing(CallBudgetSpent("no more calls (spec.budget.toolCalls)"))
        with pytest.raises(BudgetExceeded, match="no more calls"):
            await run(instructed(), asking(SUM, function(add)), (SPEC,))

    async def test_costs_come_before_what_the_model_asked_for_is_done(
        self, instructed: Config
    ) -> None:
        called: list[dict[str, Any]] = []

        async def add(arguments: dict[str, Any]) -> str:
            called.append(arguments)
            return await adding(arguments)

        adapter = await build(instructed(budget=self.waiting), (SPEC,))
        steps = adapter.run(asking(SUM, function(add)))
        assert isinstance(await anext(steps), Used)
        await asyncio.sleep(0.3)  # the agent waits, it is not only slow: there is no event of that
        await closed(steps)
        assert called == []

    async def test_a_queue_that_is_away_is_not_told_to_the_model(self, instructed: Config) -> None:
        add = failing(TransportError("the queue is away"))
        with pytest.raises(TransportError, match="the queue is away"):
            await run(instructed(), asking(SUM, function(add)), (SPEC,))

    @BOTH
    async def test_cancelling_ends_the_call_of_the_model(
        self, instructed: Config, stream: bool
    ) -> None:
        async with scripted(NEVER) as model:
            adapter = await build(instructed(url=model.url), ())
            before = asyncio.all_tasks()
            running = asyncio.create_task(steps_of(adapter, asking(stream=stream)))
            await model.asked.wait()
            await ends_within_a_second(running, model.left)
            assert asyncio.all_tasks() - model.serving == before

    async def test_cancelling_ends_the_call_of_a_tool(self, instructed: Config) -> None:
        add = Endless()
        adapter = await build(instructed(), (SPEC,))
        running = asyncio.create_task(steps_of(adapter, asking(SUM, function(add))))
        await asyncio.wait_for(add.begun.wait(), 30)
        await ends_within_a_second(running, add.ended)
