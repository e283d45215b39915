"""From an advisory to one dead letter, the end of the work, and an empty place in the queue.

Every step may be repeated, and the message leaves its queue last: so a crash in between is made
good by the next delivery of the same advisory.
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from runtime.contract.dead_letter import DeadLetter, times
from runtime.contract.keys import ask_key, effect_key
from runtime.contract.messages import Call, CallResult, Outcome, Task
from runtime.contract.runs import RunState, resumption
from runtime.contract.subjects import DISPATCHER_DURABLE, Stream, durable_owner
from runtime.contract.value import ObjectName
from runtime.dispatch.advisories import Advisory, Exhausted, Terminated, read_advisory
from runtime.dispatch.decide import gave_up, lost_call
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.dispatch.settling import Settle, settle
from runtime.transport.port import (
    Delivery,
    KeyExists,
    RevisionConflict,
    Stopped,
    Stored,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the work in a dead message.

    Shape:
        work    id of the task or call; null if the message is neither.
        error   the last thing that went wrong with it.
        done    it had come to a good end, or somebody cancelled it: there is nothing to keep.
    """

    work: str | None = None
    error: str | None = None
    done: bool = False


class DeadLetters:
    """Turns advisories into dead letters, one each."""

    def __init__(self, ports: Ports, ends: Ends) -> None:
        self._ports = ports
        self._ends = ends

    async def run(self) -> None:
        """Follow the advisories until cancelled."""
        inbox = await self._ports.advisories()
        try:
            while True:
                await settle(await inbox.next(), self._handle)
        except Stopped:
            log.info("no more advisories")
        finally:
            # What was pulled goes back, even while we are being cancelled.
            await asyncio.shield(inbox.stop())

    async def _handle(self, delivery: Delivery) -> Settle:
        try:
            advisory = read_advisory(self._ports.subjects, delivery.subject, delivery.data)
        except ValueError as error:
            log.warning("an advisory of no use", extra={"error": str(error)})
            return partial(delivery.term, "not understood")
        await self.bury(advisory)
        return delivery.ack

    async def bury(self, advisory: Advisory) -> None:
        """Do everything that one advisory asks for."""
        match advisory:
            case Exhausted():
                await self._bury_exhausted(advisory)
            case Terminated():
                await self._publish(_told(advisory), self._owner(advisory))
            case _:
                assert_never(advisory)

    async def _bury_exhausted(self, advisory: Exhausted) -> None:
        reader = self._ports.readers[advisory.stream]
        stored = await reader.message(advisory.sequence)
        if stored is None:
            return  # a late ack, or the letter of an earlier try
        verdict = await self._end_work(advisory, stored)
        if not verdict.done:
            owner = self._ports.subjects.owner(advisory.stream, stored.subject)
            letter = DeadLetter(
                stream=advisory.stream,
                sequence=advisory.sequence,
                subject=stored.subject,
                reason=f"delivered {times(advisory.deliveries)} without an end",
                deliveries=advisory.deliveries,
                work=verdict.work,
                error=verdict.error,
                data=stored.data,
            )
            await self._publish(letter, owner)
        await reader.remove(advisory.sequence)

    async def _publish(self, letter: DeadLetter, owner: ObjectName) -> None:
        subject = self._ports.subjects.dead(letter.stream, owner)
        published = await self._ports.outbox.publish(
            subject, letter.data, msg_id=letter.msg_id, headers=letter.headers()
        )
        if not published.duplicate:
            log.warning("a dead letter", extra={"owner": str(owner), "reason": letter.reason})

    def _owner(self, advisory: Terminated) -> ObjectName:
        """For whom the message was; the worker's word counts only if it agrees with the queue's.

        Calls of agents are settled by the dispatcher, which can be believed.
        """
        if advisory.durable == DISPATCHER_DURABLE:
            return self._ports.subjects.owner(advisory.stream, advisory.words.subject or "")
        name = durable_owner(advisory.durable)
        own = ObjectName(namespace=self._ports.subjects.stack.namespace, name=name)
        try:
            told = self._ports.subjects.owner(advisory.stream, advisory.words.subject or "")
        except ValueError:
            return own
        return told if told.name == name else own

    async def _end_work(self, advisory: Exhausted, stored: Stored) -> Verdict:
        try:
            if advisory.stream is Stream.TASKS:
                task = self._task(stored)
                return await self._end_task(task, resumption(stored.headers), advisory)
            call = self._call(stored)
            return await self._end_call(call, advisory.deliveries)
        except ValueError as error:
            return Verdict(error=f"malformed: {error}")

    def _task(self, stored: Stored) -> Task:
        task = Task.decode(stored.data)
        subjects = self._ports.subjects
        if stored.subject not in {subjects.tasks(task.agent), subjects.asked(task.agent)}:
            raise ValueError(f"a task of {task.agent} under {stored.subject}")
        return task

    def _call(self, stored: Stored) -> Call:
        """The call in a message, whose subject NATS vouches for: its caller can name no other."""
        call, subjects = Call.decode(stored.data), self._ports.subjects
        key = call.caller, call.task, call.step, call.index
        if (stored.subject, call.id) not in {
            (subjects.calls(call.tool, call.caller), effect_key(call.tool, *key)),
            (subjects.asks(call.tool, call.caller), ask_key(call.tool, *key)),
        }:
            raise ValueError(f"a call of {call.caller} under {stored.subject}")
        return call

    async def _end_task(self, task: Task, number: int, advisory: Exhausted) -> Verdict:
        """Write the end of a task that has none, and tell it.

        A message from before its run was parked, or resumed, says nothing of that run.
        """
        while True:
            held = await self._ends.get(task.agent, task.id)
            if held is None:
                return Verdict(work=task.id, error="there is no run record of this task")
            if held.record.state.is_end:
                await self._ends.tell(held)
                done = held.record.state is not RunState.FAILED
                return Verdict(work=task.id, error=held.record.message, done=done)
            if not held.record.takes(number):
                return Verdict(work=task.id, done=True)
            await self._ends.write(held, gave_up(held.record, advisory.deliveries))

    async def _end_call(self, call: Call, deliveries: int) -> Verdict:
        """Write the end of a call that has none; whoever waits for it looks by himself."""
        while True:
            entry = await self._ports.effects.get(call.id)
            found = CallResult.decode(entry.value) if entry else None
            if found is not None and found.outcome is not Outcome.RESERVED:
                done = found.outcome is Outcome.SUCCEEDED
                return Verdict(work=call.id, error=found.error, done=done)
            end = lost_call(call.id, found, deliveries).encode()
            try:
                if entry is None:
                    await self._ports.effects.create(call.id, end)
                else:
                    await self._ports.effects.update(call.id, end, entry.revision)
            except (KeyExists, RevisionConflict):
                continue


def _told(advisory: Terminated) -> DeadLetter:
    """What can be known of a message that its queue has dropped: its worker's last words."""
    words = advisory.words
    data = words.data
    return DeadLetter(
        stream=advisory.stream,
        sequence=advisory.sequence,
        subject=words.subject,
        reason=words.reason,
        deliveries=advisory.deliveries,
        work=_work(advisory.stream, data),
        error=words.reason,
        data=data or b"",
    )


def _work(stream: Stream, data: bytes | None) -> str | None:
    try:
        kind = Task if stream is Stream.TASKS else Call
        return kind.decode(data or b"").id
    except ValueError:
        return None
