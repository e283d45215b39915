"""The workload's proof of identity: a JWT in a file that somebody else renews.

In a cluster the kubelet writes it (a projected ServiceAccount token), in embedded mode the local
issuer. It is read again at each use and never kept.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path


class NoProof(ValueError):
    """The file holds no JWT that says when it ends."""


@dataclass(frozen=True, slots=True)
class WorkloadToken:
    """What the workload shows; `expires` in seconds since the epoch."""

    token: str
    expires: float


class TokenFile:
    """The file at `path`, as it is at each `read`."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> WorkloadToken:
        """The token as it is now. It is not verified: that is for those it is shown to.

        Raises:
            OSError: the file is not there or cannot be read.
            NoProof: it holds no JWT with an expiry.
        """
        token = self._path.read_text().strip()
        return WorkloadToken(token, _expiry(token, self._path))


def _expiry(token: str, path: Path) -> float:
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (ValueError, KeyError, TypeError) as error:
        raise NoProof(f"{path} holds no JWT with an expiry") from error
