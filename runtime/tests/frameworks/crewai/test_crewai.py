"""CrewAI agents from instructions, on the real framework and a model that reads."""

import asyncio
import random
import time
from typing import Any

import pytest

from runtime.adapters.crewai import build
from runtime.adapters.crewai_tools import PlatformTool
from runtime.adapters.port import (
    AgentFailure,
    BudgetExceeded,
    EmptyAnswer,
    ModelBusy,
    ModelFailure,
    Step,
    Text,
    Used,
)
from runtime.adapters.scope import enter, opened
from runtime.contract.agent_config import Execution
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role
from runtime.tests.agents import (
    SPEC,
    Config,
    adding,
    answer,
    asking,
    cost,
    function,
    no_model,
    steps_of,
    text,
)
from runtime.tests.frameworks.crewai.conftest import hanging_model
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


@pytest.mark.parametrize("stream", [False, True])
async def test_instructions_and_a_tool_answer_a_sum(
    config: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    a, b = random.sample(range(100, 900), 2)
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    asked = asking(f"What is {a} + {b}?", function(add), stream=stream)
    steps = await run(config(url=model_url), asked, (SPEC,))
    assert str(a + b) in answer(steps)
    assert calls == [{"a": a, "b": b}]
    assert text(steps) == (answer(steps) if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 2
    assert cost(steps).output_tokens > 0


async def test_text_comes_piece_by_piece(config: Config, model_url: str) -> None:
    adapter = await build(config(url=model_url, model="slow-100"), ())
    times = [
        time.monotonic()
        async for step in adapter.run(asking("Say a b c d", stream=True))
        if isinstance(step, Text)
    ]
    assert len(times) > 3
    assert times[-1] - times[0] > 0.2


async def test_history_and_instructions_of_the_client_are_heard(
    config: Config, model_url: str
) -> None:
    history = (
        Message(role=Role.USER, text="My name is Ada."),
        Message(role=Role.ASSISTANT, text="Hello Ada."),
    )
    asked = asking("What is my name?", history=history, instructions='Begin with "Ahoy"')
    said = answer(await run(config(url=model_url), asked))
    assert said.startswith("Ahoy")
    assert "Ada" in said


async def test_the_model_may_go_on_after_a_failed_tool(config: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise ToolFailure("the adding machine is on fire")

    steps = await run(config(url=model_url), asking("2 + 3?", function(add)), (SPEC,))
    assert "on fire" in answer(steps)


@pytest.mark.parametrize("stream", [False, True])
async def test_each_run_calls_its_own_tools_and_hears_itself_alone(
    config: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001
) -> None:
    adapter = await build(config(url=model_url), (SPEC,))

    def giving(value: str) -> Any:
        async def add(_arguments: dict[str, Any]) -> str:
            await asyncio.sleep(0.05)
            return value

        return add

    values = [str(value) for value in random.sample(range(1000, 9999), 8)]
    asked = [asking("2 + 3?", function(giving(value)), stream=stream) for value in values]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for value, steps in zip(values, answers, strict=True):
        assert answer(steps) == f"The answer is {value}."
        assert text(steps) == (answer(steps) if stream else "")
        assert len([step for step in steps if isinstance(step, Used)]) == 2


async def test_calls_of_one_turn_are_made_at_the_same_time(config: Config, model_url: str) -> None:
    together = asyncio.Barrier(2)

    async def add(arguments: dict[str, Any]) -> str:
        await asyncio.wait_for(together.wait(), 10)
        return await adding(arguments)

    asked = asking("Add 1 and 2, then add 30 and 40.", function(add))
    said = answer(await run(config(url=model_url), asked, (SPEC,)))
    assert "3" in said
    assert "70" in said


async def test_an_argument_that_may_be_left_out_is(config: Config, model_url: str) -> None:
    seen: list[dict[str, Any]] = []
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "integer"},
            "unit": {"enum": ["kg"]},
        },
        "required": ["a", "b"],
    }
    spec = FunctionSpec(name="add", description="Add two numbers.", input_schema=schema)

    async def add(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return await adding(arguments)

    tool = PlatformTool.of(spec)
    enter(opened(asking("?", function(add, spec))))
    assert await asyncio.to_thread(tool.run, a=1, b=2, unit=None) == "3"
    assert seen == [{"a": 1, "b": 2}]
    assert "3" in answer(await run(config(url=model_url), asking("1 + 2?", function()), (spec,)))


async def test_arguments_may_have_any_name() -> None:
    names = ("config", "tool", "self", "kwargs", "name", "input")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    spec = FunctionSpec(name="note", description="Note.", input_schema=schema)
    seen: list[dict[str, Any]] = []

    async def note(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "noted"

    enter(opened(asking("?", function(note, spec))))
    tool = PlatformTool.of(spec)
    given = dict.fromkeys(names, "x")
    assert await tool.arun(**given) == "noted"
    assert await asyncio.to_thread(tool.run, **given) == "noted"
    assert seen == [given, given]


async def test_the_iterations_are_limited(config: Config, model_url: str) -> None:
    asked = asking("2 + 3?", function())
    assert "5" in answer(await run(config(url=model_url, iterations=2), asked, (SPEC,)))
    with pytest.raises(AgentFailure) as caught:
        await run(config(url=model_url, iterations=1), asked, (SPEC,))
    assert str(caught.value) == (
        "no answer after 1 turns of the model (spec.source.declarative.maxIterations); "
        "allow more, or ask for less"
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        ("error-500", ModelFailure, "{host}/chat/completions answered 500"),
        ("error-404", ModelFailure, "{host}/chat/completions answered 404"),
        ("error-429", ModelBusy, "has no capacity at the moment"),
        ("garbage", ModelFailure, "{host} answered with what is no completion"),
        ("cut", ModelFailure, "cannot be reached: peer closed connection"),
        ("hang", ModelFailure, "gave no answer in time"),
        ("empty", EmptyAnswer, "the agent ended without an answer"),
    ],
)  # fmt: skip
async def test_a_model_that_fails_is_told(
    config: Config,
    model_url: str,
    model: str,
    kind: type[AgentFailure],
    said: str,
    stream: bool,  # noqa: FBT001
) -> None:
    made = config(url=model_url, model=model, execution=Execution(timeout_seconds=1))
    with pytest.raises(kind) as caught:
        await run(made, asking(stream=stream))
    assert type(caught.value) is kind
    assert said.format(host=model_url) in str(caught.value)


async def test_a_model_that_is_not_there_is_told(config: Config) -> None:
    async with no_model() as url:
        with pytest.raises(ModelFailure, match="cannot be reached"):
            await run(config(url=url))


async def test_a_stream_that_just_ends_is_no_answer(config: Config) -> None:
    piece = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    piece += b'"choices":[{"index":0,"delta":{"role":"assistant","content":"The answer"}}]}\n\n'

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        writer.write(head + f"Content-Length: {len(piece)}\r\n\r\n".encode() + piece)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answering, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelFailure) as caught:
            await run(config(url=url), asking(stream=True))
    said = f"the model stand-in at {url} broke off in the middle of its answer"
    assert str(caught.value) == said


