"""The ledger of effects: each call is reserved before its effect and finished after it.

Whoever finds a record knows what happened; the pure `what_next` says what follows from it. A result
that is too large for the record stands in parts beside it, which are written first: a worker that
is lost in between leaves its reservation, as if it had been lost in the middle of the effect.
"""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from pydantic_core import from_json, to_json

from runtime.contract.agent_config import SideEffects
from runtime.contract.keys import effect_part
from runtime.contract.messages import CallResult, Outcome, ResultParts
from runtime.state.parts import PART_BYTES, joined, put_parts, split
from runtime.transport.port import KeyExists, RevisionConflict, Store, TransportError, Unavailable

RETRY_SECONDS = 0.5
MOST_PARTS = 16
"""Twice as many as the largest result has: a worker that names more would only cost its caller."""


class Next(StrEnum):
    """What to do with a call that was delivered."""

    RUN = "Run"  # nobody has, or it may be done again
    REPLAY = "Replay"  # it has ended; tell the caller once more
    DOUBT = "Doubt"  # a worker was lost in the middle, and it must not happen twice
    GIVE_UP = "GiveUp"  # too many workers were lost in the middle
    LEAVE = "Leave"  # another message for the same call is being worked on


def what_next(
    record: CallResult | None, *, sequence: int, side_effects: SideEffects, max_attempts: int
) -> Next:
    """What follows from the record of a call; `sequence` is the place of the message at hand.

    A reservation by this very message means that its last delivery came to no end: its worker was
    lost. One by another message says nothing of the kind, that message is still in the queue.
    """
    if record is None:
        return Next.RUN
    if record.outcome is not Outcome.RESERVED:
        return Next.REPLAY
    if record.sequence != sequence:
        return Next.LEAVE
    if record.attempt > 0 and side_effects is SideEffects.AT_MOST_ONCE:
        return Next.DOUBT
    if record.attempt >= max_attempts:
        return Next.GIVE_UP
    return Next.RUN


@dataclass(frozen=True, slots=True)
class Noted:
    """A record and the revision that the next write has to name; 0 if there is none yet."""

    record: CallResult | None
    revision: int = 0


class Overtaken(Exception):
    """Somebody else wrote the record in the meantime; nothing was written."""


class Ledger:
    """The records of calls in the bucket `effects`, as far as the caller may see them."""

    def __init__(self, effects: Store) -> None:
        self._effects = effects

    async def read(self, key: str) -> Noted:
        """What is known of a call."""
        entry = await self._effects.get(key)
        if entry is None:
            return Noted(None)
        return Noted(CallResult.decode(entry.value), entry.revision)

    async def whole(self, key: str, record: CallResult) -> CallResult:
        """The `record` at `key` with its value, also if that is kept in parts.

        Gives a failure in its place if what stands there is not what the record says.

        Raises:
            PartMissing: the server that was asked lags behind, or a part is lost.
            TransportError: the queue is away.
        """
        parts = record.parts
        if parts is None:
            return record
        if parts.count <= MOST_PARTS:
            data = await joined(self._effects, _part_keys(key, parts))
            with contextlib.suppress(ValueError):
                if hashlib.sha256(data).hexdigest() == parts.digest:
                    return record.model_copy(update={"value": from_json(data), "parts": None})
        damaged = "it was carried out, but what it returned is damaged in the queue"
        return record.model_copy(update={"outcome": Outcome.FAILED, "error": damaged})

    async def reserve(self, key: str, noted: Noted, sequence: int) -> Noted:
        """Note that the effect is about to happen, once more than `noted` says.

        Raises:
            Overtaken: somebody else was quicker.
        """
        attempt = 1 if noted.record is None else noted.record.attempt + 1
        record = CallResult(call=key, outcome=Outcome.RESERVED, attempt=attempt, sequence=sequence)
        return await self._write(key, noted, record)

    async def release(self, key: str, noted: Noted) -> Noted:
        """Note that the last reservation came to nothing, and not by its own fault.

        Raises:
            Overtaken: the record has moved on.
        """
        record = noted.record
        if record is None:
            raise ValueError(f"{key} was never reserved")
        fewer = record.model_copy(update={"attempt": record.attempt - 1})
        return await self._write(key, noted, fewer)

    async def finish(
        self, key: str, noted: Noted, end: CallResult, *, patience_seconds: float = 30
    ) -> Noted:
        """Note how it ended. The effect has happened, so this tries hard.

        Raises:
            Overtaken: somebody else holds the call, or has ended it, by now.
            QueueFull: the bucket has no room for it.
            Unavailable: the queue was out of reach for all of `patience_seconds`.
        """
        try:
            async with asyncio.timeout(patience_seconds):
                return await self._write_for_sure(key, noted, *_parted(noted, end))
        except TimeoutError as error:
            raise Unavailable(f"the end of the call {key} could not be written") from error

    async def _write_for_sure(
        self, key: str, noted: Noted, end: CallResult, parts: tuple[bytes, ...]
    ) -> Noted:
        while True:
            try:
                if end.parts is not None:
                    await put_parts(self._effects, _part_keys(key, end.parts), parts)
                return await self._write(key, noted, end)
            except Unavailable:
                # It may have been written all the same: look before writing again.
                await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(TransportError):
                now = await self.read(key)
                if now.record == end:
                    return now

    async def _write(self, key: str, noted: Noted, record: CallResult) -> Noted:
        try:
            if noted.revision == 0:
                return Noted(record, await self._effects.create(key, record.encode()))
            revision = await self._effects.update(key, record.encode(), noted.revision)
        except (KeyExists, RevisionConflict) as conflict:
            raise Overtaken(f"the call {key} has moved on") from conflict
        return Noted(record, revision)


def _parted(noted: Noted, end: CallResult) -> tuple[CallResult, tuple[bytes, ...]]:
    """The record of `end` and the parts of its value, none if the record can hold it."""
    data = to_json(end.value, inf_nan_mode="null")
    if len(data) <= PART_BYTES:
        return end, ()
    parts, digest = split(data), hashlib.sha256(data).hexdigest()
    where = ResultParts(reservation=noted.revision, count=len(parts), digest=digest)
    return end.model_copy(update={"value": None, "parts": where}), parts


def _part_keys(key: str, parts: ResultParts) -> list[str]:
    return [effect_part(key, parts.reservation, part) for part in range(parts.count)]
