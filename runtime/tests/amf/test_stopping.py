"""What is told to clients whose request is cut off because the server stops."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.amf.stopping import LastWord

START = {"type": "http.response.start", "status": 200}
PLAIN, STREAM = (
    [(b"content-type", b"application/json")],
    [(b"content-type", b"text/event-stream; charset=utf-8")],
)


def playing(*messages: Message) -> ASGIApp:
    """Sends these and never comes to an end."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        await asyncio.Event().wait()

    return app


async def cut_off(app: ASGIApp) -> list[Message]:
    """What a client gets who waits while the server stops."""
    sent: list[Message] = []
    waits = asyncio.Event()

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve() -> None:
        waits.set()
        await LastWord(app)({"type": "http"}, receive, send)

    serving = asyncio.create_task(serve())
    await waits.wait()
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    return sent


async def test_who_has_no_answer_yet_is_to_ask_again() -> None:
    start, body = await cut_off(playing())
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (503, b"application/json")
    assert int(headers[b"retry-after"]) > 0
    assert json.loads(body["body"])["error"]["code"] == "server_stopping"


async def test_a_stream_ends_with_an_error_that_clients_raise() -> None:
    *_, last = await cut_off(playing(START | {"headers": STREAM}))
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["code"] == "server_stopping"
    assert not last.get("more_body", False)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([START | {"headers": PLAIN}], id="half an answer"),
        pytest.param(
            [START | {"headers": STREAM}, {"type": "http.response.body", "body": b""}],
            id="a whole one",
        ),
    ],
)
async def test_nothing_is_added_to(messages: list[dict[str, Any]]) -> None:
    assert await cut_off(playing(*messages)) == messages
