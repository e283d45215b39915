"""How far a run has come, in the bucket `checkpoints`: one value a run, replaced at each save.

What is larger than one value goes into numbered parts beside it, which the value names (`parts`);
and since parts that are in use are never written over, each save counts whole or not at all.
"""

import contextlib
import hashlib
import logging
import zlib
from dataclasses import dataclass, field

from runtime.contract.messages import Versioned
from runtime.contract.subjects import checkpoint_key, checkpoint_part
from runtime.contract.value import ObjectName
from runtime.state.parts import PART_BYTES, PartMissing, joined, put_parts, split
from runtime.transport.port import (
    Entry,
    KeyExists,
    PayloadTooLarge,
    RevisionConflict,
    Store,
    TransportError,
)

log = logging.getLogger(__name__)

MOST_BYTES = 8 * 1024 * 1024
"""What one run may keep, compressed: the bucket is shared by all runs of a Stack."""
MOST_PARTS = MOST_BYTES // PART_BYTES
"""A worker that names more would only cost whoever forgets them."""
FAST = 1  # of zlib's levels; the text of messages shrinks to a third or so already


class BadCheckpoint(Exception):
    """What was kept of a run cannot be used; the message says why."""


class Head(Versioned):
    """What stands before the value, or in place of it.

    Shape:
        attempt  the attempt that saved it; `place`: where its parts are, 0 and 1 in turns.
        parts    how many there are; with none, the value follows the head after a line feed.
        digest   SHA-256 of the compressed value, in hexadecimal.
    """

    attempt: int
    place: int = 0
    parts: int = 0
    digest: str


class Checkpoints:
    """What the runs of a Stack have kept, as far as the caller may see it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, agent: ObjectName, task: str, attempt: int) -> "Checkpoint":
        """What one attempt at a task finds and keeps."""
        return Checkpoint(self._store, agent, task, attempt)

    async def forget(self, agent: ObjectName, task: str) -> None:
        """Forget what is kept of a run that has ended, whichever attempt has saved it.

        Raises:
            TransportError: the queue is away; doing it again does no harm.
        """
        key = checkpoint_key(agent, task)
        entry = await self._store.get(key)
        if entry is None:
            return
        with contextlib.suppress(BadCheckpoint):
            head, _ = _opened(entry)
            for part in range(min(head.parts, MOST_PARTS)):
                await self._store.delete(
                    checkpoint_part(agent, task, head.attempt, head.place, part)
                )
        await self._store.delete(key)  # last, since it says which parts there are


@dataclass(slots=True)
class Checkpoint:
    """How far one run has come, as one of its attempts sees it.

    Of several attempts that are under way, because a worker was only paused, the latest wins.
    """

    _store: Store
    _agent: ObjectName
    _task: str
    _attempt: int
    _revision: int = 0
    _place: int = 0
    _parts: list[str] = field(default_factory=list)
    _overtaken: bool = False

    async def load(self) -> bytes | None:
        """What was saved last, by this attempt or one before; None if nothing was.

        Raises:
            BadCheckpoint: it is damaged, or of a version that is not known here.
            TransportError: the queue is away.
        """
        entry = await self._store.get(self._key)
        if entry is None:
            return None
        self._revision = entry.revision
        head, body = _opened(entry)
        if head.parts:
            body = await self._joined(head)
        if hashlib.sha256(body).hexdigest() != head.digest:
            raise BadCheckpoint("it is damaged: its digest is another one")
        self._place = head.place
        return zlib.decompress(body)

    async def save(self, data: bytes) -> None:
        """Keep `data` in place of what was kept before, as well as may be.

        What cannot be kept is no reason to end a run that goes well: should its worker be lost,
        the next attempt begins where the last save was, or anew.
        """
        if self._overtaken:
            return
        try:
            await self._write(zlib.compress(data, FAST))
        except TransportError as error:
            told = {"task": self._task, "bytes": len(data), "error": str(error)}
            log.warning("a checkpoint could not be saved", extra=told)

    async def drop(self) -> None:
        """Forget what this attempt has loaded or saved; what cannot be removed now will expire."""
        gone = [*([self._key] if self._revision else ()), *self._parts]
        self._revision, self._parts = 0, []
        with contextlib.suppress(TransportError):
            await self._delete(gone)

    @property
    def _key(self) -> str:
        return checkpoint_key(self._agent, self._task)

    def _part_keys(self, attempt: int, place: int, parts: int) -> list[str]:
        names = (self._agent, self._task, attempt, place)
        return [checkpoint_part(*names, part) for part in range(parts)]

    async def _delete(self, keys: list[str]) -> None:
        for key in keys:
            await self._store.delete(key)

    async def _joined(self, head: Head) -> bytes:
        self._parts = self._part_keys(head.attempt, head.place, head.parts)
        try:
            return await joined(self._store, self._parts)
        except PartMissing as missing:
            raise BadCheckpoint(f"it is damaged: {missing}") from missing

    async def _write(self, body: bytes) -> None:
        if len(body) > MOST_BYTES:
            raise PayloadTooLarge(
                f"the state of the run takes {len(body)} bytes; {MOST_BYTES} are kept at most"
            )
        place = 1 - self._place
        parts = split(body) if len(body) > PART_BYTES else ()
        keys = self._part_keys(self._attempt, place, len(parts))
        await put_parts(self._store, keys, parts)
        head = Head(
            attempt=self._attempt,
            place=place,
            parts=len(keys),
            digest=hashlib.sha256(body).hexdigest(),
        )
        if await self._replace(head.encode() + b"\n" + (b"" if keys else body)):
            gone, self._parts, self._place = self._parts, keys, place
            await self._delete(gone)

    async def _replace(self, value: bytes) -> bool:
        """Write over the last save, also if a lost write or an earlier attempt came between.

        Gives whether it was written: not if a later attempt, or the end of the run, came between.
        """
        while not self._overtaken:
            try:
                if self._revision:
                    written = await self._store.update(self._key, value, self._revision)
                else:
                    written = await self._store.create(self._key, value)
            except (KeyExists, RevisionConflict):
                await self._look()
            else:
                self._revision = written
                return True
        return False

    async def _look(self) -> None:
        """Find out who has written meanwhile: this attempt, one before it, or one after."""
        entry = await self._store.get(self._key)
        if entry is None:  # dropped: the run has ended without this attempt
            self._overtaken = True
            return
        with contextlib.suppress(BadCheckpoint):
            self._overtaken = _opened(entry)[0].attempt > self._attempt
        self._revision = entry.revision


def _opened(entry: Entry) -> tuple[Head, bytes]:
    line, _, body = entry.value.partition(b"\n")
    try:
        return Head.decode(line), body
    except ValueError as error:
        first = str(error).replace("\n", " ")
        raise BadCheckpoint(f"it is damaged, or of a newer version: {first}") from error
