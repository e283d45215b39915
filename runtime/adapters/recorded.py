"""What the pieces of a run came to, given again to an attempt that begins at the start.

A piece is the question to a model, the call of a tool of the user's own, or a task of a crew. It
is known by what was asked for, by its number among its equals, and by the piece that it is within.
What has come to an end needs nothing any more of what was done within it, so this is forgotten: the
next attempt does not come by there.

What cannot be named or written is not remembered, and done again by the next attempt; the pieces
behind it are named by what they were asked for, so they are found if it comes to the same.
"""

import asyncio
import contextlib
import hashlib
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from time import time
from typing import Any

from pydantic_core import from_json, to_json

from runtime.adapters.progress import Checkpointer, Json
from runtime.contract.messages import TokenUsage
from runtime.state.checkpoints import BadCheckpoint
from runtime.tools.numbering import Numbered, current_work, working_on

log = logging.getLogger(__name__)

PLAIN = frozenset({type(None), bool, int, float, str})
RUN = "/"
"""The piece that all others of a run are within."""


def beginning() -> contextlib.AbstractContextManager[None]:
    """What the body starts is done within the run."""
    return working_on(RUN)


def question(*parts: Any) -> str:
    """What names a piece of work: a digest of all that is asked for.

    Raises:
        TypeError, ValueError, RecursionError: something in it has no name that lasts.
    """
    _read_at_will(parts)
    return hashlib.sha256(to_json(parts, inf_nan_mode="constants")).hexdigest()


def _read_at_will(value: Any) -> None:
    """Refuse what can be read once only: it is for whoever is asked."""
    match value:
        case Iterator():
            raise TypeError(f"a {type(value).__qualname__} can be read once only")
        case list() | tuple():
            for one in value:
                _read_at_will(one)
        case dict():
            for one in value.values():
                _read_at_will(one)


def as_json(value: Any) -> Json:
    """A value that is the same when it is read from JSON again.

    Raises:
        TypeError, ValueError, RecursionError: it would be another one.
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
class Codec:
    """How a value becomes JSON, and is read from it again.

    Shape:
        write  gives None for what is not to be kept; raises what it likes for what cannot be.
        read   raises what it likes for what cannot be used any more.
    """

    write: Callable[[Any], Json | None]
    read: Callable[[Json], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """How a piece of a run is kept.

    Shape:
        asked        what names it.
        result       what it comes to.
        error        the same of what it fails with, None if nobody goes on with that.
        again        what has to be done with the result where the piece itself is not done again.
        is_question  a model may be asked once more where it failed: that is the same piece.
        is_last      whether a result may be the end of the run: kept when something follows.
    """

    asked: Callable[[], tuple[Any, ...]]
    result: Codec
    error: Codec | None = None
    again: Callable[[Any], object] = lambda _: None
    is_question: bool = False
    is_last: Callable[[Any], bool] = lambda _: False


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


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a piece.

    Shape:
        said    what it came to, JSON of its own: should it be unreadable, the others are not.
        failed  whether that is an error.
        calls   of the platform's tools, made for it; they count as made where it is given again.
    """

    said: str
    failed: bool
    calls: tuple[Numbered, ...]

    @classmethod
    def read(cls, kept: Json) -> "Kept":
        """What `write` gave."""
        calls = tuple((str(call), int(number)) for call, number in kept["calls"])
        return cls(said=str(kept["said"]), failed=bool(kept["failed"]), calls=calls)

    def write(self) -> Json:
        """It as JSON."""
        return {"said": self.said, "failed": self.failed, "calls": self.calls}

    def outcome(self, piece: Piece) -> Outcome:
        """What an equal piece comes to."""
        said = from_json(self.said)
        if not self.failed:
            return Outcome(piece.result.read(said))
        if piece.error is None:
            raise TypeError("nobody goes on with its error any more")
        return Outcome(error=piece.error.read(said))


