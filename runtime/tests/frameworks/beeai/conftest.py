"""The connections to models closed again when the tests of a module have ended."""

import gc
import importlib
from collections.abc import AsyncIterator

import pytest_asyncio


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    # Environments without BeeAI read this file, too; and first comes who keeps litellm at home.
    importlib.import_module("runtime.adapters.beeai")
    import litellm  # noqa: PLC0415
    import openai  # noqa: PLC0415

    from runtime.adapters.beeai_model import client_of  # noqa: PLC0415

    yield
    client_of.cache_clear()
    for client in [thing for thing in gc.get_objects() if type(thing) is openai.AsyncOpenAI]:
        await client.close()
    litellm.in_memory_llm_clients_cache.flush_cache()
