"""What a run leaves on the queue: its record, events, checkpoints and the results of its calls."""

from typing import Protocol

from runtime.amf import relay
from runtime.amf.errors import Conflict
from runtime.contract.keys import asked_task, checkpoints_of, effects_of, run_key
from runtime.contract.messages import AgentCalled, Task
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, StackSubjects, Stream
from runtime.transport.port import Reader, WatchableStore


class Link(Protocol):
    """Where all of it is; `transport.jetstream` and `.memory` have it."""

    def store(self, bucket: Bucket) -> WatchableStore:
        """One of the Stack's buckets."""
        ...

    def reader(self, stream: Stream) -> Reader:
        """One of the Stack's streams."""
        ...


class Leavings:
    """The leavings of all runs of a Stack."""

    def __init__(self, subjects: StackSubjects, link: Link, kept: relay.Kept) -> None:
        self._subjects = subjects
        self._kept = kept
        self._events = link.reader(Stream.EVENTS)
        self._runs = link.store(Bucket.RUNS)
        self._checkpoints = link.store(Bucket.CHECKPOINTS)
        self._effects = link.store(Bucket.EFFECTS)

    async def forget(self, record: RunRecord) -> None:
        """Erase a run that has ended, and those of agents that it has asked.

        Its record goes last: until then it can be asked for once more.

        Raises:
            Conflict: one of those has not ended.
            TransportError, TimeoutError: the queue does not answer.
        """
        task = record.task
        for asked in await self._asked_by(task):
            if not asked.state.is_end:
                raise Conflict(
                    f"What resp_{task.id} has asked of {asked.task.agent.name} has not ended; ask "
                    "again in a while.",
                    param="response_id",
                )
            await self.forget(asked)
        await self.erase(task)

    async def erase(self, task: Task) -> None:
        """Erase one run that has ended; what it has asked of other agents stays.

        Raises:
            TransportError: the queue does not answer.
        """
        await self._events.purge(self._subjects.events_on(task.agent, task.id))
        await self._effects.purge(effects_of(task.agent, task.id))
        for keys in checkpoints_of(task.agent, task.id):
            await self._checkpoints.purge(keys)
        if task.response.claim is not None:
            await self._runs.delete(task.response.claim)
        await self._runs.delete(run_key(task.agent, task.id))

    async def _asked_by(self, task: Task) -> list[RunRecord]:
        events = await self._kept.events(task)
        calls = {event.call for event in events if isinstance(event, AgentCalled)}
        entries = [await self._runs.find(f"*.*.{asked_task(call)}") for call in calls]
        found = [RunRecord.decode(entry.value) for entry in entries if entry is not None]
        return [one for one in found if one.task.asked and one.task.asked.task == task.id]
