"""How users' own AG2 agents are refused, fail and end."""

import asyncio
import time
from importlib.util import find_spec
from typing import Any

import pytest

from runtime.adapters.ag2 import build
from runtime.adapters.port import (
    AgentFailure,
    BadAgent,
    EmptyAnswer,
    ModelBusy,
    Step,
)
from runtime.contract.catalogue import FunctionSpec
from runtime.tests.agents import (
    SPEC,
    Config,
    adding,
    answer,
    asking,
    function,
    steps_of,
)

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

BOTH = pytest.mark.parametrize("stream", [False, True])


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


CLASH = """
    from ag2 import Agent, Toolkit

    def add(): ...
    def agent(context): return Agent("a", tools=[Toolkit(add), *context.tools])
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("agent = 5", "is a int, but spec.framework is AG2, which needs"),
        ("class agent: ...", "is a type, but spec.framework is AG2"),
        ("import ag2\nagent = ag2.Agent", "is a type, but spec.framework is AG2"),
        ("def agent(): return {}", "is a dict, but spec.framework is AG2"),
        ("def agent(a, b): ...", "takes a, b; a function that makes an agent"),
        ("def agent(): 1 / 0", "py:1 ZeroDivisionError: division by zero"),
        ("agnt = 5", "has no agent; did you mean agnt?"),
        (
            "import ag2, threading\nagent = ag2.Agent('a', variables={'x': threading.Lock()})",
            "has variables that cannot be copied for each run",
        ),
        (
            CLASH,
            "has two tools named add, one of them from spec.tools",
        ),
        (
            "from autogen import ConversableAgent",
            "No module named 'autogen'",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_agent_is_refused(own: Config, source: str, said: str) -> None:
    from runtime.adapters.registry import build as build_any  # noqa: PLC0415

    with pytest.raises(BadAgent) as caught:
        await build_any(own(source), (SPEC,))
    assert said in str(caught.value)
    assert str(caught.value).startswith('spec.source.module.entrypoint "users_agent_')


@pytest.mark.skipif(find_spec("langgraph") is None, reason="no other framework is installed here")
async def test_what_another_framework_made_is_refused(own: Config) -> None:
    source = """
        from langgraph.graph import MessagesState, StateGraph
        agent = StateGraph(MessagesState)
    """
    with pytest.raises(BadAgent, match=r"is a langgraph\..*StateGraph, but spec.framework is AG2"):
        await build(own(source), ())


async def test_an_agent_that_nobody_gave_a_model_is_refused(own: Config) -> None:
    source = "from ag2 import Agent\nagent = Agent('a')"
    with pytest.raises(BadAgent, match="has no config, and the Stack has no model for it"):
        await build(own(source, model=""), ())


@BOTH
async def test_an_error_of_the_users_code_names_its_line(
    own: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    source = """
        from ag2 import Agent
        from ag2.middleware import BaseMiddleware
        from ag2.testing import TestConfig

        class Broken(BaseMiddleware):
            async def on_llm_call(self, call_next, events, context):
                return 1 / 0

        agent = Agent("a", config=TestConfig("hi"), middleware=[Broken])
    """
    with pytest.raises(
        AgentFailure, match=r"users_agent_\d+\.py:8 ZeroDivisionError: division"
    ) as caught:
        await run(own(source), asking(stream=stream))
    assert type(caught.value) is AgentFailure


async def test_a_busy_model_of_the_users_own_is_told(own: Config) -> None:
    source = """
        import os
        from ag2 import Agent
        from ag2.config import OpenAIConfig

        agent = Agent("a", config=OpenAIConfig("error-429", max_retries=0))
    """
    with pytest.raises(ModelBusy, match="has no capacity at the moment"):
        await run(own(source))


async def test_an_agent_that_waits_for_a_person_is_told(own: Config) -> None:
    source = """
        from ag2 import Agent, Context
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig

        async def ask(context: Context) -> str:
            '''Ask.'''
            return await context.input("may I?")

        agent = Agent("a", config=TestConfig(ToolCallEvent("ask"), "never"), tools=[ask])
    """
    with pytest.raises(AgentFailure, match="the agent asked for human input, and nobody can"):
        await run(own(source))


async def test_an_agent_without_a_word_is_told(own: Config) -> None:
    source = """
        from ag2 import Agent
        from ag2.testing import TestConfig

        agent = Agent("a", config=TestConfig(" "))
    """
    with pytest.raises(EmptyAnswer):
        await run(own(source))


@BOTH
async def test_code_that_cancels_itself_has_failed(
    own: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    source = """
        import asyncio
        from ag2 import Agent
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig

        async def leave() -> str:
            '''Leave.'''
            raise asyncio.CancelledError

        agent = Agent("a", config=TestConfig(ToolCallEvent("leave"), "never"), tools=[leave])
    """
    with pytest.raises(AgentFailure, match="the agent was cancelled by its own code"):
        await run(own(source), asking(stream=stream))


STUBBORN = """
    import asyncio
    import time
    from ag2 import Agent
    from ag2.events import ToolCallEvent
    from ag2.testing import TestConfig

    def block() -> str:
        '''Block.'''
        time.sleep(2)
        return "done"

    async def linger() -> str:
        '''Linger.'''
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
        return "done"

    blocking = Agent("a", config=TestConfig(ToolCallEvent("block"), "never"), tools=[block])
    lingering = Agent("a", config=TestConfig(ToolCallEvent("linger"), "never"), tools=[linger])
"""


@pytest.mark.parametrize("entrypoint", ["blocking", "lingering"])
async def test_cancelling_does_not_wait_for_stubborn_code(own: Config, entrypoint: str) -> None:
    adapter = await build(own(STUBBORN, entrypoint), ())
    before = asyncio.all_tasks()
    running = asyncio.create_task(steps_of(adapter, asking()))
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 1
    if left := asyncio.all_tasks() - before:
        _, later = await asyncio.wait(left, timeout=10)
        assert not later


async def test_nothing_is_called_for_a_run_that_was_cancelled(own: Config) -> None:
    source = """
        import asyncio
        from ag2 import Agent
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig

        def agent(context):
            (add,) = context.tools

            async def late() -> str:
                '''Do the sum too late.'''
                try:
                    await asyncio.sleep(60)
                finally:
                    await add.model.call(a=1, b=2)

            return Agent("a", config=TestConfig(ToolCallEvent("late"), "never"), tools=[late])
    """
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    adapter = await build(own(source), (SPEC,))
    running = asyncio.create_task(steps_of(adapter, asking("?", function(add))))
    await asyncio.sleep(0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert calls == []


async def test_what_goes_on_in_the_background_ends_with_the_run(
    own: Config, model_url: str
) -> None:
    source = f"""
        from ag2 import Agent
        from ag2.config import OpenAIConfig
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig
        from ag2.tools.subagents.background import background_agent_tool

        slow = Agent("slow", config=OpenAIConfig("hang", base_url="{model_url}"))
        start = background_agent_tool(slow, name="start", description="Start it.")
        call = ToolCallEvent("start", arguments='{{"objective": "wait"}}')
        agent = Agent("a", config=TestConfig(call, "started"), tools=[start])
    """
    before = asyncio.all_tasks()
    assert answer(await run(own(source))) == "started"
    await asyncio.sleep(0.2)
    assert asyncio.all_tasks() == before
