"""Llama Stack agents on a real Llama Stack server and a model that reads."""

import asyncio
import contextlib
import gc
import random
import time
from typing import Any, override

import httpcore
import llama_stack_client
import pytest
from llama_stack_client.lib.agents.agent import AsyncAgent
from llama_stack_client.lib.agents.types import ToolCall

from runtime.adapters.llama_stack import build
from runtime.adapters.llama_stack_tools import PlatformTool, arguments_of
from runtime.adapters.port import AgentFailure, BadAgent, BudgetExceeded, ModelFailure, Text, Used
from runtime.contract.agent_config import AgentConfig, Framework
from runtime.kit.proxy import Endpoint, ModelProxy
from runtime.tests.adapter_contract import (
    BOTH,
    SUM,
    AdapterContract,
    ends_within_a_second,
    failing,
    fails,
)
from runtime.tests.agents import (
    ON_A_MODEL,
    SPEC,
    Config,
    answer,
    asking,
    cost,
    function,
    run,
    steps_of,
    text,
)
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure

pytestmark = ON_A_MODEL

AGENT = """
    import os
    from llama_stack_client import Agent, AsyncLlamaStackClient, LlamaStackClient
    from llama_stack_client.lib.agents.agent import AsyncAgent

    URL = os.environ["LLAMA_STACK_CLIENT_BASE_URL"]
    MODEL = "small/stand-in"

    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.

        :param a: the first
        :param b: the second
        '''
        return a * b

    agent = Agent(LlamaStackClient(base_url=URL), model=MODEL, instructions="", tools=[multiply])

    async def later():
        return AsyncAgent(
            AsyncLlamaStackClient(base_url=URL), model=MODEL, instructions="", tools=[multiply]
        )

    def with_context(context):
        client = LlamaStackClient(base_url=URL)
        tools = [*context.tools, multiply]
        return Agent(client, model=context.model, instructions="", tools=tools)

    def slow():
        client = LlamaStackClient(base_url=URL)
        return Agent(client, model="small/hang", instructions="", tools=[])
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, stack_url: str) -> None:
    monkeypatch.setenv("LLAMA_STACK_CLIENT_BASE_URL", stack_url.removesuffix("/v1"))


@pytest.fixture
def stack(config: Config, stack_url: str) -> Config:
    """The configuration of a Llama Stack agent."""

    def made(*given: Any, model: str = "stand-in", **facts: Any) -> AgentConfig:
        facts = {"url": stack_url, "framework": Framework.LLAMA_STACK} | facts
        return config(*given, model=f"small/{model}", **facts)

    return made


class TestInstructed(AdapterContract):
    framework = Framework.LLAMA_STACK
    path = "/responses"

    @pytest.fixture
    @override
    def server_url(self, stack_url: str) -> str:
        return stack_url

    @BOTH
    @pytest.mark.parametrize(
        ("model", "said"),
        [
            ("error-500", "The model 'error-500' refuses with 500."),
            ("garbage", "An unexpected error occurred while generating the response."),
            ("cut", "An unexpected error occurred while generating the response."),
        ],
    )
    async def test_a_model_that_fails_is_told(
        self, instructed: Config, model: str, said: str, stream: bool
    ) -> None:
        await fails(instructed(model=model), ModelFailure, said, stream=stream)


@BOTH
async def test_a_model_that_nobody_knows_is_told(
    config: Config,
    stack_url: str,
    stream: bool,
) -> None:
    made = config(url=stack_url, model="nope/x", framework=Framework.LLAMA_STACK)
    with pytest.raises(ModelFailure, match=f"the model nope/x at {stack_url}.*not found"):
        await run(made, asking(stream=stream))


# A user's own agent


@BOTH
@pytest.mark.parametrize("entrypoint", ["agent", "later", "with_context"])
async def test_an_agent_runs_in_whatever_form_it_is_given(
    stack: Config,
    entrypoint: str,
    stream: bool,
) -> None:
    a, b = random.sample(range(11, 99), 2)
    asked = asking(f"What is {a} * {b}?", function(), stream=stream)
    steps = await run(stack(AGENT, entrypoint), asked, (SPEC,))
    assert str(a * b) in answer(steps)
    assert text(steps) == (answer(steps) if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 2
    assert cost(steps).input_tokens > 0


async def test_a_blocking_agent_may_use_the_platforms_tools(stack: Config) -> None:
    asked = asking("What is 4 * 5? What is 100 + 11?", function())
    said = answer(await run(stack(AGENT, "with_context"), asked, (SPEC,)))
    assert "20" in said
    assert "111" in said


async def test_a_blocking_agent_does_not_block_the_loop(stack: Config) -> None:
    adapter = await build(stack(AGENT, "agent"), ())
    running = asyncio.create_task(steps_of(adapter, asking("What is 3 * 4?")))
    longest = 0.0
    while not running.done():
        begun = time.monotonic()
        await asyncio.sleep(0)  # how long the loop takes to come back is the point
        longest = max(longest, time.monotonic() - begun)
        await asyncio.sleep(0.001)
    assert "12" in answer(await running)
    assert longest < 0.5


async def test_a_blocking_agent_leaves_no_session_behind(stack: Config, stack_url: str) -> None:
    adapter = await build(stack(AGENT, "agent"), ())
    agent: Any = adapter._player._agent  # type: ignore[attr-defined]  # what the test is about
    sessions: list[str] = []
    create = agent.create_session

    def noted(name: str) -> str:
        sessions.append(create(name))
        return sessions[-1]

    agent.create_session = noted
    await steps_of(adapter, asking("What is 3 * 4?"))
    assert agent.sessions == []
    client = llama_stack_client.LlamaStackClient(base_url=stack_url.removesuffix("/v1"))
    with client, pytest.raises(llama_stack_client.NotFoundError):
        client.conversations.retrieve(sessions[0])


async def test_cancelling_leaves_a_blocking_agent_alone(
    stack: Config, stack_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelProxy(Endpoint(stack_url)).serving() as proxy:
        monkeypatch.setenv("LLAMA_STACK_CLIENT_BASE_URL", proxy.url.removesuffix("/v1"))
        adapter = await build(stack(AGENT, "slow"), ())
        running = asyncio.create_task(steps_of(adapter, asking(stream=True)))
        assert await proxy.until(lambda: proxy.open == 1, 30)
        await ends_within_a_second(running)


@pytest.mark.parametrize("model", ["slow-50", "garbage"])
async def test_an_agent_that_was_left_amid_its_text_can_be_asked_again(
    stack: Config, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    assign = httpcore.ConnectionPool._assign_requests_to_connections

    def collecting(pool: httpcore.ConnectionPool) -> Any:
        gc.collect()  # which else comes by chance while the lock of the connections is held
        return assign(pool)

    monkeypatch.setattr(httpcore.ConnectionPool, "_assign_requests_to_connections", collecting)
    adapter = await build(stack(AGENT.replace("small/hang", f"small/{model}"), "slow"), ())
    for _ in range(3):
        running: Any = adapter.run(asking("What is 3 * 4?", stream=True))
        with contextlib.suppress(ModelFailure):
            async with asyncio.timeout(30), contextlib.aclosing(running):
                assert isinstance(await anext(running), Text)


@pytest.mark.parametrize("entrypoint", ["later_with_tools", "with_context"])
async def test_the_budget_of_calls_ends_the_run(stack: Config, entrypoint: str) -> None:
    source = f"""{AGENT}
    def later_with_tools(context):
        client = AsyncLlamaStackClient(base_url=URL)
        return AsyncAgent(client, model=MODEL, instructions="", tools=context.tools)
    """
    add = failing(CallBudgetSpent("no more calls (spec.budget.toolCalls)"))
    with pytest.raises(BudgetExceeded, match="no more calls"):
        await run(stack(source, entrypoint), asking(SUM, function(add)), (SPEC,))


async def test_code_that_cancels_itself_has_failed(stack: Config) -> None:
    add = failing(asyncio.CancelledError())
    with pytest.raises(AgentFailure, match="the agent was cancelled by its own code"):
        await run(stack(), asking(SUM, function(add)), (SPEC,))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("agent = 5", "is an int, but spec.framework is LlamaStack, which needs"),
        ("def agent(): 1 / 0", "py:1 ZeroDivisionError: division by zero"),
    ],
)
async def test_what_is_no_agent_is_refused(stack: Config, source: str, said: str) -> None:
    with pytest.raises(BadAgent) as caught:
        await build(stack(source, "agent"), ())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"), [("{", "the arguments are no JSON"), ("[1]", "are no JSON object")]
)
async def test_arguments_that_are_none_are_told(arguments: str, said: str) -> None:
    call = ToolCall(call_id="1", tool_name="add", arguments=arguments)
    with pytest.raises(ToolFailure, match=said):
        arguments_of(call)


async def test_an_async_agent_still_needs_our_turns() -> None:
    """Once it runs by itself, `loop_of` has no reason left."""
    assert not hasattr(AsyncAgent, "initialize")
    assert PlatformTool(SPEC).get_tool_definition()["name"] == "add"
