"""What a request says beside its body, and what is turned away before the body is read.

Source:
    ASGI specification 2.3, "HTTP"; RFC 9110, sections 15.5.14 and 15.5.16 (413, 415); OpenAI API
    reference, "Get a model response"; draft-ietf-httpapi-idempotency-key-header-07.
"""

import asyncio
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.amf.body import JSON, read, replayed, too_large, wrong_type
from runtime.amf.errors import ApiError, BadRequest
from runtime.amf.json_body import flaw

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Of one JSON body; what an agent takes is less, what a model with pictures takes may be more."""

LARGE_BODY_BYTES: Final = 65536

GUARDED = re.compile(
    r"/v1/(responses|chat/completions|conversations|toolgroups|tool-runtime|vector-dbs)(/.*)?"
    r"|/v1(alpha)?/agents(/.*)?"
)
FORMS = re.compile(r"/v1/responses")  # the server reads a form there as well
FORM: Final = "application/x-www-form-urlencoded"
KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
NUMBER = re.compile(r"[0-9]{1,15}")
BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
UNDERSTOOD: Final = frozenset({"stream", "starting_after"})

_CONNECTION: ContextVar[HTTPConnection | None] = ContextVar("connection", default=None)


class Door:
    """ASGI middleware around the whole server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer that it is not taken."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if GUARDED.fullmatch(scope["path"]):
            if refused := refusal(scope["method"], scope["path"], connection.headers):
                answer = JSONResponse(refused.body, refused.status_code)
                await answer(scope, receive, send)
                return
            if scope["method"] == "POST":
                receive = _checked(scope["path"], connection.headers, receive)
        token = _CONNECTION.set(connection)
        try:
            await self._app(scope, receive, send)
        finally:
            _CONNECTION.reset(token)


def refusal(method: str, path: str, headers: Mapping[str, str]) -> ApiError | None:
    """Why the body of a request is not read, None if it is."""
    size = headers.get("content-length", "0")
    if size.isdecimal() and int(size) > MAX_BODY_BYTES:
        return too_large(MAX_BODY_BYTES)
    if method != "POST" or (size == "0" and "transfer-encoding" not in headers):
        return None
    return wrong_type(headers, but_for=FORM if FORMS.fullmatch(path) else JSON)


def idempotency_key() -> str | None:
    """The header `Idempotency-Key` of the request that is being answered.

    Raises:
        BadRequest: it is no key.
    """
    connection = _CONNECTION.get()
    key = None if connection is None else connection.headers.get("idempotency-key")
    if key is not None and not KEY.fullmatch(key):
        raise BadRequest(
            "Idempotency-Key has to be 1 to 255 printable ASCII characters.",
            param="Idempotency-Key",
        )
    return key


def starting_after() -> int | None:
    """After which event the stream of a response is to go on: -1 for all of it, None for no stream.

    Raises:
        BadRequest: a parameter of the query is none that is understood; `param` names it.
    """
    connection = _CONNECTION.get()
    return None if connection is None else resumption(connection.query_params)


def resumption(query: Mapping[str, str]) -> int | None:
    """What `starting_after` gives for this query.

    Raises:
        BadRequest: see `starting_after`.
    """
    for name, value in query.items():
        is_default = name == "include_obfuscation" and not BOOLEANS.get(value, True)
        if name not in UNDERSTOOD and not is_default:
            raise BadRequest(f"Agents do not support {name} here. Leave it out.", param=name)
    stream, after = query.get("stream", "false"), query.get("starting_after")
    if stream not in BOOLEANS:
        raise BadRequest("stream has to be true or false.", param="stream")
    if after is not None and not NUMBER.fullmatch(after):
        raise BadRequest(
            "starting_after has to be the sequence_number of an event.", param="starting_after"
        )
    if not BOOLEANS[stream]:
        if after is not None:
            raise BadRequest(
                "starting_after is about a stream; ask for stream=true as well.",
                param="starting_after",
            )
        return None
    return -1 if after is None else int(after)


def _checked(path: str, headers: Mapping[str, str], receive: Receive) -> Receive:
    """`receive` that refuses a body which turns out too large, of another type, or cannot be kept.

    It is read when it is asked for: by then the server knows who asks.
    """
    replaying: Receive | None = None

    async def checked() -> Message:
        nonlocal replaying
        if replaying is None:
            body = await read(receive, MAX_BODY_BYTES)
            # curl says that JSON is a form if nobody tells it; no form begins so.
            is_json = body.lstrip()[:1] == b"{"
            if refused := (is_json and wrong_type(headers)) or await _flaw(path, body):
                raise refused
            replaying = replayed(body, receive)
        return await replaying()

    return checked


async def _flaw(path: str, body: bytes) -> ApiError | None:
    """See `flaw`; others are served while it looks through a large body."""
    if len(body) <= LARGE_BODY_BYTES:
        return flaw(path, body)
    return await asyncio.to_thread(flaw, path, body)
