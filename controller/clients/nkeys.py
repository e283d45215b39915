"""Seeds of nkeys: what NATS knows accounts and users by, and for whom it seals.

Source:
    NATS documentation, "NKeys"; https://github.com/nats-io/nkeys, `strkey.go`, `xkeys.go`.
"""

import base64
import binascii
import secrets
from typing import Final

import nkeys
from nacl.public import PrivateKey

_RAW_SEED_BYTES: Final = 32
_XKEY: Final = 23 << 3
"""The first letter of a public xkey, `X`, in base32; the library knows no xkeys."""
_XKEY_SEED: Final = bytes([18 << 3 | _XKEY >> 5, (_XKEY & 31) << 3])
"""The first letters of its seed, `SX`."""


def account_seed() -> str:
    """A new seed of an account: `SA…`. It signs users, so it is a secret."""
    return _seed(nkeys.PREFIX_BYTE_ACCOUNT)


def user_seed() -> str:
    """A new seed of a user: `SU…`. It proves who connects, so it is a secret."""
    return _seed(nkeys.PREFIX_BYTE_USER)


def xkey_seed() -> str:
    """A new seed of an xkey: `SX…`. It opens what is sealed for it, so it is a secret."""
    return _encoded(_XKEY_SEED + secrets.token_bytes(_RAW_SEED_BYTES))


def public_xkey(seed: str) -> str:
    """The public xkey that belongs to `seed`: `X…`; no secret.

    Raises:
        ValueError: this is no seed of an xkey; the message does not repeat it.
    """
    seed = seed.strip()
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))[:-2]
        private = PrivateKey(raw.removeprefix(_XKEY_SEED))
    except (ValueError, TypeError) as error:
        raise ValueError("this is no seed of an xkey") from error
    if _encoded(raw) != seed:
        raise ValueError("this is no seed of an xkey")
    return _encoded(bytes([_XKEY]) + bytes(private.public_key))


def public_key(seed: str) -> str:
    """The public nkey that belongs to `seed`: `A…` or `U…`; no secret.

    Raises:
        ValueError: this is no seed; the message does not repeat it.
    """
    try:
        public: bytes = nkeys.from_seed(seed.strip().encode()).public_key
    except Exception as error:  # the library raises its own, and binascii's, and ValueError
        raise ValueError("this is no seed of an nkey") from error
    return public.decode()


def _seed(prefix: int) -> str:
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(_RAW_SEED_BYTES), prefix)
    return seed.decode()


def _encoded(raw: bytes) -> str:
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")
