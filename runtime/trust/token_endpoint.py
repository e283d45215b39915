"""The transaction token service over HTTP: `POST /token`, `GET /jwks`.

Source:
    ASGI specification 2.3, "HTTP"; RFC 6749, sections 3.2 and 5; RFC 9110, section 15.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from runtime.trust.issue import Error, NotIssued
from runtime.trust.token_service import TokenService

MAX_BODY_BYTES: Final = 64 * 1024
FORM: Final = "application/x-www-form-urlencoded"
FRESH_SECONDS: Final = 60
"""For so long whoever asks may keep the keys; a new key is published ten times as long before."""
RETRY_SECONDS: Final = 1
CHALLENGE: Final = ("WWW-Authenticate", 'Bearer realm="transaction tokens"')

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


class TokenEndpoint:
    """The ASGI application."""

    def __init__(self, service: TokenService) -> None:
        self._service = service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["path"], scope["method"]:
            case "/token", "POST":
                await self._token(scope, receive, send)
            case "/jwks", "GET":
                fresh = ("Cache-Control", f"max-age={FRESH_SECONDS}")
                await _answer(send, HTTPStatus.OK, self._service.jwks(), fresh)
            case ("/token" | "/jwks") as path, _:
                allowed = ("Allow", "POST" if path == "/token" else "GET")
                await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, {}, allowed)
            case _:
                await _answer(send, HTTPStatus.NOT_FOUND, {})

    async def _token(self, scope: Message, receive: Receive, send: Send) -> None:
        private = ("Cache-Control", "no-store")
        try:
            answer = await self._service.answer(await _form(scope, receive))
        except NotIssued as error:
            body = {"error": str(error.error), "error_description": described(str(error))}
            match error.error:
                case Error.INVALID_CLIENT:
                    await _answer(send, HTTPStatus.UNAUTHORIZED, body, private, CHALLENGE)
                case Error.TEMPORARILY_UNAVAILABLE:
                    again = ("Retry-After", str(RETRY_SECONDS))
                    await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, body, private, again)
                case _:
                    await _answer(send, HTTPStatus.BAD_REQUEST, body, private)
        else:
            await _answer(send, HTTPStatus.OK, answer, private)


def described(sentence: str) -> str:
    """`sentence` in the characters of an `error_description` (RFC 6749, section 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in sentence)


async def _form(scope: Message, receive: Receive) -> bytes:
    headers = {name.lower(): value for name, value in scope["headers"]}
    media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if media_type != FORM.encode():
        raise NotIssued(Error.INVALID_REQUEST, f"the body has to be {FORM}")
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            raise NotIssued(Error.INVALID_REQUEST, f"the body has more than {MAX_BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return body


async def _answer(
    send: Send, status: HTTPStatus, body: dict[str, Any], *headers: tuple[str, str]
) -> None:
    content = json.dumps(body).encode()
    all_headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
        *headers,
    ]
    encoded = [(name.lower().encode(), value.encode()) for name, value in all_headers]
    await send({"type": "http.response.start", "status": int(status), "headers": encoded})
    await send({"type": "http.response.body", "body": content})
