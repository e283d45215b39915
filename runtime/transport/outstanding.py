"""How many messages the queue still owes to requests for work.

A message does not say which request it answers, and a request that got all it asked for ends
without a word. So only their sum is counted: up by what is asked for, down by each message and by
what a request leaves over when it runs out.
"""

from collections import deque


class Outstanding:
    """The requests of one connection.

    Units:
        Times are seconds on any clock that only goes forward.
    """

    def __init__(self, longest_seconds: float) -> None:
        self._longest = longest_seconds
        self._asked: deque[tuple[float, int]] = deque()
        self._owed = 0

    def ask(self, wanted: int, now: float) -> None:
        """A request for `wanted` messages has gone out."""
        self._asked.append((now, wanted))
        self._owed += wanted

    def came(self) -> None:
        """One message has come."""
        self._owed = max(0, self._owed - 1)

    def ran_out(self, left: int | None) -> None:
        """A request has ended with `left` messages to come; None: nobody says, so none is owed."""
        self._owed = 0 if left is None else max(0, self._owed - left)

    def owed(self, now: float) -> int:
        """How many may still come.

        A request older than `longest_seconds` is over, whatever was heard of it: a count that went
        wrong because a message got lost is right again after that time.
        """
        while self._asked and self._asked[0][0] < now - self._longest:
            self._asked.popleft()
        self._owed = min(self._owed, sum(wanted for _, wanted in self._asked))
        return self._owed
