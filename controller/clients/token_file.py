"""The operator's own proof of identity: a JWT in a file that somebody else renews."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import jwt


class NoProof(ValueError):
    """The file holds no JWT that says who issued it and when it ends."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the operator shows.

    Units:
        `expires` in seconds since the epoch.
    """

    token: str
    issuer: str
    expires: float


async def read_proof(path: Path) -> Proof:
    """The token in the file as it is now. It is not verified: that is for those it is shown to.

    Raises:
        OSError: the file is not there or cannot be read.
        NoProof: it holds no such JWT.
    """
    token = (await asyncio.to_thread(path.read_text)).strip()
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return Proof(token, str(claims["iss"]), float(claims["exp"]))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
        raise NoProof(f"{path} holds no JWT with an issuer and an expiry") from error
