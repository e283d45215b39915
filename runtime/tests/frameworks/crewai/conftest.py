"""CrewAI imported, with the warnings that its own modules make on the way; its clients closed."""

import asyncio
import contextlib
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


@contextlib.asynccontextmanager
async def hanging_model() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """The address of a model that never answers; when it is asked, and when it is left."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server, asyncio.timeout(30):
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked, left