async def test_the_budget_of_calls_ends_the_run(config: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise CallBudgetSpent("no more calls (spec.budget.toolCalls)")

    with pytest.raises(BudgetExceeded, match="no more calls"):
        await run(config(url=model_url), asking("2 + 3?", function(add)), (SPEC,))


async def test_costs_come_before_what_the_model_asked_for_is_done(
    config: Config, model_url: str
) -> None:
    called: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        called.append(arguments)
        return await adding(arguments)

    adapter = await build(config(url=model_url), (SPEC,))
    steps = adapter.run(asking("2 + 3?", function(add)))
    assert isinstance(await anext(steps), Used)
    await asyncio.sleep(0.3)
    await steps.aclose()  # type: ignore[attr-defined]  # adapters are generators
    assert called == []


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelling_ends_the_call_of_the_model(
    config: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    async with hanging_model() as (url, asked, left):
        adapter = await build(config(url=url), ())
        running = asyncio.create_task(steps_of(adapter, asking(stream=stream)))
        await asked.wait()
        running.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await running
            await left.wait()


async def test_cancelling_ends_the_call_of_a_tool(config: Config, model_url: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def add(_arguments: dict[str, Any]) -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "too late"

    adapter = await build(config(url=model_url), (SPEC,))
    running = asyncio.create_task(steps_of(adapter, asking("2 + 3?", function(add))))
    await asyncio.wait_for(begun.wait(), 30)
    running.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await running
        await ended.wait()
