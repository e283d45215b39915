"""From a call of one agent by another to a task, and from there to the queue.

Every step may be repeated: the task has an id made from the call, its record is created once, and
the queue takes it once.
"""

import asyncio
import logging
import time
from functools import partial

from runtime.contract.catalogue import AgentEntry
from runtime.contract.dead_letter import LastWords
from runtime.contract.keys import agent_entry, asked_task, run_key
from runtime.contract.messages import Call, CallResult, Failed, FailureReason, Outcome, Task
from runtime.contract.runs import REVISION, RunRecord, RunState
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.dispatch.chains import NotYet, Refuse, Take, genuine_ask, judged
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.dispatch.results import Results
from runtime.dispatch.settling import Settle, settle
from runtime.dispatch.turns import CROWDED_SECONDS, KNOWN_SECONDS
from runtime.state.runs import Held, Runs
from runtime.transport.port import Delivery, KeyExists, PayloadTooLarge, QueueFull, Stopped

log = logging.getLogger(__name__)

FULL_SECONDS = 1.0  # until a queue that was full is tried again
LOOK_SECONDS = 1.0  # until a run that is not seen to have begun is looked at again
LOOKS = 3


class Asks:
    """Turns calls of agents into tasks, one each."""

    def __init__(self, ports: Ports, ends: Ends) -> None:
        self._ports = ports
        self._ends = ends
        self._runs = Runs(ports.runs)
        self._results = Results(ports)

    async def run(self) -> None:
        """Follow the calls until cancelled; those of different runs do not wait for each other."""
        inbox = await self._ports.asks()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        delivery = await inbox.next()
                    except Stopped:
                        break
                    group.create_task(settle(delivery, self._answer), name="ask")
        finally:
            # What was pulled goes back, even while we are being cancelled.
            await asyncio.shield(inbox.stop())

    async def _answer(self, delivery: Delivery) -> Settle:
        try:
            call = genuine_ask(self._ports.subjects, delivery.subject, delivery.data)
        except ValueError as error:
            return _unusable(delivery, f"malformed: {str(error).partition('\n')[0]}")
        if await self._is_answered(call):
            return delivery.ack
        child = await self._ends.get(call.tool, asked_task(call.id))
        if child is not None:
            again = await self._bring_on(child)
            return delivery.ack if again is None else partial(delivery.nak, again)
        parent = await self._ends.get(call.caller, call.task)
        entry, asking = await self._entry(call.tool), await self._entry(call.caller)
        record, guard = parent.record if parent else None, asking.guard if asking else None
        match judged(call, record, entry, time.time(), asking=guard):
            case NotYet() if delivery.number <= LOOKS:
                return partial(delivery.nak, LOOK_SECONDS)
            case NotYet():
                return _unusable(delivery, "no run asks for this")
            case Refuse(sentence):
                log.info("refuses a call", extra={"call": call.id, "why": sentence})
                await self._refuse(call, sentence)
                return delivery.ack
            case Take(task):
                return await self._take(delivery, call, task)

    async def _is_answered(self, call: Call) -> bool:
        if await self._ports.effects.get(call.id) is None:
            return False
        await self._results.wake(call.id, call.caller, call.worker)
        return True

    async def _entry(self, agent: ObjectName) -> AgentEntry | None:
        entry = await self._ports.catalogue.get(agent_entry(agent))
        return None if entry is None else AgentEntry.decode(entry.value)

    async def _refuse(self, call: Call, sentence: str) -> None:
        end = CallResult(call=call.id, outcome=Outcome.FAILED, error=sentence)
        await self._results.write(end, call.caller, call.worker)

    async def _take(self, delivery: Delivery, call: Call, task: Task) -> Settle:
        try:
            held = await self._runs.accept(RunRecord(task=task))
        except KeyExists:
            return delivery.nak  # another message for the same call was quicker
        except PayloadTooLarge:
            await self._refuse(call, f"the input for {call.tool.name} is too large; say less")
            return delivery.ack
        try:
            await self._publish(held)
        except QueueFull:
            # Nobody knows of it, and its deadline should not begin before it can be published.
            await self._ports.runs.delete(run_key(task.agent, task.id))
            return partial(delivery.nak, FULL_SECONDS)
        log.info("asked", extra={"task": task.id, "agent": str(task.agent), "call": call.id})
        return delivery.ack

    async def _bring_on(self, held: Held) -> float | None:
        """Do what is left to do for a task that exists; when to try again, if that is needed."""
        record = held.record
        if record.state.is_end:
            await self._results.end(record)
            return None
        if not _may_be_unpublished(record):
            return None
        if time.time() > record.task.created + KNOWN_SECONDS:
            return await self._bring_on_late(record.task)
        return await self._publish_again(held)

    async def _bring_on_late(self, task: Task) -> float | None:
        """Publish a task whose message id the queue may have forgotten.

        A worker takes a second copy for the first one come back and begins another attempt: so the
        queue must hold nothing that was asked of this agent.
        """
        last = await self._ports.readers[Stream.TASKS].last(self._ports.subjects.asked(task.agent))
        # A task leaves the queue after its record says so: read in this order, none is missed.
        held = await self._ends.get(task.agent, task.id)
        if held is None or not _may_be_unpublished(held.record):
            return 0
        return CROWDED_SECONDS if last is not None else await self._publish_again(held)

    async def _publish_again(self, held: Held) -> float | None:
        try:
            await self._publish(held)
        except QueueFull:
            return FULL_SECONDS
        return None

    async def _publish(self, held: Held) -> None:
        """Publish as an API server does: a worker begins over the revision of the record unread."""
        task = held.record.task
        try:
            await self._ports.outbox.publish(
                self._ports.subjects.asked(task.agent),
                task.encode(),
                msg_id=task.id,
                headers={REVISION: str(held.revision)},
            )
        except PayloadTooLarge as error:
            message = f"the input is larger than the queue takes: {error}"
            reason = FailureReason.AGENT_ERROR
            end = Failed(task=task.id, attempt=1, seq=1, reason=reason, message=message)
            await self._ends.write(held, end)


def _may_be_unpublished(record: RunRecord) -> bool:
    """Whether nobody has begun a run yet that is to be begun."""
    begun = record.state is not RunState.QUEUED or record.attempt > 0
    return not begun and not record.cancel_requested


def _unusable(delivery: Delivery, reason: str) -> Settle:
    log.warning("a call of no use", extra={"subject": delivery.subject, "why": reason})
    words = LastWords.about(reason, delivery.subject, delivery.data)
    return partial(delivery.term, words.spoken())
