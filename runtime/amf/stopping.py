"""The last word to whoever waits for an answer when the server stops.

Source:
    OpenAI API reference, "Errors" and "Streaming events"; uvicorn 0.54, `Server.shutdown`: what
    has no answer after `timeout_graceful_shutdown` is cancelled.
"""

import asyncio
from typing import Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.amf.errors import Stopping

MESSAGE: Final = "The server stops; ask again in a moment."
EVENTS: Final = b"text/event-stream"


class LastWord:
    """Answers what is cancelled because the server stops, as clients of OpenAI's API read it.

    Of a run of an agent more is told, by `reply`: this is for everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; one that is cut off gets a last word."""
        started: Message | None = None
        ended = False

        async def sending(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = message
            elif not message.get("more_body", False):
                ended = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if scope["type"] == "http" and not ended:
                await _say(send, started)
            raise


async def _say(send: Send, started: Message | None) -> None:
    error = Stopping(MESSAGE)
    body = orjson.dumps(error.body)
    if started is None:
        given = {"content-type": "application/json", **(error.headers or {})}
        headers = [(name.lower().encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif dict(started["headers"]).get(b"content-type", b"").startswith(EVENTS):
        await send({"type": "http.response.body", "body": b"data: %b\n\n" % body})
