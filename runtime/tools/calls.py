"""Asking a Tool or another Agent over the queue, and waiting for what it says."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from runtime.contract.messages import Call, CallResult, Outcome
from runtime.contract.subjects import StackSubjects
from runtime.contract.value import ObjectName
from runtime.state.ledger import Ledger
from runtime.tools.errors import EffectUnknown
from runtime.tools.port import ToolFailure
from runtime.transport.port import (
    Outbox,
    PayloadTooLarge,
    QueueFull,
    Store,
    TransportError,
    Unavailable,
)

LOOK_SECONDS = 2.0
REPEAT_SECONDS = 0.5
STEP_BITS = 60


def step_of(function: str, arguments: dict[str, Any]) -> int:
    """A number that names the call by what it asks for.

    A rerun that makes the same calls, in whatever order, so finds their records; one that asks for
    something else never takes the result of another call for its own.
    """
    plain = json.dumps([function, arguments], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(plain.encode()).digest()
    return int.from_bytes(digest, "big") >> (256 - STEP_BITS)


class Calls:
    """The calls of one worker process of an Agent."""

    def __init__(
        self,
        outbox: Outbox,
        effects: Store,
        subjects: StackSubjects,
        *,
        caller: ObjectName,
        worker: str,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.caller = caller
        self.worker = worker
        self.subjects = subjects
        self._outbox = outbox
        self._ledger = Ledger(effects)
        self._look_seconds = look_seconds
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear the signals that tell of results for as long as the body runs."""
        subject = self.subjects.wake(self.caller, self.worker)
        subscription = await self._outbox.listen(subject, self._on_wake)
        try:
            yield
        finally:
            await subscription.close()

    async def result(
        self, call: Call, subject: str, meanwhile: contextlib.AbstractAsyncContextManager[None]
    ) -> CallResult:
        """How `call` ended: asked under `subject` now, or in an earlier attempt at the task.

        Only if it is asked now, `meanwhile` is entered for as long as that takes.

        Raises:
            EffectUnknown: it did not end before the call's deadline.
            ToolFailure: it could not be asked.
        """
        if (ended := await self._ended(call.id)) is not None:
            return ended
        woken = asyncio.Event()
        self._waiting.setdefault(call.id, set()).add(woken)
        try:
            async with meanwhile:
                await self._ask(call, subject)
                return await self._wait(call, woken)
        finally:
            waiting = self._waiting[call.id]
            waiting.discard(woken)
            if not waiting:
                del self._waiting[call.id]

    async def _ask(self, call: Call, subject: str) -> None:
        """Publish; a queue that is full or away gets another chance until the deadline."""
        while True:
            try:
                await self._outbox.publish(subject, call.encode(), msg_id=call.id)
            except PayloadTooLarge as error:
                raise ToolFailure(
                    f"the arguments of {call.function} are larger than the queue takes"
                ) from error
            except (QueueFull, Unavailable) as error:
                if time.time() + REPEAT_SECONDS >= call.deadline:
                    raise ToolFailure(f"{call.function} could not be asked: {error}") from error
                await asyncio.sleep(REPEAT_SECONDS)
            else:
                return

    async def _wait(self, call: Call, woken: asyncio.Event) -> CallResult:
        while (left := call.deadline - time.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(self._look_seconds, left))
            woken.clear()
            if (ended := await self._ended(call.id)) is not None:
                return ended
        raise EffectUnknown(
            f"{call.function} gave no answer in time; nobody knows whether it will still happen"
        )

    async def _ended(self, key: str) -> CallResult | None:
        try:
            record = (await self._ledger.read(key)).record
            if record is None or record.outcome is Outcome.RESERVED:
                return None
            return await self._ledger.whole(key, record)
        except TransportError:
            return None  # out of reach for now; whoever waits looks again

    def _on_wake(self, _subject: str, data: bytes) -> None:
        for woken in self._waiting.get(data.decode(errors="replace"), ()):
            woken.set()
