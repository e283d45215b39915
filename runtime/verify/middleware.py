"""An ASGI middleware that lets nothing through without a transaction token.

Source:
    ASGI specification 2.3, "HTTP"; draft-ietf-oauth-transaction-tokens-10, sections 12.1 and 12.2;
    draft-ietf-httpapi-idempotency-key-header-07.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from runtime.contract.txn_token import CLOCK_SECONDS, HEADER, TxnToken
from runtime.verify.refusals import KeysAway, Reason, Refused
from runtime.verify.replays import Replays
from runtime.verify.verifier import Verifier, is_txn_token

log = logging.getLogger(__name__)

TOKEN: Final = "k8gentai.txn_token"  # noqa: S105 - a name, no secret
"""Where the application finds the `TxnToken` in its scope."""
RETRY_SECONDS: Final = 5
POLICY_VIOLATION: Final = 1008

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Any]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Awaitable[None]]


def every_request(scope: Scope) -> bool:
    """All of them need a token."""
    del scope
    return True


class TxnTokenMiddleware:
    """Answers 400, 401 or 403 with an OAuth error body, or hands the request on.

    Shape:
        app       finds the token in `scope[TOKEN]`.
        scope     one value that the token's scope has to have.
        needs     whether a request needs a token at all; `GET /health` may not. One that needs none
                  and has one is checked all the same.
        replays   None: the application itself sees to it that no call happens twice.

    A request is a replay if the same token comes with the same call again; the call is what stands
    in the header `Idempotency-Key`, else what the token was minted for.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        scope: str | None = None,
        needs: Callable[[Scope], bool] = every_request,
        replays: Replays | None = None,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._scope = scope
        self._needs = needs
        self._replays = replays

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            token = await self._checked(scope)
        except Refused as refused:
            log.warning("refused", extra={"path": scope.get("path"), "reason": str(refused)})
            challenge = (b"www-authenticate", f'Txn-Token realm="{self._verifier.trust_domain}"')
            await _answer(scope, send, refused.status, refused.body, challenge)
        except KeysAway as error:
            body = {"error": "temporarily_unavailable", "error_description": str(error)}
            again = (b"retry-after", str(RETRY_SECONDS))
            await _answer(scope, send, HTTPStatus.SERVICE_UNAVAILABLE, body, again)
        else:
            if token is not None:
                scope[TOKEN] = token
            await self._app(scope, receive, send)

    async def _checked(self, scope: Scope) -> TxnToken | None:
        given = _values(scope, HEADER)
        if not given and not self._needs(scope):
            return None
        if not given:
            raise _missing(scope)
        if len(given) > 1 or "," in given[0]:
            raise Refused(Reason.REPEATED, f"there has to be exactly one {HEADER}")
        jwt = given[0].strip()
        token = await self._verifier.averify(jwt, scope=self._scope)
        if self._replays is not None:
            keys = _values(scope, "Idempotency-Key")
            call = keys[0] if keys else token.work.id
            until = token.expires + CLOCK_SECONDS
            if not self._replays.is_new(jwt, call, now=time.time(), until=until):
                raise Refused(Reason.REPLAY, "this token came with this call before")
        return token


def _missing(scope: Scope) -> Refused:
    for value in _values(scope, "Authorization"):
        if is_txn_token(value.rpartition(" ")[2]):
            return Refused(Reason.IN_AUTHORIZATION, f"it belongs into {HEADER} and nowhere else")
    return Refused(Reason.MISSING, f"there is no {HEADER}")


def _values(scope: Scope, name: str) -> list[str]:
    wanted = name.lower().encode()
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]


async def _answer(
    scope: Scope,
    send: Send,
    status: HTTPStatus,
    body: dict[str, str],
    header: tuple[bytes, str],
) -> None:
    if scope["type"] == "websocket":  # closed before it is accepted, which the client sees as a 403
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (header[0], header[1].encode()),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})
