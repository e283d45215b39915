"""Which user a JWT is of: an access token of the issuer that a Stack trusts."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtime.identity.tokens import Keys, Proved, Reason, Refused, expiry, proved

ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 - a type, no secret
KEYCLOAKS: Final = "Bearer"
OF_ID_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash"})
OF_THE_TOKEN: Final = frozenset(
    {"iss", "aud", "exp", "nbf", "iat", "jti", "typ", "azp", "client_id", "scope", "scp"}
    | {"sid", "nonce", "auth_time", "acr", "amr"}
)
"""Claims that describe a token or a login, and no user (RFC 7519, RFC 9068, OpenID Connect)."""
OF_ACCESS_TOKENS: Final = frozenset({"scope", "scp"})
MOST_OF_SUBJECT: Final = 255


@dataclass(frozen=True, slots=True)
class User:
    """Who has sent a request, as the issuer says.

    Shape:
        claims   all of the token, as they stand there.

    Units:
        `expires` in seconds since the epoch.
    """

    issuer: str
    subject: str
    expires: float
    claims: Mapping[str, Any]

    @property
    def principal(self) -> str:
        """The user's name for the platform: a subject means something with its issuer alone.

        Source:
            OpenID Connect Core 1.0, section 5.7; Kubernetes writes OIDC users the same way.
        """
        return f"{self.issuer}#{self.subject}"

    @property
    def described(self) -> dict[str, tuple[str, ...]]:
        """What the token says of the user and not of itself: text, and lists of text."""
        listed = {
            name: [value] if isinstance(value, str) else value
            for name, value in self.claims.items()
            if name not in OF_THE_TOKEN
        }
        return {
            name: tuple(values)
            for name, values in listed.items()
            if isinstance(values, list) and all(isinstance(one, str) for one in values)
        }

    @property
    def scopes(self) -> frozenset[str]:
        """What the token is good for (RFC 8693, section 4.2); `scp` is what Entra ID has."""
        told = self.claims.get("scope", self.claims.get("scp", ""))
        listed = told.split() if isinstance(told, str) else told
        if not isinstance(listed, list):
            return frozenset()
        return frozenset(one for one in listed if isinstance(one, str))


class UserVerifier:
    """Verifies access tokens of users, of the issuers in `keys` and for one audience."""

    def __init__(self, keys: Keys, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    async def user(self, token: str, now: float | None = None) -> User:
        """Whose `token` is; `now` in seconds since the epoch.

        Raises:
            Refused: it is no good access token of a user.

        Source:
            RFC 9068 section 4 (what a resource server checks), RFC 8725 section 3.11 (types).
        """
        found = await proved(token, self._keys, self._audience)
        subject = _subject(found.claims["sub"])
        if not is_access_token(found):
            raise Refused(Reason.NO_ACCESS_TOKEN, subject)
        expires = expiry(found.claims, subject, time.time() if now is None else now)
        return User(found.claims["iss"], subject, expires, found.claims)


def is_access_token(token: Proved) -> bool:
    """Whether this is an access token, and no ID token or another kind of the same issuer.

    RFC 9068 has a type for it, which many issuers do not write. Keycloak says it in a claim; of any
    other one, the scope tells, as long as nothing in it is of ID tokens alone.

    Source:
        RFC 9068 section 2.1; OpenID Connect Core 1.0, sections 2 and 3.3.2.11; keycloak 26.7.3,
        `util/TokenUtil.java`.
    """
    kind = str(token.header.get("typ", "JWT")).lower().removeprefix("application/")
    if kind == ACCESS_TOKEN:
        return True
    if kind != "jwt":
        return False
    if "typ" in token.claims:
        return bool(token.claims["typ"] == KEYCLOAKS)
    names = token.claims.keys()
    return bool(names & OF_ACCESS_TOKENS) and not names & OF_ID_TOKENS


def _subject(subject: object) -> str:
    """A `sub` that can be written down (OpenID Connect Core 1.0, section 2)."""
    if not isinstance(subject, str) or not 0 < len(subject) <= MOST_OF_SUBJECT:
        raise Refused(Reason.NO_USER)
    if not (subject.isascii() and subject.isprintable()):
        raise Refused(Reason.NO_USER)
    return subject
