"""What is there on OGX alone: its own client, and what its server has more than Llama Stack."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from ogx_client import OgxClient
from ogx_client.lib.agents.agent import Agent

from runtime.tests.amf.clients import agent, http_client, random_words
from runtime.tests.amf.server import Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="session"),
    # The client's own: its types of what it sends do not agree with each other.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]


@contextlib.contextmanager
def ogx_client(server: Server) -> Iterator[OgxClient]:
    client = OgxClient(base_url=server.url)
    try:
        yield client
    finally:
        # Its own `close` fails, because the one it calls is not there.
        client.api_client.rest_client.close()  # type: ignore[no-untyped-call]  # it has no types


async def test_the_server_is_ogx(server: Server) -> None:
    async with http_client(server) as client:
        assert (await client.get("/version")).json()["version"] == "1.5.0"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_answers_the_ogx_client(server: Server, *, stream: bool) -> None:
    words = random_words()

    def ask(model: str) -> Any:
        with ogx_client(server) as client:
            answer: Any = client.responses.create(model=model, input=words, stream=stream)
            return list(answer)[-1].response if stream else answer

    async with agent(server) as (model, _):
        answer = await asyncio.to_thread(ask, model)

    assert answer.status == "completed"
    assert answer.output[0].content[0].text == words


async def test_its_agent_helper_talks_in_sessions(server: Server) -> None:
    def talk(model: str) -> list[str]:
        with ogx_client(server) as client:
            helper = Agent(client, model=model, instructions="Be brief.")
            session = helper.create_session("words")
            turns: list[Any] = [
                helper.create_turn([{"role": "user", "content": words}], session, stream=False)
                for words in ("one", "two")
            ]
            return [turn.output_text for turn in turns]

    async with agent(server) as (model, actor):
        assert await asyncio.to_thread(talk, model) == ["one", "two"]

    assert [message.text for message in actor.seen[1].history] == ["one", "one"]


async def test_what_was_said_to_an_agent_is_not_made_shorter(server: Server) -> None:
    async with agent(server) as (model, _), http_client(server) as client:
        refused = await client.post("/responses/compact", json={"model": model, "input": "?"})
        unknown = await client.post("/responses/compact", json={"model": "no/one", "input": "?"})

    assert (refused.status_code, refused.json()["error"]["param"]) == (501, "model")
    assert "previous_response_id" in refused.json()["error"]["message"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_clients_of_anthropic_and_google_have_models_in_their_shapes(server: Server) -> None:
    async with agent(server) as (model, _), http_client(server) as client:
        name = f"agents/{model}"
        anthropic = {"anthropic-version": "2023-06-01"}
        theirs = (await client.get(f"/models/{name}", headers=anthropic)).json()
        listed = (await client.get("/models?limit=1000", headers=anthropic)).json()["data"]
        google = {"x-goog-api-client": "any"}
        googles = (await client.get(f"/models/{name}", headers=google)).json()

    assert (theirs["id"], theirs["display_name"]) == (name, name)
    assert name in [one["id"] for one in listed]
    assert googles == {"name": f"models/{name}", "display_name": name, "description": ""}


async def test_agents_are_not_asked_over_websockets(server: Server) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.url}/v1/responses", headers=upgrade)

    assert answer.status_code == 200  # a plain list: the upgrade is not heard
    assert answer.json()["object"] == "list"


async def test_a_folder_of_its_predecessor_stays_where_it_is(server: Server) -> None:
    assert (server.folder / ".llama").is_dir()
