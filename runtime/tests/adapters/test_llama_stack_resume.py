"""Runs of Llama Stack's Responses API that go on behind what was said in an attempt before."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer
from runtime.tests.clients import close_clients
from runtime.tests.resuming import (
    Attempts,
    Made,
    listened,
    test_a_run_goes_on,
    test_a_run_goes_on_to_the_form_that_is_wanted,
    test_a_run_of_one_turn_keeps_nothing,
    test_an_agent_that_restarts_keeps_nothing_and_asks_again,
    test_another_version_of_the_agent_begins_anew,
    test_attempts_share_the_limit_of_turns,
    test_equal_calls_are_told_apart,
    test_it_goes_on_as_often_as_need_be,
    test_no_key_is_kept,
    test_what_cannot_be_used_begins_the_run_anew,
)

__all__ = [
    "test_a_run_goes_on",
    "test_a_run_goes_on_to_the_form_that_is_wanted",
    "test_a_run_of_one_turn_keeps_nothing",
    "test_an_agent_that_restarts_keeps_nothing_and_asks_again",
    "test_another_version_of_the_agent_begins_anew",
    "test_attempts_share_the_limit_of_turns",
    "test_equal_calls_are_told_apart",
    "test_it_goes_on_as_often_as_need_be",
    "test_no_key_is_kept",
    "test_what_cannot_be_used_begins_the_run_anew",
]

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


@pytest_asyncio.fixture(loop_scope="module")
async def attempts(config: Config, stack_url: str) -> AsyncIterator[Made]:
    async with listened(stack_url) as proxy:

        def made(*, stream: bool = False, restarts: bool = False, **facts: Any) -> Attempts:
            proxy.calls.clear()
            given = {"framework": Framework.LLAMA_STACK, "model": "small/stand-in"} | facts
            agent = config(url=proxy.url, **given)
            return Attempts(
                agent, proxy, stream=stream, restarts=restarts, other_model="small/slow-1"
            )

        yield made


OWN = """
    import os
    from llama_stack_client import Agent, AsyncLlamaStackClient, LlamaStackClient
    from llama_stack_client.lib.agents.agent import AsyncAgent

    SECRET = {"api_key": "canary", "default_headers": {"Authorization": "Bearer canary"}}
    GIVEN = {"model": "small/stand-in", "instructions": "Calculate."}

    def later(context):
        client = AsyncLlamaStackClient(base_url=os.environ["LLAMA_STACK_CLIENT_BASE_URL"], **SECRET)
        headers = {"X-Key": "canary"}
        return AsyncAgent(client, tools=context.tools, extra_headers=headers, **GIVEN)

    def blocking(context):
        client = LlamaStackClient(base_url=os.environ["LLAMA_STACK_CLIENT_BASE_URL"])
        return Agent(client, tools=context.tools, **GIVEN)
"""


@pytest.mark.parametrize(
    ("entrypoint", "goes_on"),
    [
        ("later", True),
        pytest.param("blocking", False, id="blocking: its server holds what was said"),
    ],
)
async def test_a_users_own_agent(
    config: Config,
    stack_url: str,
    monkeypatch: pytest.MonkeyPatch,
    entrypoint: str,
    goes_on: bool,  # a parameter of the table
) -> None:
    async with listened(stack_url) as proxy:
        monkeypatch.setenv("LLAMA_STACK_CLIENT_BASE_URL", proxy.url.removesuffix("/v1"))
        agent = config(OWN, entrypoint, framework=Framework.LLAMA_STACK, url=proxy.url)
        place = Attempts(agent, proxy)
        await place.cut(calls=2)
        kept = await place.kept()
        assert (kept is not None) is goes_on
        assert b"canary" not in (kept or b"")
        proxy.calls.clear()
        assert "6" in answer(await place.whole())
        assert len(proxy.calls) == (1 if goes_on else 3)
    assert len(place.effects) == 2
