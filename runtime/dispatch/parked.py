"""Parked runs: their place is kept, and they go on once everything is decided, or given."""

import logging

from runtime.contract.keys import run_key
from runtime.contract.runs import RESUMPTION, RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.dispatch.turns import KNOWN_SECONDS, too_large, with_history
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
        a crash between the two, or while the queue is full, it is published by `look`.

        Raises:
            QueueFull: its agent's queue has no room for it yet.
        """
        record, task = held.record.expiring(now).resuming(now), held.record.task
        try:
            key = run_key(task.agent, task.id)
            revision = await self._ports.runs.update(key, record.encode(), held.revision)
        except RevisionConflict:
            return  # it has moved on, and comes up again as it is now
        log.info("resumes a run", extra={"task": task.id, "agent": str(task.agent)})
        await self._publish(Held(record, revision))

    async def look(self, agent: ObjectName, task: str, now: float) -> None:
        """Do what may have been left undone for a run.

        Raises:
            QueueFull: its agent's queue has no room for it yet.
        """
        held = await self._ends.get(agent, task)
        if held is None:
            return
        if held.record.state is RunState.PARKED:
            await self._keep_place(held.record)
        elif held.record.is_resumed:
            await self._repeat(held, now)

    async def _repeat(self, held: Held, now: float) -> None:
        """Publish a task that may never have been, or may have; no worker has begun it.

        For as long as the queue surely knows the message id, it takes no second copy. After that
        the task gets a new number, so that a first copy begins nothing any more: such a run is
        begun once, but may lose its place in the queue to those that came in between.
        """
        if now > (held.record.resumed or now) + KNOWN_SECONDS:
            await self.resume(held, now)
        else:
            await self._publish(held)

    async def _publish(self, held: Held) -> None:
        """Publish the task under the number that its record has; no other message is good."""
        task = await with_history(self._conversations, held.record.task)
        try:
            await self._ports.outbox.publish(
                self._ports.subjects.tasks(task.agent),
                task.encode(),
                msg_id=f"{task.id}-{held.record.resumptions}",
                headers={RESUMPTION: str(held.record.resumptions)},
            )
        except PayloadTooLarge as error:
            await self._ends.write(held, too_large(task.id, str(error)))

    async def _keep_place(self, record: RunRecord) -> None:
        """Let no other task of the conversation pass it for as long as it may be parked."""
        task, parked = record.task, record.parked
        if task.conversation is None or parked is None:
            return
        ends = [*(one.expires for one in record.approvals), *(h.expires for h in record.handovers)]
        decided = max(ends, default=parked)
        try:
            await self._conversations.keep(
                task.conversation, task.id, deadline=decided + task.deadline - parked
            )
        except NoConversation:
            log.warning("a parked run without its conversation", extra={"task": task.id})
