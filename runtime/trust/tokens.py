"""Whether a JWT proves a workload's identity, and whose."""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import jwt

from runtime.contract.spiffe import SCHEME, SpiffeId, trust_domain_of
from runtime.contract.subjects import token as safe_token
from runtime.contract.value import ObjectName

ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
CLOCK_SECONDS: Final = 60
"""How far an issuer's clock may run ahead of ours. An expiry is taken at its word."""
_SUBJECT: Final = "system:serviceaccount:"


class Reason(StrEnum):
    """Why a connection was refused; for the audit line, never for the client."""

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
    NO_SERVICE_ACCOUNT = "no service account"
    NO_WORKLOAD = "no workload"
    OTHER_PROVIDER = "another identity provider"
    UNKNOWN_WORKLOAD = "unknown workload"
    POLICY_UNREADABLE = "policy unreadable"


class Refused(Exception):
    """The connection is not let in; `who` is the subject, once a signature proves it."""

    def __init__(self, reason: Reason, who: str | None = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.who = who


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token proves to be at the other end; `expires` in seconds since the epoch.

    Shape:
        spiffe_id  that an SVID proves; None for a token of the ServiceAccount.
    """

    service_account: ObjectName
    expires: float
    spiffe_id: str | None = None

    @property
    def who(self) -> str:
        """The subject, as the audit log names it."""
        return self.spiffe_id or str(self.service_account)


class Keys(Protocol):
    """Where the public keys of issuers are found."""

    async def key(self, issuer: str, kid: str) -> jwt.PyJWK:
        """The key that `issuer` publishes under `kid`.

        Raises:
            Refused: the issuer is none of ours, has no such key, or cannot be asked.
        """
        ...


class Verifier:
    """Verifies the tokens of workloads for one audience."""

    def __init__(self, keys: Keys, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    async def identity(self, token: str, now: float | None = None) -> Identity:
        """Whose `token` is; `now` in seconds since the epoch.

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
        key = await self._keys.key(issuer, kid)
        claims = _verified(token, key, None if is_svid else issuer, self._audience)
        subject = str(claims["sub"])
        account = _svid_account(subject) if is_svid else _service_account(subject)
        spiffe_id = subject if is_svid else None
        who = spiffe_id or str(account)
        expires = _expiry(claims, who, time.time() if now is None else now)
        return Identity(account, expires, spiffe_id)


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not token:
        raise Refused(Reason.NO_TOKEN)
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


def _expiry(claims: dict[str, Any], who: str, now: float) -> float:
    """When the token ends, if it is good at `now`."""
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


def _svid_account(subject: str) -> ObjectName:
    """The ServiceAccount that the workload with this SPIFFE ID runs as."""
    try:
        account = SpiffeId.parse(subject).service_account
        return ObjectName(namespace=safe_token(account.namespace), name=safe_token(account.name))
    except ValueError as error:
        raise Refused(Reason.NO_WORKLOAD, subject) from error


def _service_account(subject: str) -> ObjectName:
    """The ServiceAccount in a `sub` claim: `system:serviceaccount:<namespace>:<name>`."""
    if not subject.startswith(_SUBJECT):
        raise Refused(Reason.NO_SERVICE_ACCOUNT)
    namespace, _, name = subject.removeprefix(_SUBJECT).partition(":")
    try:
        return ObjectName(namespace=safe_token(namespace), name=safe_token(name))
    except ValueError as error:
        raise Refused(Reason.NO_SERVICE_ACCOUNT) from error
