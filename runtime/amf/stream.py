"""Server-sent events to one client, and whether he is still there.

Source:
    WHATWG HTML, "Server-sent events"; ASGI specification 2.3, "HTTP"; OpenAI API reference,
    "Streaming events": each event has a line `event: <type>` before its data.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import override

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.amf.items import Wire

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

type OnLeft = Callable[[], Awaitable[None]]


def encoded(frames: Iterable[Wire]) -> bytes:
    """Events as they go over the line."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (frame["type"].encode(), orjson.dumps(frame))
        for frame in frames
    )


class EventStream(Response):
    """An answer that is sent as it comes; `pulse` sees to signs of life.

    Shape:
        events   as many at a time as there are; closed in the end, whatever happens.
        on_left  awaited when the client goes away before the end. It is not when the server itself
                 stops: what it accepted goes on.
        at_last  called when nothing more is sent, for whatever reason.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[list[Wire]], on_left: OnLeft, at_last: Callable[[], None]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._events = events
        self._on_left = on_left
        self._at_last = at_last

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, unless the client goes away before."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_until_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            else:
                await self._on_left()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._at_last()

    def encode(self, frames: list[Wire]) -> bytes:
        """Events as they go over the line."""
        return encoded(frames)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with contextlib.aclosing(self._events) as events:
            async for frames in events:
                body = {
                    "type": "http.response.body",
                    "body": self.encode(frames),
                    "more_body": True,
                }
                await send(body)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
