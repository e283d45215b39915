"""What the tests of users' own agents need, and the connections to models closed again."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    # Environments without AG2 read this file, too.
    import openai  # noqa: PLC0415

    from runtime.adapters.ag2_model import connections  # noqa: PLC0415

    yield
    await connections().aclose()
    connections.cache_clear()
    for client in [thing for thing in gc.get_objects() if type(thing) is openai.AsyncOpenAI]:
        await client.close()


@pytest.fixture
def environment(model_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker sets for a user's own code."""
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")


@pytest.fixture
def own(config: Config, model_url: str, environment: None) -> Config:
    """The configuration of an agent with this source."""
    del environment

    def made(source: str, entrypoint: str = "agent", **facts: Any) -> Any:
        facts = {"url": model_url, "framework": Framework.AG2} | facts
        return config(source, entrypoint, **facts)

    return made
