"""How far a run has come, in the bucket `checkpoints`: one value a run, replaced at each save.

What is larger than one value goes into numbered parts beside it, which the value names (`parts`);
and since no two saves have a part in common, each counts whole or not at all.
"""

import asyncio
import contextlib
import hashlib
import logging
import zlib
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from runtime.contract.keys import checkpoint_key, checkpoint_part
from runtime.contract.value import ObjectName, Versioned
from runtime.state.parts import PART_BYTES, PartMissing, joined, put_parts, split
from runtime.transport.port import (
    Entry,
    KeyExists,
    PayloadTooLarge,
    RevisionConflict,
    Store,
    TransportError,
    WatchableStore,
)

log = logging.getLogger(__name__)

type Write = Callable[[], bytes]

MOST_BYTES: Final = 8 * 1024 * 1024
"""What one run may keep, compressed: the bucket is shared by all runs of a Stack."""
MOST_UNPACKED_BYTES: Final = 4 * MOST_BYTES
"""The same before it is compressed, which each save pays for anew."""
MOST_PARTS: Final = MOST_BYTES // PART_BYTES
FAST: Final = 1  # of zlib's levels; the text of messages shrinks to a third or so already
PIECE_BYTES: Final = 1024 * 1024  # compressed at once
LARGE_BYTES: Final = 32 * 1024  # what takes more than a millisecond

# Threads of its own: agents fill those of the loop with tools that may wait for a save.
_packing = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")


class BadCheckpoint(Exception):
    """What was kept of a run cannot be used; the message says why."""


class Head(Versioned):
    """What stands before the value, or in place of it.

    Shape:
        attempt  the attempt that saved it; `place`: the number of its save, which only rises.
        parts    how many there are; with none, the value follows the head after a line feed.
        digest   SHA-256 of the compressed value, in hexadecimal.
    """

    attempt: int
    place: int = 0
    parts: Annotated[int, Field(ge=0, le=MOST_PARTS)] = 0
    digest: str


class Checkpoints:
    """What the runs of a Stack have kept, as far as a worker may see it: it can list no keys."""

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
            for part in _part_keys(agent, task, _opened(entry)[0]):
                await self._store.delete(part)
        await self._store.delete(key)  # last, since it says which parts there are


async def forget(store: WatchableStore, agent: ObjectName, task: str) -> None:
    """Forget all of a run that has ended, also the parts of saves that came to no end.

    Raises:
        TransportError: the queue is away; doing it again does no harm.
    """
    key = checkpoint_key(agent, task)
    # First, so that a save which is under way finds that it is late and removes its parts itself.
    if await store.get(key) is not None:
        await store.delete(key)
    for part in await store.keys(f"{key}.>"):
        await store.delete(part)


