"""The connections to models closed again when the tests of a module have ended."""

import gc
from collections.abc import AsyncIterator

import pytest_asyncio


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
