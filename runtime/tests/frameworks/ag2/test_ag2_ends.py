"""How users' own AG2 agents are refused, fail and end."""

import asyncio
from typing import Any

import pytest

from runtime.adapters.ag2 import build
from runtime.adapters.port import AgentFailure, BadAgent, ModelBusy
from runtime.contract.agent_config import AgentConfig
from runtime.tests.adapter_contract import ends_within_a_second
from runtime.tests.agents import (
    ON_A_MODEL,
    SPEC,
    Config,
    adding,
    answer,
    asking,
    function,
    run,
    steps_of,
    users,
)

pytestmark = ON_A_MODEL


async def test_an_agent_that_nobody_gave_a_model_is_refused(own: Config) -> None:
    source = "from ag2 import Agent\nagent = Agent('a')"
    with pytest.raises(BadAgent, match="has no config, and the Stack has no model for it"):
        await build(own(source, model=""), ())


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


STUBBORN = """
    import asyncio
    import threading
    import time
    from ag2 import Agent
    from ag2.events import ToolCallEvent
    from ag2.testing import TestConfig

    begun = threading.Event()

    def block() -> str:
        '''Block.'''
        begun.set()
        time.sleep(2)
        return "done"

    async def linger() -> str:
        '''Linger.'''
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
        return "done"

    blocking = Agent("a", config=TestConfig(ToolCallEvent("block"), "never"), tools=[block])
    lingering = Agent("a", config=TestConfig(ToolCallEvent("linger"), "never"), tools=[linger])
"""


async def has_begun(config: AgentConfig) -> None:
    """A tool of the user's."""
    assert await asyncio.to_thread(users(config, "begun").wait, 30)


async def ended(before: set[asyncio.Task[Any]]) -> None:
    """All tasks but those from before: they may end a little after their run."""
    if left := asyncio.all_tasks() - before:
        _, later = await asyncio.wait(left, timeout=10)
        assert not later


@pytest.mark.parametrize("entrypoint", ["blocking", "lingering"])
async def test_cancelling_does_not_wait_for_stubborn_code(own: Config, entrypoint: str) -> None:
    config = own(STUBBORN, entrypoint)
    adapter = await build(config, ())
    before = asyncio.all_tasks()
    running = asyncio.create_task(steps_of(adapter, asking()))
    await has_begun(config)
    await ends_within_a_second(running)
    await ended(before)


async def test_nothing_is_called_for_a_run_that_was_cancelled(own: Config) -> None:
    source = """
        import asyncio
        import threading
        from ag2 import Agent
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig

        begun = threading.Event()

        def agent(context):
            (add,) = context.tools

            async def late() -> str:
                '''Do the sum too late.'''
                begun.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await add.model.call(a=1, b=2)

            return Agent("a", config=TestConfig(ToolCallEvent("late"), "never"), tools=[late])
    """
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    config = own(source)
    adapter = await build(config, (SPEC,))
    running = asyncio.create_task(steps_of(adapter, asking("?", function(add))))
    await has_begun(config)
    await ends_within_a_second(running)
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
    await ended(before)
