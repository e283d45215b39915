"""AG2 agents from instructions, on the real framework and a model that reads."""

import asyncio
import json
import random
import time
from dataclasses import replace
from typing import Any

import pytest

from runtime.adapters.ag2 import build
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
from runtime.contract.agent_config import AgentConfig, Budget, Execution, Framework
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
from runtime.tests.frameworks.ag2.scripted import calling, saying, scripted
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture
def instructed(config: Config) -> Config:
    """The configuration of an agent that AG2 makes from instructions."""

    def made(**facts: Any) -> AgentConfig:
        return config(framework=Framework.AG2, **facts)

    return made


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


@pytest.mark.parametrize("stream", [False, True])
async def test_instructions_and_a_tool_answer_a_sum(
    instructed: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    a, b = random.sample(range(100, 900), 2)
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    asked = asking(f"What is {a} + {b}?", function(add), stream=stream)
    steps = await run(instructed(url=model_url), asked, (SPEC,))
    assert str(a + b) in answer(steps)
    assert calls == [{"a": a, "b": b}]
    assert text(steps) == (answer(steps) if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 2
    assert cost(steps).input_tokens > 0
    assert cost(steps).output_tokens > 0


async def test_text_comes_piece_by_piece(instructed: Config, model_url: str) -> None:
    adapter = await build(instructed(url=model_url, model="slow-100"), ())
    times = [
        time.monotonic()
        async for step in adapter.run(asking("Say a b c d", stream=True))
        if isinstance(step, Text)
    ]
    assert len(times) > 3
    assert times[-1] - times[0] > 0.2


async def test_history_and_instructions_of_the_client_are_heard(
    instructed: Config, model_url: str
) -> None:
    history = (
        Message(role=Role.USER, text="My name is Ada."),
        Message(role=Role.ASSISTANT, text="Hello Ada."),
    )
    asked = asking("What is my name?", history=history, instructions='Begin with "Ahoy"')
    said = answer(await run(instructed(url=model_url), asked))
    assert said.startswith("Ahoy")
    assert "Ada" in said


async def test_what_the_system_said_is_heard(instructed: Config, model_url: str) -> None:
    history = (Message(role=Role.SYSTEM, text='Begin with "Ahoy"'),)
    said = answer(await run(instructed(url=model_url), asking("Hello", history=history)))
    assert said.startswith("Ahoy")


async def test_the_wishes_of_the_client_reach_the_model(instructed: Config) -> None:
    async with scripted(saying("42")) as model:
        asked = asking(temperature=0.25, max_output_tokens=7, instructions="Be brief.")
        await run(instructed(url=model.url), asked)
    (body,) = model.asked
    assert (body["temperature"], body["max_completion_tokens"]) == (0.25, 7)
    assert body["messages"][0] == {"role": "system", "content": "You do sums.\nBe brief."}


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param(["user", "user"], ["user", "user"], id="two messages at once"),
        pytest.param(["user", "assistant"], ["user", "assistant"], id="the last word"),
        pytest.param(["system"], [], id="nothing but a system message"),
    ],
)
async def test_any_input_is_answered(instructed: Config, said: list[str], heard: list[str]) -> None:
    messages = tuple(Message(role=Role(role), text=f"{role}!") for role in said)
    async with scripted(saying("42")) as model:
        steps = await run(instructed(url=model.url), replace(asking(), input=messages))
    assert answer(steps) == "42"
    (body,) = model.asked
    assert [message["role"] for message in body["messages"]] == ["system", *heard]


