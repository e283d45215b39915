"""What proves a workload's identity: a JWT and when it ends."""

import base64
import json
from dataclasses import dataclass
from typing import Protocol


class NoProof(ValueError):
    """There is nothing to show at the moment; the message says why."""


@dataclass(frozen=True, slots=True)
class WorkloadToken:
    """What the workload shows; `expires` in seconds since the epoch."""

    token: str
    expires: float


class ProofSource(Protocol):
    """Where a workload's proof comes from; it is asked at each use, and its answer not kept."""

    def read(self) -> WorkloadToken:
        """The proof as it is now. It is not verified: that is for those it is shown to.

        Raises:
            NoProof: there is none.
            OSError: where it should be cannot be read.
        """
        ...


def expiry(token: str) -> float:
    """The claim `exp` of a JWT, in seconds since the epoch.

    Raises:
        ValueError: it is no JWT, or does not say when it ends.
    """
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (KeyError, TypeError) as error:
        raise ValueError("the token does not say when it ends") from error
