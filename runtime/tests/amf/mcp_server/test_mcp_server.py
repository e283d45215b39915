"""Agents over MCP, with the SDK's own client: a real server and queue."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import McpError, types

from runtime.tests.amf.approvals import adding
from runtime.tests.amf.clients import agent, agent_without_worker, random_words
from runtime.tests.amf.events import failed, started
from runtime.tests.amf.mcp_server.clients import mcp_client, text_of
from runtime.tests.amf.plays import Actor, Play, until_cancelled
from runtime.tests.amf.server import Server, running_server
from runtime.tests.amf.test_approvals import record as record_of

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
}


async def test_agents_are_tools(server: Server) -> None:
    closed = await agent_without_worker(server, accepting=False)
    async with agent(server, description="Says it.") as (model, _), mcp_client(server) as client:
        tools = {one.name: one for one in (await client.session.list_tools()).tools}

    assert tools[model].description == "Says it."
    assert tools[model].inputSchema["required"] == ["input"]
    assert closed not in tools


async def test_a_call_is_a_run(server: Server) -> None:
    words = random_words()
    async with agent(server) as (model, actor), mcp_client(server) as client:
        result = await client.ask(model, words)

    assert (text_of(result), result.isError) == (words, False)
    assert [one.options.stream for one in actor.seen] == [False]


async def test_who_wants_it_is_told_how_far_a_call_has_come(server: Server) -> None:
    told: list[tuple[float, str | None]] = []

    async def progress(done: float, _total: float | None, message: str | None) -> None:
        told.append((done, message))

    words = random_words()
    async with agent(server) as (model, _), mcp_client(server) as client:
        result = await client.ask(model, words, progress_callback=progress)

    assert text_of(result) == words
    assert "".join(message or "" for _, message in told) == words
    assert [done for done, _ in told] == list(range(1, len(told) + 1))


async def test_a_run_that_fails_is_a_sentence_for_the_model(server: Server) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), failed("The model is away.")])

    async with agent(server, fail) as (model, _), mcp_client(server) as client:
        result = await client.ask(model, "Hello")

    assert (text_of(result), result.isError) == ("The model is away.", True)


async def test_a_call_that_needs_a_person_is_cancelled_and_says_so(people: Server) -> None:
    async with agent(people, adding()) as (model, actor), mcp_client(people) as client:
        result = await client.ask(model, "2+3?")
        await until_the_run_has_ended(people, actor)
        ended = await record_of(people, actor)

    assert text_of(result).startswith("A person has to approve the call of plus")
    assert (result.isError, ended.state) == (True, "Cancelled")


@dataclass
class Working:
    """A run that says when it has begun, and goes on until it is cancelled."""

    begun: asyncio.Event

    async def __call__(self, play: Play) -> None:
        self.begun.set()
        await until_cancelled(play)


async def test_a_cancelled_request_cancels_its_run(server: Server) -> None:
    working = Working(asyncio.Event())
    async with agent(server, working) as (model, _), mcp_client(server) as client:
        calling = asyncio.create_task(client.ask(model, "Work"))
        await asyncio.wait_for(working.begun.wait(), 10)
        await client.session.send_notification(cancellation(1))
        result = await asyncio.wait_for(calling, 10)

    assert (text_of(result), result.isError) == ("The run was cancelled.", True)


async def test_sessions_do_not_cancel_each_others_requests(server: Server) -> None:
    """They number their requests alike; the name of the session tells them apart."""
    working = Working(asyncio.Event())
    async with (
        agent(server, working) as (model, _),
        mcp_client(server) as mine,
        mcp_client(server) as other,
    ):
        calling = asyncio.create_task(mine.ask(model, "Work"))
        await asyncio.wait_for(working.begun.wait(), 10)
        await other.session.send_notification(cancellation(1))
        await other.session.list_tools()  # it was read by then
        assert not calling.done()
        await mine.session.send_notification(cancellation(1))
        result = await asyncio.wait_for(calling, 10)

    assert mine.name != other.name
    assert text_of(result) == "The run was cancelled."


async def test_a_request_is_cancelled_at_any_server(server: Server, tmp_path: Path) -> None:
    working = Working(asyncio.Event())
    async with (
        agent(server, working) as (model, _),
        running_server(server.nats, tmp_path) as other,
        mcp_client(server) as client,
        httpx.AsyncClient(headers=HEADERS | {"mcp-session-id": client.name}) as elsewhere,
    ):
        calling = asyncio.create_task(client.ask(model, "Work"))
        await asyncio.wait_for(working.begun.wait(), 10)
        notification = cancellation(1).model_dump(by_alias=True, exclude_none=True)
        answer = await elsewhere.post(f"{other.url}/mcp", json={"jsonrpc": "2.0"} | notification)
        result = await asyncio.wait_for(calling, 10)

    assert answer.status_code == 202
    assert text_of(result) == "The run was cancelled."


def cancellation(request: int) -> types.ClientNotification:
    params = types.CancelledNotificationParams(requestId=request)
    return types.ClientNotification(types.CancelledNotification(params=params))


async def test_a_client_that_goes_away_cancels_its_run(server: Server) -> None:
    working = Working(asyncio.Event())
    async with agent(server, working) as (model, actor):
        async with httpx.AsyncClient(base_url=server.url, headers=HEADERS) as http:
            asking = asyncio.create_task(http.post("/mcp", json=request(model)))
            await asyncio.wait_for(working.begun.wait(), 10)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await until_the_run_has_ended(server, actor)
        ended = await record_of(server, actor)

    assert ended.state == "Cancelled"


async def until_the_run_has_ended(server: Server, actor: Actor) -> None:
    async with asyncio.timeout(10):
        while not (await record_of(server, actor)).state.is_end:
            await asyncio.sleep(0.05)


def request(model: str, arguments: Any = None) -> dict[str, Any]:
    params = {"name": model, "arguments": {"input": "Hello"} if arguments is None else arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


async def test_a_client_without_a_session_is_answered_as_well(server: Server) -> None:
    async with (
        agent(server) as (model, _),
        httpx.AsyncClient(base_url=server.url, headers=HEADERS) as http,
    ):
        answer = await http.post("/mcp", json=request(model))
        again = await http.post("/mcp", json=request(model))

    assert '"Hello"' in answer.text
    assert '"Hello"' in again.text


async def test_a_request_is_answered_once_in_a_session(server: Server) -> None:
    async with (
        agent(server) as (model, actor),
        httpx.AsyncClient(base_url=server.url, headers=HEADERS) as http,
    ):
        named = {"mcp-session-id": random_words().replace(" ", "-")}
        await http.post("/mcp", json=request(model), headers=named)
        again = await http.post("/mcp", json=request(model), headers=named)

    assert "was used before" in again.text
    assert len(actor.seen) == 1


async def test_an_unknown_tool_is_refused(server: Server) -> None:
    async with mcp_client(server) as client:
        with pytest.raises(McpError, match="no model nobody") as refused:
            await client.ask("nobody", "Hello")

    assert refused.value.error.code == types.INVALID_PARAMS


@pytest.mark.parametrize("arguments", [{}, {"input": 5}, {"input": "Hello", "model": "x"}])
async def test_wrong_arguments_are_a_sentence_for_the_model(
    server: Server, arguments: dict[str, Any]
) -> None:
    async with agent(server) as (model, actor), mcp_client(server) as client:
        result = await client.session.call_tool(model, arguments)

    assert (result.isError, "input" in text_of(result)) == (True, True)
    assert actor.seen == []


async def test_an_input_over_the_agents_limit_is_a_sentence_for_the_model(server: Server) -> None:
    async with agent(server, max_input_bytes=10) as (model, _), mcp_client(server) as client:
        result = await client.ask(model, "01234567890")

    assert result.isError
    assert "spec.execution.maxInputBytes" in text_of(result)


@pytest.mark.parametrize(
    ("method", "sent", "status"),
    [
        pytest.param("GET", {}, 405, id="a stream of the server's own"),
        pytest.param("DELETE", {}, 405, id="the end of a session"),
        pytest.param("POST", {"content": b"{"}, 400, id="no JSON"),
        pytest.param("POST", {"json": {"id": 1}}, 400, id="no JSON-RPC"),
        pytest.param("POST", {"content": b"x" * 4_000_000}, 413, id="over every agent's limit"),
        pytest.param(
            "POST",
            {"json": {}, "headers": {"content-type": "text/plain"}},
            415,
            id="another content type",
        ),
        pytest.param(
            "POST",
            {
                "json": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                "headers": {"accept": "text/html"},
            },
            406,
            id="another answer",
        ),
    ],
)
async def test_what_is_no_request_is_refused(
    server: Server, method: str, sent: dict[str, Any], status: int
) -> None:
    headers = HEADERS | sent.get("headers", {})
    async with agent(server), httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.request(method, "/mcp", **sent | {"headers": headers})

    assert answer.status_code == status
