"""What the dispatcher needs of the queue."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

from runtime.contract.subjects import Bucket, StackSubjects, Stream
from runtime.dispatch.fence import Check, FencedOutbox, FencedReader, FencedStore
from runtime.transport.port import Inbox, Outbox, Reader, WatchableStore

type Pull = Callable[[], Awaitable[Inbox]]


class Link(Protocol):
    """A connection to the queue of a Stack, on JetStream or in memory."""

    @property
    def subjects(self) -> StackSubjects:
        """The names of the Stack."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Publishing and signalling."""
        ...

    def store(self, bucket: Bucket) -> WatchableStore:
        """One of the Stack's buckets."""
        ...

    def reader(self, stream: Stream) -> Reader:
        """One of the Stack's streams."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything of the queue that a dispatcher uses.

    Shape:
        catalogue   is only read.
        readers     of TASKS, CALLS and EVENTS.
        advisories  starts pulling from `subjects.DISPATCHER_DURABLE` of ADVISORIES.
        asks        the same of CALLS: what agents ask of each other.
    """

    subjects: StackSubjects
    outbox: Outbox
    runs: WatchableStore
    conversations: WatchableStore
    effects: WatchableStore
    checkpoints: WatchableStore
    catalogue: WatchableStore
    readers: Mapping[Stream, Reader]
    advisories: Pull
    asks: Pull

    @classmethod
    def of(cls, link: Link, advisories: Pull, asks: Pull) -> Self:
        """The ports that `link` offers."""
        return cls(
            subjects=link.subjects,
            outbox=link.outbox,
            runs=link.store(Bucket.RUNS),
            conversations=link.store(Bucket.CONVERSATIONS),
            effects=link.store(Bucket.EFFECTS),
            checkpoints=link.store(Bucket.CHECKPOINTS),
            catalogue=link.store(Bucket.CATALOGUE),
            readers={
                stream: link.reader(stream)
                for stream in (Stream.TASKS, Stream.CALLS, Stream.EVENTS)
            },
            advisories=advisories,
            asks=asks,
        )

    def fenced(self, check: Check) -> Self:
        """The same ports, but `check` is asked before anything is written."""
        return replace(
            self,
            outbox=FencedOutbox(self.outbox, check),
            runs=FencedStore(self.runs, check),
            conversations=FencedStore(self.conversations, check),
            effects=FencedStore(self.effects, check),
            checkpoints=FencedStore(self.checkpoints, check),
            readers={s: FencedReader(reader, check) for s, reader in self.readers.items()},
        )
