"""The ledger of effects: each call is reserved before its effect and finished after it.

Whoever finds a record knows what happened; the pure `what_next` says what follows from it.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from enum import StrEnum

from runtime.contract.agent_config import SideEffects
from runtime.contract.messages import CallResult, Outcome
from runtime.transport.port import KeyExists, RevisionConflict, Store, TransportError, Unavailable

RETRY_SECONDS = 0.5


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
            Unavailable: the queue was out of reach for all of `patience_seconds`.
        """
        try:
            async with asyncio.timeout(patience_seconds):
                return await self._write_for_sure(key, noted, end)
        except TimeoutError as error:
            raise Unavailable(f"the end of the call {key} could not be written") from error

    async def _write_for_sure(self, key: str, noted: Noted, end: CallResult) -> Noted:
        while True:
            try:
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
