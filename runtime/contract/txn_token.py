"""Transaction tokens and grants: their claims, their types, and how a request for one is spelled.

What the draft calls something stands here and nowhere else, so that a new version of it is a change
of this module. It needs the standard library alone: tools outside of the platform import it.

Source:
    draft-ietf-oauth-transaction-tokens-10, sections 9 (format) and 11 (request, response);
    draft-araut-oauth-transaction-tokens-for-agents-02 (`act` in a transaction token); RFC 8693,
    sections 2 (exchange), 4.1 (`act`) and 4.4 (`may_act`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

DRAFT: Final = "draft-ietf-oauth-transaction-tokens-10"

TYPE: Final = "txntoken+jwt"
"""The `typ` of a transaction token (draft, section 9.1)."""
GRANT_TYPE: Final = "k8gentai-grant+jwt"
"""The `typ` of a grant, so that neither is ever taken for the other (RFC 8725, section 3.11)."""
HEADER: Final = "Txn-Token"
ALGORITHM: Final = "ES256"

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - no secret
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TXN_TOKEN: Final = "urn:ietf:params:oauth:token-type:txn_token"  # noqa: S105 - a type, no secret
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - as above
REFRESH_TOKEN: Final = "urn:ietf:params:oauth:token-type:refresh_token"  # noqa: S105 - as above
GRANT: Final = "https://k8gentai.dev/token-type/grant"
"""Ours: a custom type is a URI on which requester and service agree (draft, section 11.2)."""

ASSERTION_AUDIENCE: Final = "k8gentai-tokens"
"""For whom the token is good by which a workload proves to the service who it is."""
CLOCK_SECONDS: Final = 60
"""How far two clocks may be apart."""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work: what a grant is for, and what a transaction token was asked for.

    Shape:
        id      of the task, or the key of the call in `effects`.
        digest  `digest` of the task's input, or of function and arguments of the call.
    """

    id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What stays the same from the user's request to the last tool.

    Shape:
        txn     made once, when the first grant is minted.
        sub     the user: `<issuer>#<its name of him>`, so that it is unique in the trust domain.
        issuer  of the user's own token.
        stack   `<namespace>/<name>`.
        work    the task that the user has asked for.
    """

    txn: str
    sub: str
    issuer: str
    stack: str
    work: Work

    @property
    def tctx(self) -> dict[str, Any]:
        """The transaction context: immutable (draft, section 9.2.3)."""
        return {"iss": self.issuer, "stack": self.stack, **_said(self.work)}

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """What the claims say.

        Raises:
            ValueError: a claim is missing or not of its form; the message names it.
        """
        tctx = _object(claims, "tctx")
        return cls(
            txn=_text(claims, "txn"),
            sub=_text(claims, "sub"),
            issuer=_text(tctx, "iss", "tctx."),
            stack=_text(tctx, "stack", "tctx."),
            work=_work(tctx, "tctx."),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnToken:
    """A transaction token.

    Shape:
        req_wl        the workload that it was minted for, a SPIFFE ID.
        act           the agents that act for the user, the nearest one first.
        work          what it was asked for: the task of an agent, or one call of a tool.
        trust_domain  where it is good, its `aud`.
        replacements  how often it was replaced by a narrower one.

    Units:
        `issued_at`, `expires` in seconds since the epoch.

    Source:
        Draft, section 9.2.
    """

    transaction: Transaction
    scope: tuple[str, ...]
    act: tuple[str, ...]
    req_wl: str
    work: Work
    trust_domain: str
    issuer: str
    jti: str
    issued_at: int
    expires: int
    replacements: int = 0

    @property
    def sub(self) -> str:
        """The user."""
        return self.transaction.sub

    @property
    def txn(self) -> str:
        """The id of the whole transaction, for the logs."""
        return self.transaction.txn

    def claims(self) -> dict[str, Any]:
        """This token as the claims of a JWT."""
        claims = {
            "iss": self.issuer,
            "iat": self.issued_at,
            "exp": self.expires,
            "jti": self.jti,
            "aud": self.trust_domain,
            "txn": self.transaction.txn,
            "sub": self.transaction.sub,
            "scope": " ".join(self.scope),
            "req_wl": self.req_wl,
            "tctx": self.transaction.tctx,
            "rctx": _said(self.work) | {"replacements": self.replacements},
        }
        return claims | _nested(self.act)

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """The token with these claims, which somebody has verified.

        Raises:
            ValueError: a claim is missing or not of its form; the message names it.
        """
        rctx = _object(claims, "rctx")
        return cls(
            transaction=Transaction.of(claims),
            scope=scopes(_text(claims, "scope")),
            act=_chain(claims),
            req_wl=_text(claims, "req_wl"),
            work=_work(rctx, "rctx."),
            trust_domain=_text(claims, "aud"),
            issuer=_text(claims, "iss"),
            jti=_text(claims, "jti"),
            issued_at=_number(claims, "iat"),
            expires=_number(claims, "exp"),
            replacements=_number(rctx, "replacements", "rctx."),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The signed statement that makes a message into work; good only at the service.

    Shape:
        may_act   the workload that may trade it for a transaction token, a SPIFFE ID.
        act       the agents that act for the user so far, the nearest one first.
        service   who signs it and the only one it is for: `iss` and `aud`.
        req_wl    the workload that it was minted for.

    Units:
        `issued_at`, `expires` in seconds since the epoch.
    """

    transaction: Transaction
    work: Work
    scope: tuple[str, ...]
    act: tuple[str, ...]
    may_act: str
    req_wl: str
    service: str
    jti: str
    issued_at: int
    expires: int

    def claims(self) -> dict[str, Any]:
        """This grant as the claims of a JWT."""
        claims = {
            "iss": self.service,
            "aud": self.service,
            "iat": self.issued_at,
            "exp": self.expires,
            "jti": self.jti,
            "txn": self.transaction.txn,
            "sub": self.transaction.sub,
            "scope": " ".join(self.scope),
            "req_wl": self.req_wl,
            "may_act": {"sub": self.may_act},
            "tctx": self.transaction.tctx,
            "rctx": _said(self.work),
        }
        return claims | _nested(self.act)

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """The grant with these claims, which somebody has verified.

        Raises:
            ValueError: a claim is missing or not of its form; the message names it.
        """
        return cls(
            transaction=Transaction.of(claims),
            work=_work(_object(claims, "rctx"), "rctx."),
            scope=scopes(_text(claims, "scope")),
            act=_chain(claims),
            may_act=_text(_object(claims, "may_act"), "sub", "may_act."),
            req_wl=_text(claims, "req_wl"),
            service=_text(claims, "aud"),
            jti=_text(claims, "jti"),
            issued_at=_number(claims, "iat"),
            expires=_number(claims, "exp"),
        )


