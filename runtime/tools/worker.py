"""What the worker of a Tool does with a call: check, reserve, run, note the end, wake."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from runtime.contract.agent_config import SideEffects, ToolConfig
from runtime.contract.keys import effect_key
from runtime.contract.messages import Call, CallResult, FailureReason, Outcome
from runtime.contract.subjects import StackSubjects
from runtime.state.ledger import Ledger, Next, Noted, Overtaken, what_next
from runtime.tools.calls import step_of
from runtime.tools.cancellations import Cancellations
from runtime.tools.deadline import CALL_DEADLINE
from runtime.tools.errors import EffectUnknown, ResultTooLarge
from runtime.tools.executor import MAX_RESULT_BYTES, Executor
from runtime.tools.port import ToolFailure
from runtime.transport.port import Delivery, Outbox, QueueFull, TransportError
from runtime.worker import outcomes
from runtime.worker.outcomes import Done, GivenUp, Later, Lost, Malformed
from runtime.worker.stopping import is_stopping
from runtime.worker.suspects import Busy, Suspects

log = logging.getLogger(__name__)

# How long past its deadline a call may take to note its end before another worker may try.
GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CallHandler:
    """The `Handler` of a Tool's worker."""

    config: ToolConfig
    executor: Executor
    ledger: Ledger
    outbox: Outbox
    cancellations: Cancellations = field(default_factory=Cancellations)
    _suspects: Suspects = field(default_factory=Suspects)

    async def handle(self, delivery: Delivery) -> outcomes.Outcome:
        """Bring one call to its end, unless it has one or is not ours."""
        try:
            call = Call.decode(delivery.data)
            genuine = self._is_genuine(call, delivery.subject)
        except ValueError as error:
            return Malformed(f"no call: {str(error).partition('\n')[0]}")
        if not genuine or (self.config.require_grant and call.grant is None):
            log.warning("unsigned", extra={"subject": delivery.subject, "call": call.id})
            return Malformed("unsigned")
        delivery.hold_until(max(call.deadline, time.time()) + GRACE_SECONDS)
        try:
            return await self._settled(call, delivery.sequence)
        except Busy:
            return Later(delivery.number)
        except Overtaken:
            log.warning("stale attempt", extra={"call": call.id})
            return Lost()
        except TransportError as error:
            log.warning("out of reach", extra={"call": call.id, "error": str(error)})
            return Lost()

    def _is_genuine(self, call: Call, subject: str) -> bool:
        """Whether the call is what its subject says, which nobody but the caller can publish to.

        Raises:
            ValueError: a name in it is no name.
        """
        names = StackSubjects(self.config.queue.stack)
        names.wake(call.caller, call.worker)  # it is used once the call has ended
        key = effect_key(call.tool, call.caller, call.task, call.step, call.index)
        return (
            call.tool == self.config.tool
            and subject == names.calls(call.tool, call.caller)
            and call.id == key
            and call.step == step_of(call.function, call.arguments)
        )

    async def _settled(self, call: Call, sequence: int) -> outcomes.Outcome:
        noted = await self.ledger.read(call.id)
        most = self.config.retry.max_attempts
        match what_next(
            noted.record,
            sequence=sequence,
            side_effects=self.config.side_effects,
            max_attempts=most,
        ):
            case Next.RUN:
                async with self._suspects.apart(call.id, _attempt(noted), most):
                    await self._run(call, noted, sequence)
            case Next.REPLAY:
                await self._wake(call)
                return _replayed(noted.record, sequence)
            case Next.LEAVE:
                log.info("another message asks for the same call", extra={"call": call.id})
            case Next.DOUBT:
                doubt = f"a worker was lost while it ran {call.function}; it may have happened"
                await self._end(call, noted, _ended(noted, call, Outcome.UNKNOWN, doubt))
            case Next.GIVE_UP:
                workers = "a worker" if _attempt(noted) == 1 else f"{_attempt(noted)} workers"
                reason = f"{call.function} took {workers} down, so it was given up"
                end = _ended(noted, call, Outcome.FAILED, reason)
                given_up = end.model_copy(update={"reason": FailureReason.DEAD_LETTERED})
                await self._end(call, noted, given_up)
                return GivenUp(reason)
        return Done()

    async def _run(self, call: Call, noted: Noted, sequence: int) -> None:
        if time.time() >= call.deadline:
            late = f"{call.function} was not run: its deadline had passed before its turn came"
            await self._end(call, noted, _ended(noted, call, Outcome.FAILED, late))
            return
        if self.cancellations.includes(call):
            unwanted = f"{call.function} was not run: its run was cancelled before its turn came"
            await self._end(call, noted, _ended(noted, call, Outcome.FAILED, unwanted))
            return
        reserved = await self.ledger.reserve(call.id, noted, sequence)
        executing = asyncio.create_task(self._execute(call, reserved), name=call.id)
        try:
            with self.cancellations.under_way(call, executing):
                end = await executing
        except asyncio.CancelledError:
            if is_stopping():  # the worker is to end, not the call
                await self._break_off(call, reserved)
                raise
            unwanted = f"{call.function} was broken off: its run was cancelled"
            end = _ended(reserved, call, self._when_begun, unwanted)
        await self._end(call, reserved, end)

    async def _execute(self, call: Call, reserved: Noted) -> CallResult:
        limit = self.config.execution.timeout_seconds
        CALL_DEADLINE.set(min(time.time() + limit, call.deadline))
        try:
            async with asyncio.timeout(min(limit, max(0, call.deadline - time.time()))):
                value = await self.executor.call(call.function, call.arguments, call.id)
            _check_size(call, value)
        except TimeoutError:
            late = f"{call.function} did not end in time (spec.execution.timeoutSeconds: {limit})"
            return _ended(reserved, call, self._when_begun, late)
        except EffectUnknown as failure:
            return _ended(reserved, call, self._when_begun, str(failure))
        except ResultTooLarge as failure:
            return _too_large(reserved, call, str(failure))
        except ToolFailure as failure:
            return _ended(reserved, call, Outcome.FAILED, str(failure))
        return _ended(reserved, call, Outcome.SUCCEEDED).model_copy(update={"value": value})

    @property
    def _when_begun(self) -> Outcome:
        """How a call ended that was begun and broken off."""
        once = self.config.side_effects is SideEffects.AT_MOST_ONCE
        return Outcome.UNKNOWN if once else Outcome.FAILED

    async def _break_off(self, call: Call, reserved: Noted) -> None:
        """This worker stops in the middle of a call; leave a record that another can go by."""
        with contextlib.suppress(TransportError, Overtaken):
            if self._when_begun is Outcome.UNKNOWN:
                doubt = f"the worker stopped while it ran {call.function}; it may have happened"
                await self._end(call, reserved, _ended(reserved, call, Outcome.UNKNOWN, doubt))
            else:
                await self.ledger.release(call.id, reserved)

    async def _end(self, call: Call, noted: Noted, end: CallResult) -> None:
        try:
            await self.ledger.finish(call.id, noted, end)
        except QueueFull:
            if end.value is None:
                raise
            full = f"{call.function} was carried out, but there is no room for what it returned"
            await self.ledger.finish(call.id, noted, _too_large(noted, call, full))
        await self._wake(call)

    async def _wake(self, call: Call) -> None:
        subject = StackSubjects(self.config.queue.stack).wake(call.caller, call.worker)
        with contextlib.suppress(TransportError):  # the caller also looks by itself
            await self.outbox.signal(subject, call.id.encode())


