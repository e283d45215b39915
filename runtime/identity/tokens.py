"""Whether a JWT is what an issuer of ours has said; of whom it speaks, others read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import jwt

from runtime.contract.spiffe import SCHEME, trust_domain_of

ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
CLOCK_SECONDS: Final = 60
"""How far an issuer's clock may run ahead of ours. An expiry is taken at its word."""
MOST_CHARACTERS: Final = 16384
"""Of one token; Keycloak's grow with the groups and roles of a user."""


class Reason(StrEnum):
    """Why a proof was refused; the queue keeps it for the audit line, the API tells its client."""

    NOT_SEALED = "not sealed"
    MALFORMED_REQUEST = "malformed request"
    NO_TOKEN = "no token"  # noqa: S105 - a sentence, no secret
    MALFORMED_TOKEN = "malformed token"  # noqa: S105 - a sentence, no secret
    ALGORITHM = "algorithm"
    UNKNOWN_ISSUER = "unknown issuer"
    UNKNOWN_KEY = "unknown key"
    KEYS_UNREACHABLE = "keys of the issuer unreachable"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    CLOCK = "clock"
    NO_ACCESS_TOKEN = "no access token"  # noqa: S105 - a sentence, no secret
    NO_USER = "no user"
    NO_SERVICE_ACCOUNT = "no service account"
    NO_WORKLOAD = "no workload"
    OTHER_PROVIDER = "another identity provider"
    UNKNOWN_WORKLOAD = "unknown workload"
    UNKNOWN_STACK = "unknown stack"
    POLICY_UNREADABLE = "policy unreadable"
    SUSPENDED = "suspended"


class Refused(Exception):
    """A proof is not taken; `who` is whom it names, once a signature proves it."""

    def __init__(self, reason: Reason, who: str | None = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.who = who


@dataclass(frozen=True, slots=True)
class Proved:
    """What stands in a token whose signature, issuer and audience are right, whatever its times."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class Keys(Protocol):
    """Where the public keys of issuers are found."""

    async def key(self, issuer: str, kid: str) -> jwt.PyJWK:
        """The key that `issuer` publishes under `kid`.

        Raises:
            Refused: the issuer is none of ours, has no such key, or cannot be asked.
        """
        ...


async def proved(token: str, keys: Keys, audience: str) -> Proved:
    """What stands in `token`, if one of the issuers has signed it for this audience.

    An authority is asked about its own subjects alone: the trust domain in the `sub` of an SVID
    chooses the keys, whatever its `iss` says, and of any other token the `iss` does.

    Raises:
        Refused: it proves nothing.

    Source:
        RFC 7519 section 7.2, RFC 8725 (the key decides the algorithm, only asymmetric ones);
        JWT-SVID specification, sections 3 (claims) and 4 (keys of the trust domain).
    """
    header, unverified = _unverified(token)
    if header.get("alg") not in ASYMMETRIC:
        raise Refused(Reason.ALGORITHM)
    is_svid = str(unverified.get("sub")).startswith(SCHEME)
    issuer = trust_domain_of(unverified["sub"]) if is_svid else unverified.get("iss")
    kid = header.get("kid")
    if not isinstance(issuer, str) or issuer.startswith(SCHEME) is not is_svid:
        raise Refused(Reason.UNKNOWN_ISSUER)
    if not isinstance(kid, str):
        raise Refused(Reason.UNKNOWN_KEY)
    key = await keys.key(issuer, kid)
    return Proved(header, _verified(token, key, None if is_svid else issuer, audience))


def claimed_issuer(token: str) -> str | None:
    """The issuer that a token names, which nothing proves yet.

    Raises:
        Refused: it is no token.
    """
    issuer = _unverified(token)[1].get("iss")
    return issuer if isinstance(issuer, str) else None


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not token:
        raise Refused(Reason.NO_TOKEN)
    if len(token) > MOST_CHARACTERS:
        raise Refused(Reason.MALFORMED_TOKEN)
    try:
        complete = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Refused(Reason.MALFORMED_TOKEN) from error
    return complete["header"], complete["payload"]


def _verified(token: str, key: jwt.PyJWK, issuer: str | None, audience: str) -> dict[str, Any]:
    """The claims, once the signature, issuer and audience are right; times are not looked at.

    An SVID needs no `iss`: its keys were chosen by its trust domain.
    """
    if key.algorithm_name not in ASYMMETRIC:
        raise Refused(Reason.ALGORITHM)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm_name],
            issuer=issuer,
            audience=audience,
            options={
                "require": ["exp", "aud", "sub", *(() if issuer is None else ("iss",))],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAlgorithmError as error:
        raise Refused(Reason.ALGORITHM) from error
    except jwt.InvalidSignatureError as error:
        raise Refused(Reason.SIGNATURE) from error
    except jwt.InvalidAudienceError as error:
        raise Refused(Reason.AUDIENCE) from error
    except jwt.MissingRequiredClaimError as error:
        missing_audience = error.claim == "aud"
        raise Refused(Reason.AUDIENCE if missing_audience else Reason.MALFORMED_TOKEN) from error
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise Refused(Reason.MALFORMED_TOKEN) from error
    return claims


def expiry(claims: Mapping[str, Any], who: str, now: float) -> float:
    """When a token with these claims ends, if it is good at `now`; in seconds since the epoch.

    Raises:
        Refused: it has ended, has not begun, or says neither.
    """
    try:
        expires = float(claims["exp"])
        begins = max(float(claims.get("nbf", 0)), float(claims.get("iat", 0)))
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(Reason.MALFORMED_TOKEN, who) from error
    # Written so that NaN and infinity, which Python's JSON admits, are refused too.
    if not now < expires < float("inf"):
        raise Refused(Reason.EXPIRED, who)
    if not begins <= now + CLOCK_SECONDS:
        raise Refused(Reason.CLOCK, who)
    return expires
