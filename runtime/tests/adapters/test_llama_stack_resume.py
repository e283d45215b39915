"""Runs of Llama Stack's Responses API that go on behind what was said in an attempt before."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer
from runtime.tests.clients import close_clients
from runtime.tests.resuming import Attempts, EqualCallsContract, attempts, listened

__all__ = ["attempts"]  # a fixture

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


class TestInstructed(EqualCallsContract):
    framework = Framework.LLAMA_STACK
    served_by = "stack_url"
    model, other_model = "small/stand-in", "small/slow-1"


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
