"""ASGI middleware that lets nobody in whom nothing proves.

Source:
    RFC 6750, sections 2.1 and 3; RFC 9110, section 11.6.
"""

import logging
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.amf.callers import Callers
from runtime.amf.errors import ApiError, Forbidden, Unauthenticated
from runtime.amf.granting import shown
from runtime.amf.user_claims import claiming

audit = logging.getLogger("k8gentai.audit")

PUBLIC: Final = frozenset({"/v1/health", "/v1/version"})
"""What whoever looks after the server may ask; neither tells of agents, models or users."""
TOKEN: Final = b"authorization"
REALM: Final = 'Bearer realm="k8gentai"'


class Authentication:
    """Around the whole server, behind which nobody sees a token any more but `granting`.

    Shape:
        What comes in for somebody has his name as `principal` in its scope; of it the server makes
        the user of the request, and the owner of what is written. What his token says of him
        is for policies alone.
    """

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app = app
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on as somebody's, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inside = {**scope, "headers": [one for one in scope["headers"] if one[0] != TOKEN]}
        if scope["path"] in PUBLIC:
            await self._app(inside, receive, send)
            return
        token = bearer(Headers(scope=scope))
        try:
            caller = await self._callers.caller(token, scope["method"], scope["path"])
        except ApiError as refused:
            await _refuse(refused, scope, receive, send)
            return
        inside["principal"] = caller.name
        with shown(token), claiming(caller.claims):
            await self._app(inside, receive, send)


def bearer(headers: Headers) -> str:
    """The token that a request brings; "" if there is none, or not just one."""
    sent = headers.getlist("authorization")
    scheme, _, token = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _refuse(refused: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    client = scope.get("client")
    why = refused.__cause__ or refused
    audit.warning(
        "request refused",
        extra={
            "who": getattr(why, "who", None),
            "client": client[0] if client else None,
            "path": scope["path"],
            "what": "refused",
            "reason": str(why) if refused.__cause__ else refused.message,
        },
    )
    headers = {**(refused.headers or {}), **challenge(refused)}
    await JSONResponse(refused.body, refused.status_code, headers)(scope, receive, send)


def challenge(refused: ApiError) -> dict[str, str]:
    """What the answer says to clients that know OAuth.

    Source:
        RFC 6750, section 3: who sends nothing is told no error.
    """
    match refused:
        case Unauthenticated(is_without=True):
            told = REALM
        case Unauthenticated():
            told = f'{REALM}, error="invalid_token", error_description="{_quoted(refused.message)}"'
        case Forbidden():
            told = f'{REALM}, error="insufficient_scope"'
        case _:
            return {}
    return {"WWW-Authenticate": told}


def _quoted(text: str) -> str:
    """Fit for a quoted string of a header, as RFC 6750 has it."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
