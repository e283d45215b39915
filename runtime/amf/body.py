"""The body of a request: JSON, up to a limit."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from runtime.amf.errors import TooLarge, WrongType

JSON: Final = "application/json"
ENVELOPE_BYTES = 65536
ESCAPING = 3  # at most, of texts that people write: `é` as `\u00e9` in JSON


def body_limit(max_input_bytes: int) -> int:
    """How many bytes a request may have whose input has at most so many."""
    return ESCAPING * max_input_bytes + ENVELOPE_BYTES


def wrong_type(headers: Mapping[str, str], *, but_for: str = JSON) -> WrongType | None:
    """Why a body is not read by its type, None if it is JSON or of the type `but_for`."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {JSON, but_for}:
        return None
    said = f"the header Content-Type says {kind or 'nothing'}"
    return WrongType(f"The body has to be {JSON}; {said}. Send Content-Type: {JSON}.")


async def body_of(request: Request, limit: int) -> bytes:
    """The body of a request that brings JSON; nothing beyond `limit`, in bytes, is kept.

    Raises:
        TooLarge: it has more.
        WrongType: it says that it is something else.
        ClientDisconnect: the client has gone before its end.
    """
    if refused := wrong_type(request.headers):
        raise refused
    return await read(request.receive, limit)


async def read(receive: Receive, limit: int) -> bytes:
    """The body of a request, of which nothing beyond `limit`, in bytes, is kept.

    Raises:
        TooLarge: it has more.
        ClientDisconnect: the client has gone before its end.
    """
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def too_large(limit: int) -> TooLarge:
    """The refusal of a body of more than `limit` bytes."""
    return TooLarge(
        f"The body is larger than {limit} bytes. Put large texts where a tool can read them."
    )


def replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` of a request whose body was read, for somebody who reads it once more."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying() -> Message:
        return waiting.pop() if waiting else await receive()

    return replaying
