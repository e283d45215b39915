"""Whose access token a server shows, and whether that user may still act through others."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from runtime.contract.trust_config import UserIssuer
from runtime.contract.txn_token import scopes
from runtime.contract.value import ObjectName
from runtime.trust.issue import Subject
from runtime.trust.keys import IssuerKeys
from runtime.trust.tokens import Keys, Reason, Refused, claims_of, expiry


class Subjects(Protocol):
    """Who the users of a Stack are."""

    async def subject(self, stack: ObjectName, token: str, now: float | None = None) -> Subject:
        """Whose access token this is.

        Raises:
            Refused: nobody's, or of an issuer that is not the Stack's.
        """
        ...

    async def is_enabled(self, stack: ObjectName, sub: str, issuer: str) -> bool:
        """Whether this user may still act, hours after he has shown his token."""
        ...


class JwtSubjects:
    """Users by their access tokens alone: JWTs that the issuer of the Stack has signed.

    After that it knows of a user only whether his Stack still has the same issuer. Nobody tells it
    that he was disabled there.

    Source:
        RFC 9068 (JWT access tokens), section 4; the `typ` is not looked at, since widespread
        issuers leave it out.
    """

    def __init__(self, users: Mapping[ObjectName, UserIssuer]) -> None:
        self._users = users
        by_name = {one.issuer.issuer: one.issuer for one in users.values()}
        self._keys: Keys = IssuerKeys(by_name.values())

    async def subject(self, stack: ObjectName, token: str, now: float | None = None) -> Subject:
        """Whose access token this is.

        Raises:
            Refused: nobody's, or of an issuer that is not the Stack's.
        """
        users = self._users.get(stack)
        if users is None:
            raise Refused(Reason.UNKNOWN_ISSUER)
        moment = time.time() if now is None else now
        claims = await claims_of(token, self._keys, users.audience)
        if claims["iss"] != users.issuer.issuer:  # the keys are those of all Stacks' issuers
            raise Refused(Reason.UNKNOWN_ISSUER)
        sub = _subject(claims)
        return Subject(sub, users.issuer.issuer, _scope(claims), expiry(claims, sub, moment))

    async def is_enabled(self, stack: ObjectName, sub: str, issuer: str) -> bool:  # noqa: ARG002 - all of an issuer's users alike
        """Whether his Stack still has the issuer that has vouched for him."""
        users = self._users.get(stack)
        return users is not None and users.issuer.issuer == issuer


def _subject(claims: Mapping[str, Any]) -> str:
    sub = claims["sub"]
    if not isinstance(sub, str) or not sub:
        raise Refused(Reason.MALFORMED_TOKEN)
    return sub


def _scope(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """RFC 8693, section 4.2: text; None if it is not there, or something else."""
    scope = claims.get("scope")
    return scopes(scope) if isinstance(scope, str) else None
