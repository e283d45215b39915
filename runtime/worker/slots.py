"""The places of a worker: how much it works on at a time, and what those who only wait give up."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Protocol

from runtime.contract.messages import LONGEST_CHAIN

MOST_LENT = 32
"""Runs that may wait for another agent beside those that work: a waiting one costs its memory."""


class Resizable(Protocol):
    """Where a worker's work comes from."""

    async def resize(self, slots: int) -> None:
        """Hand out `slots` pieces of work at a time from now on."""
        ...


class Slots:
    """The places of one worker process, `own` of them for those who work.

    A run that waits for another agent lends its place out, and takes it back when that one has
    answered, whether or not somebody else is still in it: for so long one more works than `own`
    says. Otherwise two agents with a place each that ask each other would wait for ever.

    What may wait is bounded all the same, and full of those who wait a worker would have no place
    for the very run that one of them waits for. So there is one place more for each step down a
    chain of agents. The last of a chain, which asks nobody, always finds a place and frees it; so
    does then the one before it, and so on up to the first.
    """

    def __init__(self, own: int) -> None:
        self._own = own
        self._waiting: Counter[str] = Counter()
        self._source: Resizable | None = None

    @property
    def count(self) -> int:
        """How many pieces of work may be held at the moment."""
        return self._own + min(len(self._waiting), MOST_LENT + LONGEST_CHAIN - 1)

    def supply(self, source: Resizable) -> None:
        """Tell `source` from now on whenever the count changes."""
        self._source = source

    def admits(self, held: int, depth: int) -> bool:
        """Whether a run for which `depth` agents wait may begin beside `held` others."""
        return held < self._own + MOST_LENT + depth

    @contextlib.asynccontextmanager
    async def lent(self, run: str) -> AsyncIterator[None]:
        """For as long as the body runs, the worker takes one more piece of work.

        A run that waits for several agents at once lends its one place.
        """
        self._waiting[run] += 1
        try:
            await self._resize()
            yield
        finally:
            self._waiting -= Counter({run: 1})  # which drops who waits no more
            await self._resize()

    async def _resize(self) -> None:
        if self._source is not None:
            await self._source.resize(self.count)
