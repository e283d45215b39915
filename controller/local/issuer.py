"""The issuer of embedded mode: it writes the tokens that a cluster's kubelet would."""

import contextlib
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName

ISSUER: Final = "https://local.k8gentai.dev"
"""The `iss` of local tokens: a name, not an address anybody asks."""
_ALGORITHM: Final = "EdDSA"


class LocalIssuer:
    """Signs workload tokens with a key that lives and dies with this process.

    Shape:
        Tokens have the claims of a projected ServiceAccount token: `iss`, `aud` (a list), `sub`
        (`system:serviceaccount:<namespace>:<name>`), `iat`, `nbf`, `exp`, `jti`.
    """

    def __init__(self, audience: str) -> None:
        self._audience = audience
        self._key = Ed25519PrivateKey.generate()
        self._kid = uuid.uuid4().hex

    def jwks(self) -> dict[str, Any]:
        """The public key as a JWK set (RFC 7517)."""
        public = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [public | {"kid": self._kid, "alg": _ALGORITHM, "use": "sig"}]}

    def trusted(self) -> Issuer:
        """What the trust plane has to be told to believe this issuer."""
        return Issuer(issuer=ISSUER, jwks=self.jwks())

    def token(
        self, service_account: ObjectName, seconds: float, audience: str | None = None
    ) -> str:
        """A token that proves `service_account` for `seconds`, to its audience or another one."""
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": [audience or self._audience],
            "sub": f"system:serviceaccount:{service_account.namespace}:{service_account.name}",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + seconds),
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._kid})

    def write_token(
        self,
        path: Path,
        service_account: ObjectName,
        seconds: float,
        audience: str | None = None,
    ) -> None:
        """Put a new token into the file at `path`, which only its owner may read.

        It is replaced as a whole, so that a reader sees the old token or the new one.

        Raises:
            OSError: the folder is not there or cannot be written.
        """
        # mkstemp makes the file with mode 0600, so that nobody else sees it even for a moment.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(self.token(service_account, seconds, audience))
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
