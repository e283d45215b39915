"""Makes the key pairs that grants and transaction tokens are signed with.

Source:
    RFC 7518, section 6.2 (keys on elliptic curves); RFC 7638 (thumbprint).
"""

import base64
import hashlib
import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from runtime.contract.signing_keys import SigningKey

_THUMBED: Final = ("crv", "kty", "x", "y")


def signing_key(signs_from: float) -> SigningKey:
    """A new key pair for ES256, which signs from this moment on (seconds since the epoch)."""
    private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    private = {name: value for name, value in private.items() if name != "key_ops"}
    return SigningKey(kid=thumbprint(private), private=private, signs_from=signs_from)


def thumbprint(jwk: dict[str, Any]) -> str:
    """What names a key: a digest of its public part."""
    plain = json.dumps({name: jwk[name] for name in _THUMBED}, separators=(",", ":"))
    digest = hashlib.sha256(plain.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
