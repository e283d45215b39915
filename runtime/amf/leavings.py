"""What a run leaves on the queue beside its record: events, checkpoints, results of calls."""

from typing import Protocol

from runtime.contract.subjects import Bucket, StackSubjects, Stream, checkpoints_of, effects_of
from runtime.contract.value import ObjectName
from runtime.transport.port import Reader, WatchableStore


class Kept(Protocol):
    """Where all of it is; `transport.jetstream` and `.memory` have it."""

    def store(self, bucket: Bucket) -> WatchableStore:
        """One of the Stack's buckets."""
        ...

    def reader(self, stream: Stream) -> Reader:
        """One of the Stack's streams."""
        ...


class Leavings:
    """The leavings of all runs of a Stack."""

    def __init__(self, subjects: StackSubjects, link: Kept) -> None:
        self._subjects = subjects
        self._events = link.reader(Stream.EVENTS)
        self._checkpoints = link.store(Bucket.CHECKPOINTS)
        self._effects = link.store(Bucket.EFFECTS)

    async def erase(self, agent: ObjectName, task: str) -> None:
        """Take away for good what a run of `agent` has left; erasing twice is no error.

        Raises:
            TransportError: the queue does not answer.
        """
        await self._events.purge(self._subjects.events_on(agent, task))
        await self._effects.purge(effects_of(agent, task))
        for keys in checkpoints_of(agent, task):
            await self._checkpoints.purge(keys)
