"""Remembers which token came with which call, so that neither is taken twice.

Source:
    draft-ietf-oauth-transaction-tokens-10, section 13.2. The draft keeps `txn`; but a transaction
    makes many calls, and a call may rightly come again with a new token. So it is the pair.
"""

import hashlib
import threading
from collections import deque
from typing import Final

MOST: Final = 100_000


class Replays:
    """What this process has taken; several processes each have their own.

    Shape:
        most  pairs that are kept; beyond that the oldest is forgotten before its token has ended.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: set[bytes] = set()
        self._order: deque[tuple[float, bytes]] = deque()
        self._lock = threading.Lock()

    def is_new(self, token: str, call: str, *, now: float, until: float) -> bool:
        """Whether this token comes with this call for the first time; from then on it does not.

        Units:
            `now`, `until` in seconds since the epoch: the token is not taken any more afterwards.
        """
        pair = hashlib.sha256(f"{token}\0{call}".encode()).digest()
        with self._lock:
            while self._order and (self._order[0][0] < now or len(self._order) >= self._most):
                self._seen.discard(self._order.popleft()[1])
            if pair in self._seen:
                return False
            self._seen.add(pair)
            self._order.append((until, pair))
            return True
