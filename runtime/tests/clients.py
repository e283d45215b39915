"""The connections to models closed again, of whichever frameworks are loaded."""

import gc
import inspect
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest_asyncio

KEPT = {
    "langchain_openai.chat_models._client_utils": ("_cached_async_httpx_client",),
    "runtime.adapters.ag2_model": ("connections",),
    "runtime.adapters.beeai_model": ("client_of",),
    "runtime.adapters.llama_stack": ("client_of",),
}
"""The functions that make a client once for as long as a process lives, by their modules."""
KINDS = {
    "llama_stack_client": ("AsyncLlamaStackClient", "LlamaStackClient"),
    "openai": ("AsyncOpenAI", "DefaultAsyncHttpxClient", "OpenAI"),
}


async def close_clients() -> None:
    """Close what asks models, and forget what would be given out again."""
    kinds = set(_loaded(KINDS))
    clients = [thing for thing in gc.get_objects() if type(thing) in kinds]
    for made_once in _loaded(KEPT):
        made_once.cache_clear()
    for client in clients:
        closing = client.aclose() if hasattr(client, "aclose") else client.close()
        if inspect.isawaitable(closing):
            await closing
    if litellm := sys.modules.get("litellm"):
        litellm.in_memory_llm_clients_cache.flush_cache()


def _loaded(names: Mapping[str, tuple[str, ...]]) -> Iterator[Any]:
    """What is named, of the modules that are loaded."""
    for module, attributes in names.items():
        if found := sys.modules.get(module):
            yield from (getattr(found, name) for name in attributes)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def closed_clients() -> AsyncIterator[None]:
    """The clients of models closed when the tests of a module have ended."""
    gc.disable()  # a worker keeps its one agent; these would go with their connections open
    yield
    await close_clients()
    gc.enable()