def _check_size(call: Call, value: Any) -> None:
    if (size := len(to_json(value))) > MAX_RESULT_BYTES:
        raise ResultTooLarge(
            f"{call.function} was carried out, but returned {size} bytes, more than "
            f"{MAX_RESULT_BYTES}; ask for less at once, if it lets you"
        )


def _attempt(noted: Noted) -> int:
    return 0 if noted.record is None else noted.record.attempt


def _replayed(record: CallResult | None, sequence: int) -> outcomes.Outcome:
    """An end that was told again; a worker may have died before the call became a dead letter."""
    if record is None or record.reason is not FailureReason.DEAD_LETTERED:
        return Done()
    # Another message for the same call is no dead letter: there is one for each call.
    return GivenUp(record.error or "") if record.sequence == sequence else Done()


def _too_large(noted: Noted, call: Call, error: str) -> CallResult:
    end = _ended(noted, call, Outcome.FAILED, error)
    return end.model_copy(update={"reason": FailureReason.RESULT_TOO_LARGE})


def _ended(noted: Noted, call: Call, outcome: Outcome, error: str | None = None) -> CallResult:
    facts: dict[str, Any] = {} if noted.record is None else {"sequence": noted.record.sequence}
    attempt = max(_attempt(noted), 1)
    return CallResult(call=call.id, outcome=outcome, error=error, attempt=attempt, **facts)
