"""The workload's proof of identity: a JWT in a file that somebody else renews.

In a cluster the kubelet writes it (a projected ServiceAccount token), in embedded mode the local
issuer. It is read again at each use and never kept.
"""

from pathlib import Path

from runtime.identity.token import NoProof, WorkloadToken, expiry


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
        try:
            token = self._path.read_text().strip()
            return WorkloadToken(token, expiry(token))
        except ValueError as error:
            raise NoProof(f"{self._path} holds no JWT with an expiry") from error
