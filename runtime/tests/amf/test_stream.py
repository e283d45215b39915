"""Events on their way to one client."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from runtime.amf.stream import EventStream

FRAME = {"type": "response.created", "sequence_number": 0}


class Client:
    """The other end: what it was sent, and when it goes away."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.heard = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.heard.set()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class Answering:
    """An answer of one event, that ends when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = False
        self.lasts = 0
        self.lefts = 0

    async def events(self) -> AsyncGenerator[list[dict[str, Any]]]:
        try:
            yield [FRAME, FRAME]
            await self.go_on.wait()
        finally:
            self.closed = True

    async def left(self) -> None:
        self.lefts += 1

    def last(self) -> None:
        self.lasts += 1

    def stream(self) -> EventStream:
        return EventStream(self.events(), self.left, self.last)


async def test_events_that_are_there_together_go_out_together() -> None:
    client, answering = Client(), Answering()
    answering.go_on.set()

    await answering.stream()({}, client.receive, client.send)

    start, first, end = client.sent
    assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
    assert (b"cache-control", b"no-cache") in start["headers"]
    line = b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n'
    assert first["body"] == line * 2
    assert not end["more_body"]
    assert (answering.closed, answering.lasts, answering.lefts) == (True, 1, 0)


async def test_who_leaves_is_noticed_at_once() -> None:
    client, answering = Client(), Answering()
    sending = asyncio.create_task(answering.stream()({}, client.receive, client.send))
    await client.heard.wait()

    client.gone.set()
    await asyncio.wait_for(sending, 1)

    assert (answering.closed, answering.lasts, answering.lefts) == (True, 1, 1)


async def test_a_server_that_stops_is_no_client_that_leaves() -> None:
    client, answering = Client(), Answering()
    sending = asyncio.create_task(answering.stream()({}, client.receive, client.send))
    await client.heard.wait()

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert (answering.closed, answering.lasts, answering.lefts) == (True, 1, 0)
