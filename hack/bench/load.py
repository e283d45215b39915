"""Asks an API for answers and takes the time, with as little work of its own as it can.

Client and servers share the machine, so every microsecond here is missing there: raw HTTP/1.1 on
connections that are kept, parsed in C, no JSON read; an answer is right if it holds the text it
must hold.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import cast, override

import httptools
import orjson
from parrot import answer_to

FIRST_TEXT = b"response.output_text.delta"
LAST_EVENT = b"response.completed"


class WrongAnswer(Exception):
    """The API answered, but not what it should have."""


@dataclass(frozen=True, slots=True)
class Target:
    """An API to ask, and the name of the model there."""

    name: str
    host: str
    port: int
    model: str


@dataclass(frozen=True, slots=True)
class Question:
    """A request ready to send, and the text its answer must hold."""

    raw: bytes
    expected: bytes
    stream: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from sending to the first text (of a stream) and to the end."""

    first: float
    total: float


_numbers = count()


def question(target: Target, *, stream: bool, hold: float = 0) -> Question:
    """A question nobody has asked before; `hold` keeps its stream open for that many seconds."""
    number = f"number {next(_numbers)} to {target.name}"
    text = f"hold {hold} {number}" if hold else number
    body = orjson.dumps({"model": target.model, "input": text, "stream": stream})
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Question(head.encode() + body, answer_to(text).encode(), stream)


class Connection(asyncio.Protocol):
    """One connection, for one question after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._body = bytearray()
        self._first = 0.0
        self._seen = self._done = asyncio.get_running_loop().create_future()

    @property
    def port(self) -> int:
        """Our own."""
        return int(self._transport.get_extra_info("sockname")[1]) if self._transport else 0

    @property
    def body(self) -> bytes:
        """What has come of the answer."""
        return bytes(self._body)

    @property
    def is_open(self) -> bool:
        """The server has not closed it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, asked: Question) -> None:
        """Ask; `first_text` and `answer` wait for what follows.

        Raises:
            ConnectionError: the connection is closed.
        """
        if self._transport is None or not self.is_open:
            raise ConnectionError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._seen, self._done = loop.create_future(), loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        self._first = 0.0
        self._transport.write(asked.raw)

    async def first_text(self) -> None:
        """Wait until a piece of the answer's text has come."""
        await self._seen

    async def answer(self, asked: Question) -> float:
        """Wait for the end; when the first text came, on the clock of `time.perf_counter`.

        Raises:
            WrongAnswer: the status is not 200, or the text is not the one that is due.
            ConnectionError: the connection was lost.
        """
        status = await self._done
        right = asked.expected in self._body
        if asked.stream:
            right = right and LAST_EVENT in self._body and self._first > 0
        if status != 200 or not right:
            raise WrongAnswer(f"status {status}: {bytes(self._body[-500:])!r}")
        return self._first

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own is no subclass

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self._seen, self._done):
            if not future.done():
                future.set_exception(ConnectionError("the server closed the connection"))
                future.exception()  # whoever waits is told; nobody need wait for both

    @override
    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self._body += data
        if not self._first and FIRST_TEXT in self._body:
            self._first = time.perf_counter()
            self._seen.set_result(None)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._parser is not None and not self._done.done():
            self._done.set_result(self._parser.get_status_code())


async def connect(target: Target) -> Connection:
    """A new connection.

    Raises:
        OSError: nobody listens there.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, target.host, target.port)
    return connection


@asynccontextmanager
async def connections(target: Target, number: int) -> AsyncIterator[list[Connection]]:
    """So many connections, closed at the end."""
    made = await asyncio.gather(*(connect(target) for _ in range(number)))
    try:
        yield list(made)
    finally:
        for connection in made:
            connection.close()


async def timed(connection: Connection, target: Target, *, stream: bool) -> Timing:
    """Ask once.

    Raises:
        WrongAnswer: see `Connection.answer`.
        ConnectionError: see `Connection.answer`.
    """
    asked = question(target, stream=stream)
    begun = time.perf_counter()
    connection.send(asked)
    first = await connection.answer(asked)
    return Timing(first - begun, time.perf_counter() - begun)


async def throughput(target: Target, *, requests: int, concurrency: int, stream: bool) -> float:
    """Requests a second, `concurrency` at a time on as many connections.

    Raises:
        WrongAnswer, ConnectionError: see `rate`.
    """
    async with connections(target, concurrency) as made:
        return await rate(made, target, requests=requests, stream=stream)


async def rate(
    made: Sequence[Connection], target: Target, *, requests: int, stream: bool = False
) -> float:
    """Requests a second over these connections, one at a time on each.

    Raises:
        WrongAnswer: an answer was wrong; the measurement is worth nothing.
        ConnectionError: a connection was lost.
    """
    left = iter(range(requests))

    async def work(connection: Connection, left: Iterator[int]) -> None:
        for _ in left:
            await timed(connection, target, stream=stream)

    begun = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for connection in made:
                group.create_task(work(connection, left))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed  # one wrong answer is enough
    return requests / (time.perf_counter() - begun)


@asynccontextmanager
async def open_streams(target: Target, number: int, hold: float) -> AsyncIterator[None]:
    """`number` streams that have all begun and not ended; each pauses for `hold` seconds.

    Raises:
        WrongAnswer, ConnectionError: see `held_streams`.
    """
    async with connections(target, number) as made, held_streams(made, target, hold):
        yield


@asynccontextmanager
async def held_streams(
    made: Sequence[Connection], target: Target, hold: float, *, numbered: bool = False
) -> AsyncIterator[None]:
    """A stream on each connection: all have begun and none has ended while the body runs.

    Args:
        made: the connections.
        target: where they lead.
        hold: for how many seconds each pauses.
        numbered: its events have numbers, of which none may be missing or come twice.

    Raises:
        WrongAnswer: a stream ended with another text, or other events; told at the end.
        ConnectionError: a connection was lost.
    """
    asked = [question(target, stream=True, hold=hold) for _ in made]
    for connection, each in zip(made, asked, strict=True):
        connection.send(each)
    await asyncio.gather(*(connection.first_text() for connection in made))
    yield
    answers = zip(made, asked, strict=True)
    await asyncio.gather(*(connection.answer(each) for connection, each in answers))
    if numbered:
        for connection, each in zip(made, asked, strict=True):
            check_events(connection.body, each.expected)


def check_events(body: bytes, expected: bytes) -> None:
    """Look at a whole stream event by event.

    Raises:
        WrongAnswer: an event is missing, comes twice or in another order, or the pieces of text
            make another one than `expected`.
    """
    data = (line.removeprefix(b"data: ") for line in body.split(b"\n"))
    events = [orjson.loads(line) for line in data if line.startswith(b"{")]
    numbers = [event["sequence_number"] for event in events]
    text = "".join(event["delta"] for event in events if event["type"] == FIRST_TEXT.decode())
    if numbers != list(range(len(events))) or text.encode() != expected:
        raise WrongAnswer(f"the stream has the events {numbers}, and says {text!r}")
