"""Runs that wait for a person: their place is kept, and they go on once everything is decided."""

import logging

from runtime.contract.runs import PARKED_ATTEMPT, RunRecord, RunState
from runtime.contract.subjects import Stream, run_key
from runtime.contract.value import ObjectName
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.dispatch.turns import CROWDED_SECONDS, KNOWN_SECONDS, too_large, with_history
from runtime.state.conversations import Conversations, NoConversation
from runtime.state.runs import Held
from runtime.transport.port import PayloadTooLarge, RevisionConflict

log = logging.getLogger(__name__)


class Parked:
    """Brings parked runs on, however far somebody else had come before a crash."""

    def __init__(self, ports: Ports, ends: Ends) -> None:
        self._ports = ports
        self._ends = ends
        self._conversations = Conversations(ports.conversations)

    async def resume(self, held: Held, now: float) -> None:
        """Queue the run again; what nobody has decided by now has expired.

        The record comes first, since a worker may have the task the moment it is published. After
        a crash between the two it is published by `look`.
        """
        record, task = held.record.expiring(now).resuming(now), held.record.task
        try:
            key = run_key(task.agent, task.id)
            revision = await self._ports.runs.update(key, record.encode(), held.revision)
        except RevisionConflict:
            return  # it has moved on, and comes up again as it is now
        log.info("resumes a run", extra={"task": task.id, "agent": str(task.agent)})
        await self._publish(Held(record, revision))

    async def look(self, agent: ObjectName, task: str, now: float) -> float | None:
        """Do what may have been left undone for a run; when to look again, if that is known."""
        held = await self._ends.get(agent, task)
        if held is None:
            return None
        if held.record.state is RunState.PARKED:
            await self._keep_place(held.record)
            return None
        return await self._repeat(agent, task, now)

    async def _repeat(self, agent: ObjectName, task: str, now: float) -> float | None:
        """Publish a task that may never have been, or may have; there must be no second copy.

        The queue knows the message id yet, or holds nothing for this Agent: see `Turns._repeat`.
        """
        last = await self._ports.readers[Stream.TASKS].last(self._ports.subjects.tasks(agent))
        # A task leaves the queue after its record says so: read in this order, none is missed.
        held = await self._ends.get(agent, task)
        if held is None or not held.record.is_resumed:
            return None
        if last is not None and now > (held.record.resumed or now) + KNOWN_SECONDS:
            return now + CROWDED_SECONDS
        await self._publish(held)
        return None

    async def _publish(self, held: Held) -> None:
        """Publish the task under a new message id; a message from before is good no longer."""
        task = await with_history(self._conversations, held.record.task)
        try:
            await self._ports.outbox.publish(
                self._ports.subjects.tasks(task.agent),
                task.encode(),
                msg_id=f"{task.id}-{held.record.parked_attempt}",
                headers={PARKED_ATTEMPT: str(held.record.parked_attempt)},
            )
        except PayloadTooLarge as error:
            await self._ends.write(held, too_large(task.id, str(error)))

    async def _keep_place(self, record: RunRecord) -> None:
        """Let no other task of the conversation pass it for as long as a person may decide."""
        task, parked = record.task, record.parked
        if task.conversation is None or parked is None:
            return
        decided = max((one.expires for one in record.approvals), default=parked)
        try:
            await self._conversations.keep(
                task.conversation, task.id, deadline=decided + task.deadline - parked
            )
        except NoConversation:
            log.warning("a parked run without its conversation", extra={"task": task.id})
