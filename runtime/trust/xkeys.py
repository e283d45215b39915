"""Sealing between a NATS server and the trust plane: nobody on the way reads it or changes it.

Source:
    https://github.com/nats-io/nkeys, `xkeys.go`; NATS architecture decision record ADR-26; NaCl,
    "Public-key authenticated encryption: crypto_box".
"""

import base64
import binascii
from typing import Final

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

from runtime.trust.nkeys import NotSigned, Prefix, raw_key

VERSION: Final = b"xkv1"
_SEED: Final = bytes([18 << 3 | Prefix.CURVE >> 5, (Prefix.CURVE & 31) << 3])
_SEED_BYTES: Final = 36  # two of the prefix, 32 of the key, two of the checksum


class NotSealed(ValueError):
    """This was not sealed for us by the xkey it names."""


class Xkey:
    """Opens what is sealed for one xkey, and seals what it sends.

    Shape:
        What is sealed is `VERSION`, a nonce of 24 bytes that is used once, and the box.

    Raises:
        ValueError: on making one, when this is no seed of an xkey; the message does not repeat it.
    """

    def __init__(self, seed: str) -> None:
        self._private = PrivateKey(_raw_seed(seed.strip()))

    def open(self, sealed: bytes, sender: str) -> bytes:
        """What `sender`, a public xkey, has sealed for us.

        Raises:
            NotSealed: it was not, or not by that key, or it was changed on the way.
        """
        if not sealed.startswith(VERSION):
            raise NotSealed("this is not sealed")
        try:
            return self._box(sender).decrypt(sealed.removeprefix(VERSION))
        except (CryptoError, NotSigned, ValueError, TypeError) as error:
            raise NotSealed("this cannot be opened") from error

    def seal(self, data: bytes, recipient: str) -> bytes:
        """`data` for `recipient`, a public xkey, alone.

        Raises:
            NotSigned: this is no public xkey.
        """
        return VERSION + self._box(recipient).encrypt(data)

    def _box(self, other: str) -> Box:
        return Box(self._private, PublicKey(raw_key(other, Prefix.CURVE)))


def _raw_seed(seed: str) -> bytes:
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except ValueError as error:
        raise ValueError("this is no seed of an xkey") from error
    checksum = int.from_bytes(raw[-2:], "little")
    if len(raw) != _SEED_BYTES or raw[:2] != _SEED or binascii.crc_hqx(raw[:-2], 0) != checksum:
        raise ValueError("this is no seed of an xkey")
    return raw[2:-2]