@dataclass(slots=True)
class Checkpoint:
    """How far one run has come, as one of its attempts sees it.

    Of several attempts that are under way, because a worker was only paused, the latest wins; of
    several saves of one attempt, the one that was asked for last.

    Shape:
        _place     the number of the save that was begun last.
        _parts     keys of all parts that were found or written and are not removed yet.
        _newest    what the save that was asked for last would write.
        _asked     how many saves were asked for; `_settled`: up to which they need no writing.
        _is_over   whether nothing more is kept: a later attempt or the end of the run came, or
                   the state became too large.
    """

    _store: Store
    _agent: ObjectName
    _task: str
    _attempt: int
    _revision: int = 0
    _place: int = 0
    _parts: set[str] = field(default_factory=set)
    _newest: Write = bytes
    _asked: int = 0
    _settled: int = 0
    _is_over: bool = False
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        self._place = head.place
        if head.parts:
            body = await self._joined(head)
        return await _apart(len(body), _unpacked, body, head.digest)

    async def save(self, write: Write) -> None:
        """Keep what `write` gives in place of what was kept before, as well as may be.

        What cannot be kept is no reason to end a run that goes well: should its worker be lost,
        the next attempt begins where the last save was, or anew. Saves that are asked for while
        another is under way take one together, of what the last of them writes; each returns once
        it is kept.

        Raises:
            Exception: whatever `write` raises, whose turn it is then.
        """
        self._newest, self._asked = write, self._asked + 1
        number = self._asked
        async with self._saving:
            if self._is_over or number <= self._settled:
                return
            settled = self._asked
            await self._keep(self._newest())
            self._settled = settled

    async def drop(self) -> None:
        """Forget what this attempt has loaded or saved, and keep nothing more.

        What cannot be removed now will expire.
        """
        self._is_over = True
        async with self._saving:
            with contextlib.suppress(TransportError):
                if self._revision:
                    await self._store.delete(self._key)
                await self._remove(self._parts)
            self._revision = 0

    @property
    def _key(self) -> str:
        return checkpoint_key(self._agent, self._task)

    async def _joined(self, head: Head) -> bytes:
        keys = _part_keys(self._agent, self._task, head)
        self._parts.update(keys)
        try:
            return await joined(self._store, keys)
        except PartMissing as missing:
            raise BadCheckpoint(f"it is damaged: {missing}") from missing

    async def _keep(self, data: bytes) -> None:
        try:
            await self._write(*await _packed(data))
        except TransportError as error:
            # Only more can come; to find that out again and again would be dear.
            self._is_over = self._is_over or isinstance(error, PayloadTooLarge)
            told = {"task": self._task, "bytes": len(data), "error": str(error)}
            log.warning("a checkpoint could not be saved", extra=told)

    async def _write(self, body: bytes, digest: str) -> None:
        self._place += 1
        parts = split(body) if len(body) > PART_BYTES else ()
        head = Head(attempt=self._attempt, place=self._place, parts=len(parts), digest=digest)
        keys = _part_keys(self._agent, self._task, head)
        self._parts.update(keys)
        await put_parts(self._store, keys, parts)
        replaced = await self._replace(head.encode() + b"\n" + (b"" if parts else body))
        with contextlib.suppress(TransportError):  # the next save, or the end, tries it again
            await self._remove(self._parts.difference(keys if replaced else ()))

    async def _remove(self, keys: Collection[str]) -> None:
        for key in tuple(keys):
            await self._store.delete(key)
            self._parts.discard(key)

    async def _replace(self, value: bytes) -> bool:
        """Write over the last save, also if a lost write or an earlier attempt came between.

        Gives whether it was written: not if a later attempt, or the end of the run, came between.
        """
        while not self._is_over:
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
        """Find out who has written meanwhile, and whether that was before what is written now."""
        entry = await self._store.get(self._key)
        if entry is None:  # the run has ended without this attempt
            self._revision, self._is_over = 0, True
            return
        self._revision = entry.revision
        with contextlib.suppress(BadCheckpoint):
            head, _ = _opened(entry)
            if (head.attempt, head.place) > (self._attempt, self._place):
                self._revision, self._is_over = 0, True
            else:
                self._parts.update(_part_keys(self._agent, self._task, head))


def _part_keys(agent: ObjectName, task: str, head: Head) -> list[str]:
    names = (agent, task, head.attempt, head.place)
    return [checkpoint_part(*names, part) for part in range(head.parts)]


def _opened(entry: Entry) -> tuple[Head, bytes]:
    line, _, body = entry.value.partition(b"\n")
    try:
        return Head.decode(line), body
    except ValueError as error:
        first = str(error).replace("\n", " ")
        raise BadCheckpoint(f"it is damaged, or of a newer version: {first}") from error


async def _apart[*Given, T](size: int, do: Callable[[*Given], T], *given: *Given) -> T:
    """What `do` gives; in a thread if it is about so many bytes that the loop would be held up."""
    if size <= LARGE_BYTES:
        return do(*given)
    return await asyncio.get_running_loop().run_in_executor(_packing, do, *given)


async def _packed(data: bytes) -> tuple[bytes, str]:
    """`data` compressed, and the digest of that.

    Raises:
        PayloadTooLarge: it is more than a run may keep.
    """
    if len(data) > MOST_UNPACKED_BYTES:
        raise PayloadTooLarge(
            f"the state of the run takes {len(data)} bytes; {MOST_UNPACKED_BYTES} are kept at most"
        )
    return await _apart(len(data), _compressed, data)


def _compressed(data: bytes) -> tuple[bytes, str]:
    packer, body = zlib.compressobj(FAST), bytearray()
    for piece in split(data, PIECE_BYTES):
        body += packer.compress(piece)
        _check(len(body))
    body += packer.flush()
    _check(len(body))
    return bytes(body), hashlib.sha256(body).hexdigest()


def _check(size: int) -> None:
    if size > MOST_BYTES:
        raise PayloadTooLarge(
            f"the state of the run is too large even compressed; {MOST_BYTES} are kept at most"
        )


def _unpacked(body: bytes, digest: str) -> bytes:
    if hashlib.sha256(body).hexdigest() != digest:
        raise BadCheckpoint("it is damaged: its digest is another one")
    return zlib.decompress(body)
