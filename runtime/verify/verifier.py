"""Whether a transaction token is good here and now.

Source:
    draft-ietf-oauth-transaction-tokens-10, sections 9 and 12.2; RFC 8725, sections 3.1 (algorithm),
    3.8 and 3.11 (issuer's keys, type).
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import jwt

from runtime.contract.txn_token import ALGORITHM, CLOCK_SECONDS, TYPE, TxnToken
from runtime.verify.keys import GivenKeys, KeySet
from runtime.verify.refusals import Reason, Refused

REQUIRED: Final = ("iat", "aud", "exp", "txn", "sub", "scope", "req_wl")
"""Draft, section 9.2."""


class Keys(Protocol):
    """Where the keys of the service are found."""

    @property
    def ahead_seconds(self) -> float:
        """How far our clock is ahead of the service's; 0 if unknown."""
        ...

    def key(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name; may block."""
        ...

    def has(self, kid: str) -> bool:
        """Whether `key` can say without blocking."""
        ...


class Verifier:
    """Checks tokens of one trust domain; from any thread.

    Shape:
        keys  the address of the service's JWK set, the set itself, or a `KeySet`.
    """

    def __init__(self, *, trust_domain: str, keys: str | Mapping[str, Any] | Keys) -> None:
        self.trust_domain = trust_domain
        self._keys: Keys
        match keys:
            case str():
                self._keys = KeySet(keys)
            case Mapping():
                self._keys = GivenKeys(keys)
            case _:
                self._keys = keys

    def verify(self, token: str, *, scope: str | None = None, now: float | None = None) -> TxnToken:
        """What the token says, if it is good; may ask for the keys, and blocks meanwhile.

        Args:
            token: the value of the header `Txn-Token`.
            scope: one value that the token's scope has to have.
            now: seconds since the epoch.

        Raises:
            Refused: it is not; the message says why.
            KeysAway: nobody can say for now.
        """
        header = _header(token)
        if header.get("typ") != TYPE:
            raise Refused(Reason.TYPE, f"its typ is not {TYPE}")
        if header.get("alg") != ALGORITHM:
            raise Refused(Reason.ALGORITHM, f"its alg is not {ALGORITHM}")
        key = self._keys.key(str(header.get("kid")))
        if key is None:
            raise Refused(Reason.KEY, "the service has no key of that name")
        claims = self._claims(token, key)
        self._check_times(claims, time.time() if now is None else now)
        try:
            found = TxnToken.of(claims)
        except ValueError as error:
            raise Refused(Reason.CLAIM, str(error)) from error
        if scope is not None and scope not in found.scope:
            raise Refused(Reason.SCOPE, f"its scope does not have {scope}")
        return found

    async def averify(
        self, token: str, *, scope: str | None = None, now: float | None = None
    ) -> TxnToken:
        """`verify` that lets others go on while it asks for keys."""
        if self._keys.has(str(_header(token).get("kid"))):
            return self.verify(token, scope=scope, now=now)
        return await asyncio.to_thread(self.verify, token, scope=scope, now=now)

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                audience=self.trust_domain,
                options={
                    "require": list(REQUIRED),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidSignatureError as error:
            raise Refused(Reason.SIGNATURE, "its signature is not that of the key") from error
        except jwt.MissingRequiredClaimError as error:
            raise Refused(Reason.CLAIM, f"the claim {error.claim} is missing") from error
        except jwt.InvalidAudienceError as error:
            why = f"its aud is not {self.trust_domain}"
            raise Refused(Reason.AUDIENCE, why) from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Refused(Reason.MALFORMED, "it is no JWT with claims") from error
        return claims

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        issued, expires = claims["iat"], claims["exp"]
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise Refused(Reason.CLAIM, "the claim iat or exp is no number")
        ahead = self._keys.ahead_seconds + now - time.time()
        if abs(ahead) > CLOCK_SECONDS:
            off = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
            raise Refused(Reason.CLOCK, f"the clock here is {off} that of the service")
        if issued > now + CLOCK_SECONDS:
            raise Refused(Reason.CLOCK, "it is of the future")
        if not now < expires + CLOCK_SECONDS:
            raise Refused(Reason.EXPIRED, "it has expired")


def is_txn_token(text: str) -> bool:
    """Whether this says of itself that it is a transaction token, good or not."""
    try:
        return jwt.get_unverified_header(text).get("typ") == TYPE
    except (jwt.InvalidTokenError, ValueError):
        return False


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Refused(Reason.MALFORMED, "it is no JWT") from error