def digest(value: Any) -> str:
    """`sha256:<hex>` of a JSON value, however its object's members are ordered."""
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def call_digest(function: str, arguments: Mapping[str, Any]) -> str:
    """What a call's token says of what is called, and with what."""
    return digest([function, dict(arguments)])


def scopes(text: str) -> tuple[str, ...]:
    """The values of a space-delimited scope, each once (RFC 6749, section 3.3)."""
    return tuple(dict.fromkeys(text.split()))


def _nested(act: tuple[str, ...]) -> dict[str, Any]:
    """`act` as RFC 8693, section 4.1, nests it: the nearest actor outside."""
    nested: dict[str, Any] = {}
    for actor in reversed(act):
        nested = {"act": {"sub": actor, **nested}}
    return nested


def _chain(claims: Mapping[str, Any]) -> tuple[str, ...]:
    chain: list[str] = []
    inner = claims
    while "act" in inner:
        inner = _object(inner, "act")
        chain.append(_text(inner, "sub", "act."))
    return tuple(chain)


def _said(work: Work) -> dict[str, Any]:
    return {"work": work.id, "digest": work.digest}


def _work(claims: Mapping[str, Any], where: str) -> Work:
    return Work(_text(claims, "work", where), _text(claims, "digest", where))


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"the claim {name} is missing, or no object")  # noqa: TRY004 - bad data, no bad argument
    return value


def _text(claims: Mapping[str, Any], name: str, where: str = "") -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the claim {where}{name} is missing, or no text")
    return value


def _number(claims: Mapping[str, Any], name: str, where: str = "") -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"the claim {where}{name} is missing, or no whole number")  # noqa: TRY004 - as above
    return value
