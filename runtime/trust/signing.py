"""Signs grants and transaction tokens, and reads them back.

Source:
    RFC 7515 (JWS), RFC 7517 (JWK set), RFC 8725 (one algorithm, explicit types).
"""

from collections.abc import Mapping
from typing import Any

import jwt

from runtime.contract.signing_keys import SigningKeys
from runtime.contract.txn_token import ALGORITHM

PRIVATE = frozenset({"d"})


class NotOurs(ValueError):
    """This is no JWT of that type which one of our keys has signed."""


class TokenSigner:
    """The keys of the service; every replica has the same.

    Raises:
        ValueError: on making one, when a key cannot be used; the message does not repeat it.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        try:
            self._key_by_kid = {one.kid: jwt.PyJWK.from_dict(one.private) for one in keys.keys}
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise ValueError("a signing key is no private JWK") from None
        if any(key.algorithm_name != ALGORITHM for key in self._key_by_kid.values()):
            raise ValueError(f"every signing key has to be one for {ALGORITHM}")
        self._public = {
            one.kid: jwt.PyJWK.from_dict(public(one.kid, one.private)) for one in keys.keys
        }

    def sign(self, typ: str, claims: Mapping[str, Any], now: float) -> str:
        """A JWT of type `typ`; `now` in seconds since the epoch."""
        current = self._keys.current(now)
        key = self._key_by_kid[current.kid].key
        headers = {"typ": typ, "kid": current.kid}
        return jwt.encode(dict(claims), key, algorithm=ALGORITHM, headers=headers)

    def claims(self, typ: str, token: str) -> dict[str, Any]:
        """What a JWT of ours says; its times and its audience are not looked at.

        Raises:
            NotOurs: it is none, or of another type.
        """
        key = self._key_of(typ, token)
        unchecked = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "jti")}
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                options=unchecked,  # type: ignore[arg-type]  # a TypedDict of literal names
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise NotOurs(f"none that we have signed: {type(error).__name__}") from error
        return claims

    def _key_of(self, typ: str, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise NotOurs("no JWT") from error
        if header.get("typ") != typ:
            raise NotOurs(f"its typ is not {typ}")
        if (key := self._public.get(str(header.get("kid")))) is None:
            raise NotOurs("its key is none of ours")
        return key

    def jwks(self) -> dict[str, Any]:
        """The public keys, those included that do not sign yet or do not sign any more."""
        return {"keys": [public(one.kid, one.private) for one in self._keys.keys]}


def public(kid: str, private: Mapping[str, Any]) -> dict[str, Any]:
    """The JWK of a key pair without its private part."""
    shown = {name: value for name, value in private.items() if name not in PRIVATE}
    return shown | {"kid": kid, "alg": ALGORITHM, "use": "sig"}
