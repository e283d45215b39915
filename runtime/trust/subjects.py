"""Whose access token a server shows, and whether that user may still act through others."""

from collections.abc import Mapping
from typing import Protocol

from runtime.contract.trust_config import UserIssuer
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import Reason, Refused
from runtime.identity.users import OF_ACCESS_TOKENS, UserVerifier
from runtime.trust.issue import Subject


class Subjects(Protocol):
    """Who the users of a Stack are."""

    async def subject(self, stack: ObjectName, token: str, now: float) -> Subject:
        """Whose access token this is; `now` in seconds since the epoch.

        Raises:
            Refused: nobody's, or of an issuer that is not the Stack's.
        """
        ...

    async def is_enabled(self, stack: ObjectName, issuer: str, sub: str) -> bool:
        """Whether this user may still act, hours after he has shown his token."""
        ...


class JwtSubjects:
    """Users by their access tokens alone: JWTs that the issuer of the Stack has signed.

    After that it knows of a user only whether his Stack still has the same issuer. Nobody tells it
    that he was disabled there.
    """

    def __init__(self, users: Mapping[ObjectName, UserIssuer]) -> None:
        self._issuers = {stack: one.issuer.issuer for stack, one in users.items()}
        self._verifiers = {
            stack: UserVerifier(IssuerKeys([one.issuer]), one.audience)
            for stack, one in users.items()
        }

    async def subject(self, stack: ObjectName, token: str, now: float) -> Subject:
        """Whose access token this is.

        Raises:
            Refused: nobody's, or of an issuer that is not the Stack's.
        """
        verifier = self._verifiers.get(stack)
        if verifier is None:
            raise Refused(Reason.UNKNOWN_ISSUER)
        user = await verifier.user(token, now)
        is_told = any(user.claims.get(name) is not None for name in OF_ACCESS_TOKENS)
        scope = tuple(sorted(user.scopes)) if is_told else None
        return Subject(user.principal, user.issuer, scope, user.expires)

    async def is_enabled(self, stack: ObjectName, issuer: str, sub: str) -> bool:
        """Whether his Stack still has the issuer that has vouched for him."""
        del sub  # all of an issuer's users alike
        return self._issuers.get(stack) == issuer