class Recorded:
    """What the pieces of one run came to.

    Equal ones are told apart by their number, so that each is given once an attempt.

    Shape:
        began  when the first attempt began, in seconds since the epoch.
    """

    def __init__(self, checkpointer: Checkpointer, began: float, kept: dict[str, Kept]) -> None:
        self.began = began
        self._checkpointer = checkpointer
        self._kept = kept
        self._begun: dict[str, set[int]] = {}
        self._is_new = False
        self._saving = asyncio.Lock()

    @classmethod
    async def of(cls, checkpointer: Checkpointer) -> "Recorded":
        """What the attempts before came to; their costs count in `checkpointer`.

        Raises:
            TransportError: the queue is away.
        """
        began, kept = await checkpointer.found(_read) or (time(), {})
        return cls(checkpointer, began, kept)

    def spend(self, cost: TokenUsage) -> None:
        """Count what a model has cost, in the next attempt as well."""
        self._checkpointer.spent += cost

    async def flush(self) -> None:
        """Keep what is not kept yet, before anything follows from it."""
        async with self._saving:  # whoever comes while it is saved waits for that
            if not self._is_new:
                return
            self._is_new = False
            try:
                await self._checkpointer.save(self._write, calls=())
            except BaseException:  # it was given up, and is for the next one to do
                self._is_new = True
                raise

    def _write(self) -> Json:
        pieces = {key: kept.write() for key, kept in self._kept.items()}
        return {"began": self.began, "pieces": pieces}

    async def begin(self, piece: Piece) -> "Work":
        """A piece of work, and what an equal one came to before, if it did."""
        try:
            name = current_work() + question(*piece.asked())
        except Exception as error:  # noqa: BLE001  # whatever objects of a user's own may raise
            self._tell("a piece of a run has no name; a crash would do it again", error)
            await self.flush()
            return Work("", 0, None, piece, self)
        begun = self._begun.setdefault(name, set())
        begun.add(number := next(number for number in count() if number not in begun))
        work = Work(name, number, self._found(f"{name}.{number}", piece), piece, self)
        if work.outcome is None:
            await self.flush()
        return work

    def _found(self, key: str, piece: Piece) -> Outcome | None:
        if (kept := self._kept.get(key)) is None:
            return None
        try:
            outcome = kept.outcome(piece)
        except Exception as error:  # noqa: BLE001  # as in `begin`
            self._tell("a piece of a run is done again", error)
            del self._kept[key]
            return None
        self._checkpointer.run.numbering.restore(kept.calls, work=_within(key))
        return outcome

    async def end(self, work: "Work", value: Any, *, failed: bool) -> None:
        """See `Work.end` and `Work.fail`."""
        codec = work.piece.error if failed else work.piece.result
        if codec is None or not work.name:
            return
        calls = self._checkpointer.run.numbering.taken(lambda by: by.startswith(work.within))
        try:
            if (said := codec.write(value)) is None:
                return
            kept = Kept(to_json(as_json(said)).decode(), failed, tuple(calls))
            kept.outcome(work.piece)
        except Exception as error:  # noqa: BLE001  # as in `begin`
            self._tell("a piece of a run cannot be kept; a crash would do it again", error)
            return
        for key in [key for key in self._kept if key.startswith(work.within)]:
            del self._kept[key]
        self._kept[work.key] = kept
        self._is_new = True
        if failed or not work.piece.is_last(value):
            await self.flush()

    def drop(self, work: "Work") -> None:
        """See `Work.drop`."""
        self._kept.pop(work.key, None)
        self._begun.get(work.name, set()).discard(work.number)

    def _tell(self, what: str, error: Exception) -> None:
        why = " ".join(f"{type(error).__qualname__}: {error}".split())
        log.warning(what, extra={"task": self._checkpointer.run.task, "error": why})


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of a run that has been begun.

    Shape:
        name     what it is known by; empty if nothing can be.
        number   its number among its equals.
        outcome  what it came to in an attempt before, None if it has to be done.
    """

    name: str
    number: int
    outcome: Outcome | None
    piece: Piece
    _recorded: Recorded

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.name}.{self.number}"

    @property
    def within(self) -> str:
        """What the keys of all that is done within it begin with."""
        return _within(self.key)

    def doing(self) -> contextlib.AbstractContextManager[None]:
        """What the body does is done within this piece."""
        return working_on(self.within) if self.name else contextlib.nullcontext()

    async def end(self, result: Any) -> None:
        """It has come to this; what cannot be kept is forgotten."""
        await self._recorded.end(self, result, failed=False)

    async def fail(self, error: Exception) -> None:
        """It has failed with this, which is kept if somebody goes on with it."""
        if self.piece.is_question:
            self.drop()
        await self._recorded.end(self, error, failed=True)

    def drop(self) -> None:
        """What it came to is of no use: whoever asks for an equal one next does it again."""
        self._recorded.drop(self)


def _within(key: str) -> str:
    return f"{key}/"


def _read(said: Json) -> tuple[float, dict[str, Kept]]:
    if not isinstance(pieces := said["pieces"], Mapping):
        raise BadCheckpoint("it is damaged: it holds no pieces of a run")
    return float(said["began"]), {key: Kept.read(kept) for key, kept in pieces.items()}


def _written_error(error: Exception) -> Json:
    kind = type(error)
    said = {"module": kind.__module__, "name": kind.__qualname__, "args": as_json([*error.args])}
    made = _read_error(said)
    is_all = error.__cause__ is None and not vars(error) and str(made) == str(error)
    if type(made) is not kind or not is_all:
        raise TypeError(f"a {kind.__qualname__} is more than can be kept of it")
    return said


def _read_error(said: Json) -> Exception:
    kind = attrgetter(said["name"])(sys.modules[said["module"]])
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise TypeError(f"{said['name']} is no error any more")
    return kind(*said["args"])


ERROR = Codec(write=_written_error, read=_read_error)
"""Errors that are nothing but a class and its arguments; whoever catches them notices nothing."""
