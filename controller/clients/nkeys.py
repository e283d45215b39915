"""Seeds of nkeys: what NATS knows accounts and users by.

Source:
    NATS documentation, "NKeys"; https://github.com/nats-io/nkeys.
"""

import secrets
from typing import Final

import nkeys

_RAW_SEED_BYTES: Final = 32


def account_seed() -> str:
    """A new seed of an account: `SA…`. It signs users, so it is a secret."""
    return _seed(nkeys.PREFIX_BYTE_ACCOUNT)


def user_seed() -> str:
    """A new seed of a user: `SU…`. It proves who connects, so it is a secret."""
    return _seed(nkeys.PREFIX_BYTE_USER)


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
