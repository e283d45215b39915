"""Ed25519 nkeys and the JWTs that NATS signs and reads with them.

Source:
    https://github.com/nats-io/nkeys (encoding), https://github.com/nats-io/jwt, version 2 (claims).
"""

import base64
import binascii
import hashlib
import json
from enum import IntEnum
from typing import Any, Final

import nkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_PUBLIC_BYTES: Final = 35  # one of the prefix, 32 of the key, two of the checksum


class Prefix(IntEnum):
    """What a public nkey is of: the first byte, seen as its first letter."""

    ACCOUNT = 0
    SERVER = 13 << 3
    USER = 20 << 3
    CURVE = 23 << 3


class NotSigned(ValueError):
    """This is no JWT that the nkey it names has signed."""


class Signer:
    """Signs claims with one nkey.

    Raises:
        ValueError: on making one, when this is no seed; the message does not repeat it.
    """

    def __init__(self, seed: str) -> None:
        try:
            self._key = nkeys.from_seed(seed.strip().encode())
            self.public_key: str = self._key.public_key.decode()
        except Exception as error:  # the library raises its own, and binascii's, and ValueError
            raise ValueError("this is no seed of an nkey") from error

    def sign(self, claims: dict[str, Any]) -> str:
        """`claims` as a JWT whose `iss` is this key and whose `jti` is a digest of the rest."""
        body = claims | {"iss": self.public_key, "jti": ""}
        digest = hashlib.sha256(_json(body)).digest()
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        signed = f"{_base64(_json(_HEADER))}.{_base64(_json(body))}"
        return f"{signed}.{_base64(self._key.sign(signed.encode()))}"


def signed_claims(jwt: str, prefix: Prefix) -> dict[str, Any]:
    """The claims of a JWT that the key in its own `iss` has signed, a key of kind `prefix`.

    Raises:
        NotSigned: it is no such JWT.
    """
    try:
        signed, _, signature = jwt.rpartition(".")
        header, _, body = signed.partition(".")
        claims = json.loads(_unbase64(body))
        if json.loads(_unbase64(header)) != _HEADER:
            raise NotSigned("the header is not that of an nkey's JWT")
        verifier = Ed25519PublicKey.from_public_bytes(raw_key(claims["iss"], prefix))
        verifier.verify(_unbase64(signature), signed.encode())
    except (InvalidSignature, KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotSigned(f"no JWT signed by the nkey it names: {type(error).__name__}") from error
    if not isinstance(claims, dict):
        raise NotSigned("the claims are no object")
    return claims


def raw_key(public: str, prefix: Prefix) -> bytes:
    """The 32 bytes of a public nkey of kind `prefix`.

    Raises:
        NotSigned: this is none.
        ValueError: this is no base32.
    """
    raw = base64.b32decode(public + "=" * (-len(public) % 8))
    checksum = int.from_bytes(raw[-2:], "little")
    if len(raw) != _PUBLIC_BYTES or raw[0] != prefix or binascii.crc_hqx(raw[:-2], 0) != checksum:
        raise NotSigned("this is no public nkey of the kind asked for")
    return raw[1:-2]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
