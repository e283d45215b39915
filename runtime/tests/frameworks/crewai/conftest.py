"""CrewAI imported, with the warnings that its own modules make on the way; its clients closed."""

import gc
import warnings
from collections.abc import AsyncIterator
from importlib.util import find_spec

import openai
import pytest_asyncio

if find_spec("crewai"):  # environments without it read this file, too
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai.rag'", ImportWarning)
        import runtime.adapters.crewai  # noqa: F401


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    """Close the connections that the clients of models keep for as long as a process lives."""
    gc.disable()  # a worker keeps its one agent; these would go with their connections open
    yield
    kinds = {openai.AsyncOpenAI, openai.OpenAI}
    for client in [thing for thing in gc.get_objects() if type(thing) in kinds]:
        closing = client.close()
        if closing is not None:
            await closing
    gc.enable()
