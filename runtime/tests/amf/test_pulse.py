"""Signs of life in silent streams, and clients that do not read."""

import asyncio
from typing import Any

import pytest

from runtime.amf import pulse
from runtime.amf.http_connection import ABORT
from runtime.amf.pulse import HEARTBEAT, Pulse

STREAM = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
PLAIN = [(b"content-type", b"application/json")]
EVENT = b"data: 1\n\n"


class Client:
    """The other end; it takes nothing while `stuck`, and may be cut off."""

    def __init__(self) -> None:
        self.body = b""
        self.heard = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.aborted = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.body += message.get("body", b"")
        self.heard.set()

    async def receive(self) -> Any:
        await self.aborted.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        """As uvicorn: who waits to send waits no longer."""
        self.aborted.set()
        self.reads.set()


async def answer(client: Client, *chunks: bytes | asyncio.Event, headers: Any = STREAM) -> None:
    """Let an application send chunks, and wait for events between them."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks:
            if isinstance(chunk, asyncio.Event):
                await chunk.wait()
            else:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    scope = {"type": "http", "extensions": {ABORT: client.abort}}
    await Pulse(app, heartbeat_seconds=0.05)(scope, client.receive, client.send)


async def until(client: Client, beats: int) -> None:
    async with asyncio.timeout(5):
        while client.body.count(HEARTBEAT) < beats:
            client.heard.clear()
            await client.heard.wait()


async def test_a_silent_stream_gives_signs_of_life_between_its_events() -> None:
    client, go_on = Client(), asyncio.Event()
    answering = asyncio.create_task(answer(client, EVENT, go_on, EVENT))

    await until(client, 3)
    go_on.set()
    await answering
    ended = client.body
    await asyncio.sleep(0.1)  # for one that would come after the end, wrongly

    assert client.body.replace(HEARTBEAT, b"") == EVENT * 2
    assert client.body == ended


@pytest.mark.parametrize(
    ("headers", "chunk"),
    [
        pytest.param(STREAM, b"data: half an", id="in the middle of an event"),
        pytest.param(PLAIN, b"[1]\n\n", id="in what is no stream"),
    ],
)
async def test_a_sign_of_life_is_nowhere_else(headers: Any, chunk: bytes) -> None:
    client, go_on = Client(), asyncio.Event()
    answering = asyncio.create_task(answer(client, chunk, go_on, headers=headers))
    await asyncio.sleep(0.2)  # for one that would come, wrongly
    go_on.set()
    await answering

    assert client.body == chunk


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.1)
    client = Client()
    client.reads.clear()

    await asyncio.wait_for(answer(client, EVENT), 2)

    assert client.aborted.is_set()


async def test_who_does_not_read_signs_of_life_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.1)
    client = Client()
    answering = asyncio.create_task(answer(client, EVENT, client.aborted))
    await until(client, 1)

    client.reads.clear()
    await asyncio.wait_for(answering, 2)

    assert client.aborted.is_set()


async def test_who_reads_in_time_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.1)
    client, go_on = Client(), asyncio.Event()
    answering = asyncio.create_task(answer(client, EVENT, go_on))
    await until(client, 4)
    go_on.set()
    await answering

    assert not client.aborted.is_set()


async def test_what_is_no_request_goes_through() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    client = Client()
    await Pulse(app, heartbeat_seconds=1)({"type": "lifespan"}, client.receive, client.send)

    assert seen == [{"type": "lifespan"}]
