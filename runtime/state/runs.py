"""Run records in the bucket `runs`: begun and ended by compare-and-set."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from runtime.contract.approval import Approval
from runtime.contract.client_calls import ClientCall
from runtime.contract.keys import run_key
from runtime.contract.messages import End, TokenUsage
from runtime.contract.runs import LATER_BYTES, RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.transport.port import RevisionConflict, Store, TransportError, Unavailable

RETRY_SECONDS = 0.5


class StaleAttempt(Exception):
    """Another attempt holds the run by now; whatever this one has to say is refused."""


@dataclass(frozen=True, slots=True)
class Held:
    """A run record and the revision that the next write has to name."""

    record: RunRecord
    revision: int


class Runs:
    """The run records of a Stack, as far as the caller may see them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept(self, record: RunRecord) -> Held:
        """Write the record of a new task.

        Raises:
            KeyExists: there is a task with this id already.
        """
        key = run_key(record.task.agent, record.task.id)
        return Held(record, await self._store.create(key, record.encode()))

    async def get(self, agent: ObjectName, task: str) -> Held | None:
        """The record of a task, if there is one."""
        entry = await self._store.get(run_key(agent, task))
        return None if entry is None else Held(RunRecord.decode(entry.value), entry.revision)

    async def begin(self, held: Held, worker: str) -> Held:
        """Begin the next attempt.

        Raises:
            StaleAttempt: another worker was quicker.
        """
        return await self._write(held, held.record.beginning(worker, time.time()))

    async def hand_back(self, held: Held, *, counts: bool) -> Held:
        """Queue the run again; the attempt that was begun counts only if it failed by itself.

        Raises:
            StaleAttempt: another attempt holds the run by now.
        """
        record = held.record.model_copy(
            update={
                "state": RunState.QUEUED,
                "returned": held.record.returned + (not counts),
                "failed": held.record.failed + counts,
                "worker": None,
            }
        )
        return await self._write(held, record)

    async def park(
        self,
        held: Held,
        needed: tuple[Approval, ...],
        *,
        stands_until: float | None = None,
        patience_seconds: float = 30,
    ) -> Held:
        """Let the run wait for a person; its attempt is over.

        The record is written with blanks behind it, in the place of what is yet to be decided: so
        a queue that takes it, whatever its limit, takes the decisions too.

        Raises:
            StaleAttempt: the run has moved on, or somebody wants it to end.
            PayloadTooLarge: the record is too large to be decided on.
            Unavailable: the queue was out of reach for all of `patience_seconds`.
        """
        parked = held.record.parking(needed, time.time(), stands_until=stands_until)
        return await self._park(held, parked, parked.room_bytes, patience_seconds)

    async def hand_over(
        self,
        held: Held,
        calls: tuple[ClientCall, ...],
        *,
        seq: int,
        used: TokenUsage,
        expires: float,
        stands_until: float,
        patience_seconds: float = 30,
    ) -> Held:
        """Let the run wait until its client has made these calls; its attempt is over.

        Outputs that the queue does not take are refused when they come; no room is kept for them.

        Raises:
            StaleAttempt, PayloadTooLarge, Unavailable: see `park`.
        """
        parked = held.record.handing_over(
            calls, time.time(), seq=seq, used=used, expires=expires, stands_until=stands_until
        )
        return await self._park(held, parked, LATER_BYTES, patience_seconds)

    async def _park(
        self, held: Held, parked: RunRecord, blanks: int, patience_seconds: float
    ) -> Held:
        try:
            async with asyncio.timeout(patience_seconds):
                return await self._write_for_sure(held, parked, blanks=blanks)
        except TimeoutError as error:
            raise Unavailable("that the run waits could not be written") from error

    async def end(self, held: Held, end: End, *, patience_seconds: float = 30) -> Held:
        """Write the end of a run; of all who try, one wins.

        That somebody has asked for its cancellation meanwhile does not make an attempt stale.

        Raises:
            StaleAttempt: the run has another attempt or another end by now.
            Unavailable: the queue was out of reach for all of `patience_seconds`.
        """
        if held.record.state.is_end:
            raise StaleAttempt(f"run {held.record.task.id} has an end already")
        now = time.time()
        try:
            async with asyncio.timeout(patience_seconds):
                try:
                    return await self._write_for_sure(held, held.record.ending(end, now))
                except StaleAttempt:
                    held = await self._asked_to_cancel(held)
                    return await self._write_for_sure(held, held.record.ending(end, now))
        except TimeoutError as error:
            raise Unavailable("the end of the run could not be written") from error

    async def _asked_to_cancel(self, held: Held) -> Held:
        """The record as it is now, if nothing else than a wish to cancel was added to it."""
        now = await self.get(held.record.task.agent, held.record.task.id)
        if now is None or now.record != held.record.model_copy(update={"cancel_requested": True}):
            raise StaleAttempt(f"run {held.record.task.id} has moved on")
        return now

    async def _write_for_sure(self, held: Held, record: RunRecord, *, blanks: int = 0) -> Held:
        while True:
            try:
                return await self._write(held, record, blanks=blanks)
            except Unavailable:
                # It may have been written all the same: look before writing again.
                await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(TransportError):
                now = await self.get(record.task.agent, record.task.id)
                if now is not None and now.record == record:
                    return now

    async def _write(self, held: Held, record: RunRecord, *, blanks: int = 0) -> Held:
        key, value = run_key(record.task.agent, record.task.id), record.encode() + b" " * blanks
        try:
            return Held(record, await self._store.update(key, value, held.revision))
        except RevisionConflict as conflict:
            raise StaleAttempt(f"run {record.task.id} has moved on") from conflict
