"""The places of a worker: how much it works on at a time, and what those who only wait give up."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Protocol, Self

from runtime.contract.messages import LONGEST_CHAIN, Task
from runtime.worker.suspects import Suspects

MOST_LENT = 32
"""Runs of either kind that may wait for another agent beside those that work: a waiting one costs
its memory."""


class Resizable(Protocol):
    """Where a worker's work comes from."""

    async def resize(self, slots: int) -> None:
        """Hand out `slots` pieces of work at a time from now on."""
        ...


class Slots:
    """Places of one worker process for one queue, `own` of them for those who work.

    A run that waits for another agent lends its place out, and takes it back when that one has
    answered, whether or not somebody else is still in it: for so long one more works than `own`
    says. What may wait is bounded all the same.

    Shape:
        deepest  how many agents may wait for a run here. Full of those who wait, a worker would
                 have no place for the very run that one of them waits for; so there is one place
                 more for each step down a chain of agents.
    """

    def __init__(self, own: int, deepest: int = 0) -> None:
        self._own = own
        self._deepest = deepest
        self._held = 0
        self._waiting: Counter[str] = Counter()
        self._source: Resizable | None = None

    @property
    def count(self) -> int:
        """How many pieces of work may be held at the moment."""
        return self._own + min(len(self._waiting), MOST_LENT + self._deepest)

    @property
    def most(self) -> int:
        """How many may ever be held."""
        return self._own + MOST_LENT + self._deepest

    def supply(self, source: Resizable) -> None:
        """Tell `source` from now on whenever the count changes."""
        self._source = source

    def admits(self, depth: int) -> bool:
        """Whether a run for which `depth` agents wait may begin beside those that are held."""
        return self._held < self._own + MOST_LENT + depth

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """For as long as the body runs, one more is held."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

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


@dataclass(frozen=True, slots=True)
class Places:
    """All places of the worker of an Agent: for tasks of clients, for tasks agents have asked for.

    The two have queues and places of their own, as many each, so neither is ever behind the other,
    however much there is of it: a client waits for other clients at most, and a run that waits for
    an agent does not wait for what clients want of that agent. The price is that a worker which has
    both works on twice as many.

    Whoever has begun therefore comes to an end. A run waits for none but deeper ones of its chain.
    The last of a chain, which asks nobody, always finds a place and frees it; so does then the one
    before it, and so on up to the first.
    """

    clients: Slots
    asked: Slots
    suspects: Suspects = field(default_factory=Suspects)

    @classmethod
    def with_own(cls, own: int) -> Self:
        """The places of a worker that works on `own` tasks of either kind at a time."""
        return cls(clients=Slots(own), asked=Slots(own, deepest=LONGEST_CHAIN - 1))

    @property
    def most(self) -> int:
        """How many runs the worker may ever hold."""
        return self.clients.most + self.asked.most

    def of(self, task: Task) -> Slots:
        """Those that the run of `task` has one of."""
        return self.clients if task.asked is None else self.asked

    @contextlib.asynccontextmanager
    async def lent(self, task: Task) -> AsyncIterator[None]:
        """For as long as the body runs, the worker takes one more of the kind of `task`."""
        async with self.suspects.waiting(task.id), self.of(task).lent(task.id):
            yield
