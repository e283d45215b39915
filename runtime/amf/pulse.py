"""Signs of life in silent streams, and the end of those that nobody reads.

A client that does not read what it is sent makes `send` wait, and everything behind it pile up. So
nobody is waited for longer than `STUCK_SECONDS`; to whoever answers, it looks like a client that
has gone away.

Source:
    WHATWG HTML, "Server-sent events": a line that begins with a colon is a comment; ASGI
    specification 2.3, "HTTP".
"""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.amf.http_connection import ABORT

STUCK_SECONDS: Final = 4.0
HEARTBEAT: Final = b": still working\n\n"
EVENTS: Final = b"text/event-stream"
END_OF_EVENT: Final = b"\n\n"

type Abort = Callable[[], None]


class Pulse:
    """ASGI middleware around the whole server.

    Units:
        `heartbeat_seconds`: so long a stream may be silent before it gives a sign of life.
    """

    def __init__(self, app: ASGIApp, heartbeat_seconds: float) -> None:
        self._app = app
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; what is no stream of events goes through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stream = _Stream(send, scope.get("extensions", {}).get(ABORT), self._heartbeat_seconds)
        try:
            await self._app(scope, receive, stream.send)
        finally:
            stream.stop()


class _Stream:
    def __init__(self, send: Send, abort: Abort | None, heartbeat_seconds: float) -> None:
        self._send = send
        self._abort = abort
        self._heartbeat_seconds = heartbeat_seconds
        self._is_events = False
        self._next: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_events = _is_events(message)
        if not self._is_events:
            await self._send(message)
            return
        self.stop()
        await self._in_time(message)
        # A comment may stand between two events, and nowhere else.
        if message.get("more_body") and message["body"].endswith(END_OF_EVENT):
            self._wait()

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(self._heartbeat_seconds, self._begin_beat)

    def _begin_beat(self) -> None:
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        await self._in_time({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
        self._wait()

    async def _in_time(self, message: Message) -> None:
        if self._abort is None:
            await self._send(message)
            return
        stuck = asyncio.get_running_loop().call_later(STUCK_SECONDS, self._abort)
        try:
            await self._send(message)
        finally:
            stuck.cancel()


def _is_events(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(EVENTS)
        for name, value in start.get("headers", ())
    )
