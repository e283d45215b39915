"""Ends that no worker writes: first in the record, which is the fence, then told as an event."""

import logging

from runtime.contract.keys import run_key
from runtime.contract.messages import Cancelled, Completed, End, Failed, decode_event
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.dispatch.ports import Ports
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.transport.port import RevisionConflict

log = logging.getLogger(__name__)


class Ends:
    """Writes ends of runs and makes sure that they are told."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._runs = Runs(ports.runs)

    async def get(self, agent: ObjectName, task: str) -> Held | None:
        """The record of a run, if there is one."""
        return await self._runs.get(agent, task)

    async def write(self, held: Held, end: End) -> bool:
        """End the run and tell it; false if it has another attempt or end by now."""
        try:
            ended = await self._runs.end(held, end)
        except StaleAttempt:
            return False
        log.info("ended a run", extra={"task": end.task, "end": end.kind})
        await self.tell(ended)
        return True

    async def cancel(self, held: Held, reason: str = "") -> None:
        """Ask for the end of the run, if it still is as in `held`; `reason` is told with it."""
        agent, task = held.record.task.agent, held.record.task.id
        wish = {"cancel_requested": True, "cancel_reason": reason or None}
        asked = held.record.model_copy(update=wish)
        try:
            await self._ports.runs.update(run_key(agent, task), asked.encode(), held.revision)
        except RevisionConflict:
            return  # it has moved on, and comes up again as it is now
        log.info("cancels a run", extra={"task": task, "agent": str(agent), "why": reason})
        await self._ports.outbox.signal(self._ports.subjects.cancel(agent, task))

    async def tell(self, held: Held) -> None:
        """Publish the end that stands in the record, unless its followers have been told."""
        record, task = held.record, held.record.task
        last = await self._ports.readers[Stream.EVENTS].last(
            self._ports.subjects.events_of(task.id)
        )
        seq = 1
        if last is not None:
            event = decode_event(last.data)
            if isinstance(event, Completed | Failed | Cancelled):
                return
            attempt = max(event.attempt, record.attempt)
            seq = event.seq + 1 if attempt == event.attempt else 1
            record = record.model_copy(update={"attempt": attempt})
        subject = self._ports.subjects.events(task.agent, task.origin, task.id)
        await self._ports.outbox.publish(subject, record.end(seq).encode(), msg_id=f"{task.id}-end")
