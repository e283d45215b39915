"""Asks the transaction token service for grants and transaction tokens.

It needs the standard library alone: every worker does this, and none of their images has the same
HTTP client.

Source:
    RFC 8693, section 2; RFC 7523, section 2.2; draft-ietf-oauth-transaction-tokens-10, section 11.
"""

import asyncio
import base64
import contextlib
import http.client
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from runtime.contract.agent_config import TokenAccess
from runtime.contract.txn_token import (
    ACCESS_TOKEN,
    GRANT,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    TXN_TOKEN,
    TxnToken,
    Work,
    scopes,
)
from runtime.contract.value import ObjectName
from runtime.identity.source import proof_source
from runtime.identity.token import NoProof

ANSWER_SECONDS: Final = 5.0
MOST_AT_ONCE: Final = 8
_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class NotGranted(Exception):
    """The service has looked at what it was shown, and refuses; asking again will not help."""


class ServiceAway(Exception):
    """Nobody can say for now: no answer, or the service does not know us (yet, or any more)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A transaction token as a workload holds it: the JWT, and what it says."""

    jwt: str
    token: TxnToken


class TokenClient:
    """Asks in the name of this workload; from any task, several at a time."""

    def __init__(self, access: TokenAccess) -> None:
        self._access = access
        self._proof = proof_source(access)
        with contextlib.suppress(NoProof, OSError):
            self._proof.read()  # from now on an SVID is fetched, which takes a moment
        self.trust_domain = access.trust_domain
        self._idle: list[http.client.HTTPConnection] = []
        # Its own: those of the loop may all be busy with functions of users.
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="tokens")

    async def task_grant(
        self,
        access_token: str,
        stack: ObjectName,
        agent: ObjectName,
        work: Work,
        *,
        until: float | None = None,
    ) -> str:
        """A grant for a task of the user whose access token this is.

        Units:
            `until` in seconds since the epoch: for longer it is not needed.

        Raises:
            NotGranted, ServiceAway: there is none.
        """
        details: dict[str, Any] = {"stack": str(stack), "agent": str(agent), **_said(work)}
        if until is not None:
            details["expires"] = until
        return await self._ask(ACCESS_TOKEN, access_token, GRANT, details)

    async def trade(self, grant: str, work: Work) -> Held:
        """The transaction token for the grant of `work`, with all of the grant's scope.

        Raises:
            NotGranted, ServiceAway: there is none.
        """
        try:
            scope = " ".join(scopes(str(payload(grant)["scope"])))
        except (ValueError, KeyError) as error:
            raise NotGranted("this is no grant") from error
        jwt = await self._ask(GRANT, grant, TXN_TOKEN, _said(work), scope=scope)
        try:
            return Held(jwt, TxnToken.of(payload(jwt)))
        except ValueError as error:
            raise ServiceAway(f"the service gave no transaction token: {error}") from error

    async def tool_grant(self, held: Held, tool: ObjectName, call: Work, expires: float) -> str:
        """A grant for a call of a tool, which only that tool can trade.

        Raises:
            NotGranted, ServiceAway: there is none.
        """
        details = {"tool": str(tool), "expires": expires} | _said(call)
        return await self._ask(TXN_TOKEN, held.jwt, GRANT, details)

    async def agent_grant(self, held: Held, agent: ObjectName, call: Work, expires: float) -> str:
        """A grant for the task that a call of an agent becomes, which only that agent can trade.

        Raises:
            NotGranted, ServiceAway: there is none.
        """
        details = {"agent": str(agent), "expires": expires} | _said(call)
        return await self._ask(TXN_TOKEN, held.jwt, GRANT, details)

    async def _ask(
        self,
        subject_token_type: str,
        subject_token: str,
        requested_token_type: str,
        details: Mapping[str, Any],
        scope: str | None = None,
    ) -> str:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": subject_token,
            "subject_token_type": subject_token_type,
            "requested_token_type": requested_token_type,
            "audience": self._access.trust_domain,
            "request_details": json.dumps(details),
            "client_assertion_type": JWT_BEARER,
        }
        if scope is not None:
            form["scope"] = scope
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._exchange, form)

    def _exchange(self, form: dict[str, str]) -> str:
        try:
            assertion = self._proof.read().token
            status, body = self._post(urlencode(form | {"client_assertion": assertion}).encode())
            answer = json.loads(body)
            if status == HTTPStatus.OK:
                return str(answer["access_token"])
            why = f"{answer.get('error')}: {answer.get('error_description')}"
        except (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError) as error:
            raise ServiceAway(f"no answer of {self._access.url}: {error!r}") from error
        if status == HTTPStatus.BAD_REQUEST:
            raise NotGranted(why)
        raise ServiceAway(why)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """Over a connection that is open already, if there is one which still works."""
        while self._idle:
            try:
                return self._post_on(self._idle.pop(), body)
            except (OSError, http.client.HTTPException):
                continue  # it was closed at the other end; an exchange may be asked for twice
        return self._post_on(self._connection(), body)

    def _post_on(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
        try:
            connection.request("POST", "/token", body, _HEADERS)
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        return response.status, content

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._access.url)
        host, port = str(parts.hostname), parts.port
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS)
        return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Close what is open, once nobody asks any more."""
        self._threads.shutdown(wait=False)
        while self._idle:
            self._idle.pop().close()


def _said(work: Work) -> dict[str, str]:
    return {"work": work.id, "digest": work.digest}


def payload(jwt: str) -> dict[str, Any]:
    """What a JWT says, verified by nobody.

    Raises:
        ValueError: it is none.
    """
    try:
        _, body, _ = jwt.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JWT") from error
    if not isinstance(claims, dict):
        raise ValueError("the claims are no object")  # noqa: TRY004 - bad data, no bad argument
    return claims