async def test_the_model_may_go_on_after_a_failed_tool(instructed: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise ToolFailure("the adding machine is on fire")

    steps = await run(instructed(url=model_url), asking("2 + 3?", function(add)), (SPEC,))
    assert "the adding machine is on fire" in answer(steps)
    assert "Traceback" not in answer(steps)


async def test_a_tool_that_is_not_there_is_told_to_the_model(instructed: Config) -> None:
    async with scripted(calling("ad", "{}"), saying("so be it")) as model:
        assert answer(await run(instructed(url=model.url))) == "so be it"
    assert "not found" in model.asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize("arguments", ["{", "[1, 2]"])
async def test_arguments_that_are_no_object_end_the_run(instructed: Config, arguments: str) -> None:
    async with scripted(calling("add", arguments)) as model:
        with pytest.raises(ModelFailure) as caught:
            await run(instructed(url=model.url), asking("?", function()), (SPEC,))
    said = f"the model scripted called add with what is no object: {arguments}"
    assert str(caught.value) == said


async def test_arguments_may_have_any_name(instructed: Config) -> None:
    names = ("config", "context", "ctx", "self", "event", "name", "arguments", "__ctx__")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    given = dict.fromkeys(names, "x")
    seen: list[dict[str, Any]] = []

    async def note(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "noted"

    spec = FunctionSpec(name="note", description="Note.", input_schema=schema)
    async with scripted(calling("note", json.dumps(given)), saying("done")) as model:
        await run(instructed(url=model.url), asking("?", function(note, spec)), (spec,))
    assert seen == [given]
    (tool,) = model.asked[0]["tools"]
    assert tool["function"]["description"] == "Note."
    assert tool["function"]["parameters"]["properties"] == schema["properties"]


async def test_each_run_calls_its_own_tools(instructed: Config, model_url: str) -> None:
    adapter = await build(instructed(url=model_url), (SPEC,))

    def giving(value: str) -> Any:
        async def add(_arguments: dict[str, Any]) -> str:
            await asyncio.sleep(0.05)
            return value

        return add

    values = [str(value) for value in random.sample(range(1000, 9999), 8)]
    asked = [
        asking("2 + 3?", function(giving(value)), stream=place % 2 == 0)
        for place, value in enumerate(values)
    ]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for value, steps in zip(values, answers, strict=True):
        assert value in answer(steps)


async def test_calls_of_one_turn_are_made_at_the_same_time(
    instructed: Config, model_url: str
) -> None:
    together = asyncio.Barrier(2)

    async def add(arguments: dict[str, Any]) -> str:
        await asyncio.wait_for(together.wait(), 10)
        return await adding(arguments)

    asked = asking("Add 1 and 2, then add 30 and 40.", function(add))
    said = answer(await run(instructed(url=model_url), asked, (SPEC,)))
    assert "3" in said
    assert "70" in said


@pytest.mark.parametrize("stream", [False, True])
async def test_the_iterations_are_limited(
    instructed: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001
) -> None:
    asked = asking("2 + 3?", function(), stream=stream)
    assert "5" in answer(await run(instructed(url=model_url, iterations=2), asked, (SPEC,)))
    with pytest.raises(AgentFailure) as caught:
        await run(instructed(url=model_url, iterations=1), asked, (SPEC,))
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
    instructed: Config,
    model_url: str,
    model: str,
    kind: type[AgentFailure],
    said: str,
    stream: bool,  # noqa: FBT001
) -> None:
    execution = Execution(timeout_seconds=1)
    made = instructed(url=model_url, model=model, execution=execution)
    with pytest.raises(kind) as caught:
        await run(made, asking(stream=stream))
    assert type(caught.value) is kind
    assert said.format(host=model_url) in str(caught.value)
    assert str(caught.value).startswith(f"the model {model} ") or kind is EmptyAnswer
    assert caught.value.retryable is (kind is ModelBusy)


async def test_a_model_that_is_not_there_is_told(instructed: Config) -> None:
    async with no_model() as url:
        with pytest.raises(ModelFailure, match=f"the model stand-in at {url}.* cannot be reached"):
            await run(instructed(url=url))


async def test_a_stream_that_just_ends_is_no_answer(instructed: Config) -> None:
    piece = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    piece += b'"choices":[{"index":0,"delta":{"role":"assistant","content":"The answer"}}]}\n\n'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        writer.write(head + f"Content-Length: {len(piece)}\r\n\r\n".encode() + piece)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelFailure) as caught:
            await run(instructed(url=url), asking(stream=True))
    assert str(caught.value) == "the model m broke off in the middle of its answer"


async def test_the_budget_of_calls_ends_the_run(instructed: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise CallBudgetSpent("no more calls (spec.budget.toolCalls)")

    asked = asking("2 + 3?", function(add))
    steps: list[Step] = []
    adapter = await build(instructed(url=model_url), (SPEC,))
    with pytest.raises(BudgetExceeded, match="no more calls"):
        steps += [step async for step in adapter.run(asked)]


async def test_with_a_budget_of_tokens_costs_come_as_they_arise(
    instructed: Config, model_url: str
) -> None:
    called: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        called.append(arguments)
        return await adding(arguments)

    adapter = await build(instructed(url=model_url, budget=Budget(tokens=1)), (SPEC,))
    steps = adapter.run(asking("2 + 3?", function(add)))
    assert isinstance(await anext(steps), Used)
    await asyncio.sleep(0.2)  # the agent waits, it is not only slow
    await steps.aclose()  # type: ignore[attr-defined]  # adapters are generators
    assert called == []


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelling_ends_the_call_of_the_model(
    instructed: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001
) -> None:
    adapter = await build(instructed(url=model_url, model="hang"), ())
    before = asyncio.all_tasks()
    running = asyncio.create_task(steps_of(adapter, asking(stream=stream)))
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 1
    assert asyncio.all_tasks() == before
