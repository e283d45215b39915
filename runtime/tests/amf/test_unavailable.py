"""An Agent whose workers cannot start: who would wait for it is told why, work that may is kept."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from a2a.types import SendMessageConfiguration

from runtime.contract.catalogue import AgentEntry
from runtime.tests.amf.a2a.clients import a2a_client, read, saying, task_in
from runtime.tests.amf.clients import http_client, openai_client, random_words
from runtime.tests.amf.mcp_server.clients import mcp_client, text_of
from runtime.tests.amf.plays import acting, echo
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

WHY = "worker stopped (CrashLoop); the status of its Agent says why"


@pytest_asyncio.fixture(loop_scope="session")
async def broken(server: Server) -> AsyncIterator[AgentEntry]:
    """An Agent that was made, and whose workers end at once."""
    name = f"a{secrets.token_hex(3)}"
    entry = await server.add_agent(name, available=False, reason="CrashLoop", message=WHY)
    yield entry
    await server.remove_agent(entry)


async def post(server: Server, path: str, **body: Any) -> httpx.Response:
    async with http_client(server) as client:
        return await client.post(path, json=body)


def check_refused(answer: httpx.Response, model: str) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("agent_unavailable", "model")
    assert error["message"].startswith(
        f"No worker of the agent {model} can start at the moment: {WHY}. "
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_who_would_wait_is_told_why(
    server: Server, broken: AgentEntry, *, stream: bool
) -> None:
    asked = {"model": f"agents/{broken.model}", "stream": stream}
    said = [{"role": "user", "content": "?"}]

    check_refused(await post(server, "/responses", input="?", **asked), broken.model)
    check_refused(await post(server, "/chat/completions", messages=said, **asked), broken.model)


async def test_clients_of_older_versions_are_told_too(server: Server, broken: AgentEntry) -> None:
    made = await post(server, "/agents", agent_config={"model": broken.model, "instructions": ""})
    at = f"/agents/{made.json()['agent_id']}/session"
    session = await post(server, at, session_name="first")
    turns = f"{at}/{session.json()['session_id']}/turn"

    turn = await post(server, turns, messages=[{"role": "user", "content": "?"}], stream=True)

    check_refused(turn, broken.model)


async def test_who_calls_it_by_mcp_is_told(server: Server, broken: AgentEntry) -> None:
    async with mcp_client(server) as client:
        result = await client.ask(broken.model, "?")

    assert result["isError"]
    assert WHY in text_of(result)


async def test_work_that_nobody_waits_for_is_taken_in_and_done_once_it_is_mended(
    server: Server, broken: AgentEntry
) -> None:
    words = random_words()
    async with openai_client(server) as client:
        waiting = await client.responses.create(model=broken.model, input=words, background=True)
        assert waiting.status == "queued"
        workload = await server.nats.agent(broken.agent.name)
        await server.tell(broken.model_copy(update={"available": True, "ready": True}))
        async with acting(server.nats, workload, echo):
            while waiting.status in {"queued", "in_progress"}:
                waiting = await client.responses.retrieve(waiting.id)

    assert waiting.output_text == words


async def test_a_task_of_a2a_is_taken_in_unless_its_client_waits(
    server: Server, broken: AgentEntry
) -> None:
    at_once = saying("?")
    at_once.configuration.CopyFrom(SendMessageConfiguration(return_immediately=True))
    async with a2a_client(server, broken.model, streaming=False) as client:
        taken = task_in(await read(client.send_message(at_once)))
    waiting = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "SendMessage",
        "params": {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "?"}]}},
    }
    async with httpx.AsyncClient(base_url=server.url) as http:
        refused = await http.post(
            f"/a2a/{broken.model}", json=waiting, headers={"A2A-Version": "1.0"}
        )

    assert taken.id
    assert refused.status_code == 503
    assert WHY in refused.json()["error"]["message"]


async def test_how_it_is_can_be_seen_beforehand(server: Server, broken: AgentEntry) -> None:
    about = (await server.models())[f"agents/{broken.model}"]
    async with httpx.AsyncClient(base_url=server.url) as http:
        listed = (await http.get("/v1alpha/k8gentai/agents")).json()["data"]
    found = next(one for one in listed if one["model"] == broken.model)

    told = {"state": "Unavailable", "reason": "CrashLoop", "message": WHY}
    assert about.items() >= told.items()
    assert found.items() >= told.items()


async def test_it_is_listed_all_the_while_that_it_changes(
    server: Server, broken: AgentEntry
) -> None:
    """A client that looks at the wrong moment must not believe that it is gone."""
    seen: list[bool] = []

    async def look() -> None:
        while True:
            seen.append(f"agents/{broken.model}" in await server.models())

    looking = asyncio.create_task(look())
    for number in range(5):
        await server.tell(broken.model_copy(update={"message": f"{WHY} {number}"}))
    looking.cancel()

    assert len(seen) > 5
    assert all(seen)


@pytest.mark.parametrize("background", [False, True])
async def test_one_that_was_never_made_takes_nothing_and_says_what_is_missing(
    server: Server, *, background: bool
) -> None:
    missing = "spec.tools[0].toolRef: there is no Tool add in namespace team; create it"
    entry = await server.add_agent(
        f"a{secrets.token_hex(3)}", accepting=False, available=False, message=missing
    )
    try:
        answer = await post(
            server, "/responses", model=entry.model, input="?", background=background
        )
    finally:
        await server.remove_agent(entry)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["message"] == (
        f"The agent {entry.model} has no workers yet: {missing}."
    )
