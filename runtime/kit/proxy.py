"""An HTTP proxy between an agent and its model, which sees each call and may have it go wrong."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
LARGEST_HEAD = 1 << 20  # bytes
PATH = "/v1"
LOOK_SECONDS = 0.01
EMPTY = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\n" + EMPTY
OVER = b"HTTP/1.1 400 Bad Request\r\n" + EMPTY
"""What a call hears that outlives its scenario: clients do not try that again."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Shape:
        base_url  with its path: `http://127.0.0.1:8000/v1`.
        model     as the endpoint knows it, asked in place of what the agent asks for; None asks
                  for what the agent does.
    """

    base_url: str
    model: str | None = None

    def failing(self, fault: str) -> "Endpoint":
        """The same endpoint, asked for the model of this name under the same prefix."""
        prefix, slash, _ = (self.model or "").rpartition("/")
        return replace(self, model=f"{prefix}{slash}{fault}")


@dataclass(slots=True, eq=False)
class ModelCall:
    """One call of a model: what was asked, and whether the connection is still open."""

    body: dict[str, Any]
    open: bool = True

    @property
    def streams(self) -> bool:
        """Whether the caller wants the answer in pieces."""
        return bool(self.body.get("stream"))

    @property
    def hides_usage(self) -> bool:
        """Whether the model will not say what this costs: a streamed chat that does not ask."""
        options = self.body.get("stream_options") or {}
        return self.streams and "messages" in self.body and not options.get("include_usage")


@dataclass(frozen=True, slots=True)
class _Request:
    """One HTTP request: headers by name in lower case, `path` with its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Self:
        """The one request of a connection.

        Raises:
            IncompleteReadError: the caller has left.
        """
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return cls(method, path, headers, body)

    def to(self, base_url: str, body: bytes) -> bytes:
        """The bytes that ask the same at `base_url`, for an answer that ends the connection."""
        url = urlsplit(base_url)
        own = {"host": url.netloc, "content-length": str(len(body)), "connection": "close"}
        path = url.path.rstrip("/") + self.path.removeprefix(PATH)
        lines = [f"{name}: {value}" for name, value in (self.headers | own).items()]
        head = "\r\n".join([f"{self.method} {path} HTTP/1.1", *lines, "", ""])
        return head.encode("latin-1") + body


@dataclass(slots=True)
class ModelProxy:
    """Where the agent under test finds its model.

    Shape:
        model     answers as long as nothing is to go wrong.
        stand_in  answers when something is: it knows faults by the names of models
                  (`hack/model/server.py`). None: nothing can go wrong.
        calls     of a model, since `begin`.
    """

    model: Endpoint
    stand_in: Endpoint | None = None
    calls: list[ModelCall] = field(default_factory=list)
    url: str = ""
    _now: Endpoint = field(init=False)
    _connections: set[asyncio.Task[Any]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._now = self.model

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Serve at `url` for as long as the body runs."""
        server = await asyncio.start_server(self._serve, HOST, 0, limit=LARGEST_HEAD)
        self.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}{PATH}"
        try:
            yield self
        finally:
            server.close()
            await self._hang_up()

    async def begin(self, fault: str | None = None) -> None:
        """Forget what was asked so far, break off what is open, and be of this mind from now on.

        Raises:
            ValueError: there is a `fault`, and no stand-in to have it.
        """
        if fault is not None and self.stand_in is None:
            raise ValueError("only a stand-in model can fail at will")
        await self._hang_up()
        self.calls.clear()
        failing = None if fault is None or self.stand_in is None else self.stand_in.failing(fault)
        self._now = failing or self.model

    @property
    def open(self) -> int:
        """How many calls of a model are under way."""
        return sum(call.open for call in self.calls)

    def heard(self, words: str) -> bool:
        """Whether a model was told these words, in whatever place of a request."""
        quoted = json.dumps(words, ensure_ascii=False)[1:-1]
        return any(quoted in json.dumps(call.body, ensure_ascii=False) for call in self.calls)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether something comes true within this time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():  # noqa: ASYNC110 - not all of them are ours to announce
                    await asyncio.sleep(LOOK_SECONDS)
        return condition()

    async def _hang_up(self) -> None:
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._answer(reader, writer))
        self._connections.add(serving)
        try:
            # A caller that leaves in the middle is what some scenarios are about.
            await asyncio.gather(serving, return_exceptions=True)
        finally:
            self._connections.discard(serving)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _Request.read(reader)
        endpoint, body = self._now, _object(request.body)
        if "model" not in body:  # no question to a model; it goes through as it is
            await _forward(request.to(endpoint.base_url, request.body), endpoint, reader, writer)
            return
        call = ModelCall(body)
        self.calls.append(call)
        asked = body if endpoint.model is None else body | {"model": endpoint.model}
        try:
            sent = request.to(endpoint.base_url, json.dumps(asked).encode())
            await _forward(sent, endpoint, reader, writer)
        finally:
            call.open = False


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _forward(
    request: bytes, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Hand the answer on as it comes, until it ends or the caller leaves."""
    url = urlsplit(endpoint.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        source, sink = await asyncio.open_connection(
            url.hostname, port, ssl=url.scheme == "https" or None
        )
    except OSError:
        writer.write(UNREACHABLE)
        await writer.drain()
        return
    sink.write(request)
    answered = asyncio.Event()
    answering = asyncio.create_task(_copy(source, writer, answered))
    leaving = asyncio.create_task(reader.read(1))  # a caller has nothing more to say
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        if not answered.is_set():
            writer.write(OVER)
        raise
    finally:
        answering.cancel()
        leaving.cancel()
        sink.close()  # first: whoever hangs up now does not let us wait
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _copy(
    source: asyncio.StreamReader, writer: asyncio.StreamWriter, answered: asyncio.Event
) -> None:
    while data := await source.read(1 << 16):
        answered.set()
        writer.write(data)
        await writer.drain()
