"""The clients that people use, and Agents to ask with them."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
from llama_stack_client import AsyncLlamaStackClient

from runtime.tests.amf.plays import Actor, Script, acting, echo
from runtime.tests.amf.server import Server


@contextlib.asynccontextmanager
async def agent(
    server: Server, script: Script = echo, **about: Any
) -> AsyncIterator[tuple[str, Actor]]:
    """An Agent of its own, with a worker that plays `script`: its model and its worker.

    The server is shared and shows a few names at a time, so it goes when the test is done.
    """
    name = f"a{secrets.token_hex(3)}"
    workload = await server.nats.agent(name)
    entry = await server.add_agent(name, **about)
    async with acting(server.nats, workload, script) as actor:
        yield entry.model, actor
    await server.remove_agent(entry)


async def agent_without_worker(server: Server, **about: Any) -> str:
    """An Agent scaled to zero: its model."""
    name = f"a{secrets.token_hex(3)}"
    await server.nats.agent(name)
    return (await server.add_agent(name, **about)).model


def openai_client(server: Server) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def stack_client(server: Server) -> AsyncLlamaStackClient:
    return AsyncLlamaStackClient(base_url=server.url, max_retries=0)


def http_client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{server.url}/v1", timeout=30)


def random_words() -> str:
    return " ".join(secrets.token_hex(2) for _ in range(5))
