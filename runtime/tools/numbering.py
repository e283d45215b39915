"""The numbers of equal calls, by which a run that is repeated finds their records again."""

import contextlib
import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from contextvars import ContextVar

type Numbered = tuple[str, int]
"""What a call asks for (the key of its first), and its number among its equals, from 0."""

_WORK: ContextVar[str] = ContextVar("work", default="")


@contextlib.contextmanager
def working_on(work: str) -> Iterator[None]:
    """Calls that the body makes belong to this piece of the run's work."""
    token = _WORK.set(work)
    try:
        yield
    finally:
        # A coroutine that was given up is closed by the garbage collector, in a context of its own.
        with contextlib.suppress(ValueError):
            _WORK.reset(token)


def current_work() -> str:
    """The piece of work that this code belongs to; empty if nobody has named it."""
    return _WORK.get()


class Numbering:
    """Which calls one attempt at a run has made.

    An attempt that goes on from a checkpoint takes over the numbers of the work that was done, and
    of that alone: calls of work that was cut off are made again and find their records, and new
    calls never take an old result for their own.
    """

    def __init__(self) -> None:
        self._work: dict[str, dict[int, str]] = {}

    def __len__(self) -> int:
        """How many calls were made."""
        return sum(map(len, self._work.values()))

    def take(self, call: str) -> int:
        """The lowest number that no equal call has."""
        taken = self._work.setdefault(call, {})
        number = _free(taken)
        taken[number] = _WORK.get()
        return number

    def taken(self, by: Callable[[str], bool]) -> list[Numbered]:
        """The calls that belong to pieces of work for which `by` holds."""
        return [
            (call, number)
            for call, taken in self._work.items()
            for number, work in taken.items()
            if by(work)
        ]

    def begin_again(self) -> None:
        """Count anew: the same work is done once more, and its calls find what they did before."""
        self._work.clear()

    def restore(self, taken: Iterable[Numbered], work: str = "") -> None:
        """Take over the calls of an earlier attempt, as those of a piece of work that is not done.

        A number that an equal call has taken meanwhile is exchanged for the lowest free one: that
        call has found the record of this one, so the record of that one is left.
        """
        for call, number in taken:
            others = self._work.setdefault(call, {})
            others[_free(others) if number in others else number] = work


def _free(taken: Container[int]) -> int:
    return next(number for number in itertools.count() if number not in taken)
