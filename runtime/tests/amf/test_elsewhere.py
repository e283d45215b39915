"""Models that are no agent, behind the same server and the same API."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from controller.local.site import free_port
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent, http_client, openai_client, stack_client
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import running_stack

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

STAND_IN = Path(__file__).parents[3] / "hack" / "model" / "server.py"
MODEL = "small/stand-in"


@contextlib.asynccontextmanager
async def running_model() -> AsyncIterator[str]:
    """The stand-in model for as long as the body runs: its URL."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        STAND_IN,
        "--port",
        str(port),
        env=os.environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client, asyncio.timeout(30):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.get(f"{url}/health")
                    break
                await asyncio.sleep(0.1)
        yield f"{url}/v1"
    finally:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """As the other one, with a model behind it."""
    folder = tmp_path_factory.mktemp("stack")
    async with (
        running_model() as url,
        running_stack(ObjectName(namespace="team", name="default"), folder) as nats,
        running_server(nats, tmp_path_factory.mktemp("server"), model_url=url) as running,
    ):
        yield running


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_answers_as_without_us(server: Server, *, stream: bool) -> None:
    async with openai_client(server) as client:
        answer: Any = await client.responses.create(model=MODEL, input="Hello", stream=stream)
        if stream:
            events = [event async for event in answer]
            answer = events[-1].response

    assert answer.output_text
    assert answer.model == MODEL


async def test_its_responses_are_asked_for_and_deleted_as_without_us(server: Server) -> None:
    async with openai_client(server) as client, stack_client(server) as other:
        response = await client.responses.create(model=MODEL, input="Hello")
        again = await client.responses.retrieve(response.id)
        listed = await other.responses.list(model=MODEL)
        items = await client.responses.input_items.list(response.id)
        await client.responses.delete(response.id)

    assert again.output_text == response.output_text
    assert response.id in [one.id for one in listed.data]
    assert items.data


async def test_agents_and_models_take_part_in_one_chat_api(server: Server) -> None:
    async with agent(server) as (model, _), openai_client(server) as client:
        said: Any = [{"role": "user", "content": "Hello"}]
        texts = [
            (await client.chat.completions.create(model=name, messages=said)).choices[0]
            for name in (MODEL, f"agents/{model}")
        ]

    assert all(choice.message.content for choice in texts)


async def test_models_answer_while_the_queue_is_away(server: Server) -> None:
    await server.nats.server.stop()
    try:
        async with openai_client(server) as client:
            response = await client.responses.create(model=MODEL, input="Hello")
    finally:
        await server.nats.server.start()

    assert response.output_text


async def test_chats_of_agents_with_their_models_are_not_kept(server: Server) -> None:
    async with openai_client(server) as client, http_client(server) as plain:
        said: Any = [{"role": "user", "content": "A secret"}]
        await client.chat.completions.create(model=MODEL, messages=said)
        listed = await plain.get("/chat/completions")

    assert listed.status_code == 501
