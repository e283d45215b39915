"""What the pieces of a run came to, given again to an attempt that begins at the start.

A piece is the question to a model, the call of a tool of the user's own, or a task of a crew. It
is known by what was asked for, by its number among its equals, and by the piece that it is within.
What has come to an end needs nothing any more of what was done within it, so this is forgotten: the
next attempt does not come by there.
"""

import contextlib
import hashlib
import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from runtime.adapters.progress import UNREADABLE, Json, Keeper
from runtime.contract.messages import TokenUsage
from runtime.state.checkpoints import BadCheckpoint
from runtime.tools.numbering import current_work, working_on

log = logging.getLogger(__name__)

PLAIN = frozenset({type(None), bool, int, float, str})
RUN = "/"
"""The piece that all others of a run are within."""


def beginning() -> contextlib.AbstractContextManager[None]:
    """What the body starts is done within the run."""
    return working_on(RUN)


def question(*parts: Json) -> str:
    """What names a piece of work: a digest of all that is asked for."""
    return hashlib.sha256(to_json(parts, fallback=str)).hexdigest()


def as_json(value: Any) -> Json:
    """A value that is the same when it is read from JSON again.

    Raises:
        TypeError: it would be another one.
    """
    match value:
        case float() if not math.isfinite(value):
            raise TypeError(f"JSON knows no {value}")
        case None | bool() | int() | float() | str() if type(value) in PLAIN:
            return value
        case list() if type(value) is list:
            return [as_json(one) for one in value]
        case dict() if type(value) is dict and all(type(key) is str for key in value):
            return {key: as_json(one) for key, one in value.items()}
        case _:
            raise TypeError(f"{type(value).__qualname__} is nothing that JSON knows")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work came to: a value, or an error that its caller is told of."""

    value: Any = None
    error: Exception | None = None

    def give(self) -> Any:
        """The value.

        Raises:
            Exception: the error.
        """
        if self.error is not None:
            raise self.error
        return self.value


class Recorded:
    """What the pieces of one run came to.

    Equal ones are told apart by their number, so that each is given once an attempt.
    """

    def __init__(self, keeper: Keeper, kept: dict[str, Json]) -> None:
        self._keeper = keeper
        self._kept = kept
        self._begun: dict[str, int] = {}
        self._ended: tuple[str, ...] = ()
        self._is_new = False

    @classmethod
    async def of(cls, keeper: Keeper) -> "Recorded":
        """What the attempts before came to; their costs count in `keeper`.

        Raises:
            TransportError: the queue is away.
        """
        return cls(keeper, await keeper.found(_pieces) or {})

    def spend(self, cost: TokenUsage) -> None:
        """Count what a model has cost, in the next attempt as well."""
        self._keeper.spent += cost

    async def answer(self, question: str) -> Json | None:
        """The answer that an equal question had before, None if a model has to be asked."""
        return self._kept.get(await self._begin(question))

    async def take(self, question: str, answer: Json, *, is_last: bool) -> None:
        """A model has answered; one that may be the last answer of the run is kept when need be."""
        name = current_work() + question
        keys = (f"{name}.{number}" for number in itertools.count())
        self._kept[next(key for key in keys if key not in self._kept)] = answer
        self._is_new = True
        if not is_last:
            await self._save()

    def drop(self, question: str) -> None:
        """The last answer to a question was of no use: it is asked again."""
        name = current_work() + question
        self._begun[name] = number = max(0, self._begun.get(name, 0) - 1)
        self._kept.pop(f"{name}.{number}", None)

    async def begin(self, question: str, read: Callable[[Json], Outcome]) -> "Work":
        """A piece of work, and what `read` makes of what an equal one came to before."""
        key = await self._begin(question)
        outcome = None
        if (said := self._kept.get(key)) is not None:
            try:
                outcome = read(said)
            except UNREADABLE as error:
                log.warning("a piece of a run is done again", extra={"error": str(error)})
        return Work(key, outcome, self)

    async def _begin(self, question: str) -> str:
        """The key of what is begun now.

        What was answered since the last save is kept before it is done: it follows from that.
        """
        name = current_work() + question
        number = self._begun.get(name, 0)
        self._begun[name] = number + 1
        key = f"{name}.{number}"
        if self._is_new and key not in self._kept:
            await self._save()
        return key

    async def end(self, work: "Work", write: Callable[[], Json]) -> None:
        """See `Work.end`."""
        try:
            said = write()
        except UNREADABLE as error:
            self._keeper.end(error)
            return
        for key in [key for key in self._kept if key.startswith(work.within)]:
            del self._kept[key]
        self._kept[work.key] = said
        self._ended += (work.within,)
        await self._save()

    async def _save(self) -> None:
        self._is_new = False
        await self._keeper.save(lambda: {"pieces": self._kept}, self._is_behind)

    def _is_behind(self, work: str) -> bool:
        """Whether it has ended; what has no name was behind an attempt before already."""
        return not work or work.startswith(self._ended)


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of a run.

    Shape:
        outcome  what it came to in an attempt before, None if it has to be done.
    """

    key: str
    outcome: Outcome | None
    _recorded: Recorded

    @property
    def within(self) -> str:
        """What the keys of all that is done within it begin with."""
        return f"{self.key}/"

    def doing(self) -> contextlib.AbstractContextManager[None]:
        """What the body does is done within this piece."""
        return working_on(self.within)

    async def end(self, write: Callable[[], Json]) -> None:
        """It has come to what `write` gives; what cannot be written ends the keeping of the run."""
        await self._recorded.end(self, write)


def _pieces(said: Json) -> dict[str, Json]:
    if not isinstance(pieces := said["pieces"], dict):
        raise BadCheckpoint("it is damaged: it holds no pieces of a run")
    return dict(pieces)
