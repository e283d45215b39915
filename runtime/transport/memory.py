"""The queue of a Stack in memory: a real one, for tests and experiments, that forgets at exit.

It passes the same conformance tests as the one on JetStream.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from runtime.contract.subjects import ADVISORY, WORK_KINDS, Bucket, StackSubjects, Stream
from runtime.contract.value import ObjectName
from runtime.transport.memory_store import MemoryBuckets, MemoryStore, matches
from runtime.transport.port import (
    Headers,
    OnSignal,
    Published,
    QueueFull,
    Stopped,
    Stored,
)


@dataclass(slots=True)
class _Durable:
    stream: str
    name: str
    filter_subject: str
    ack_wait_seconds: float
    max_deliver: int
    waiting: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    numbers: dict[int, int] = field(default_factory=dict)


class MemoryQueue:
    """Everything that one Stack keeps; any number of links may be made to it."""

    def __init__(self, stack: ObjectName, *, max_messages: int = 100_000) -> None:
        self.subjects = StackSubjects(stack)
        self._max_messages = max_messages
        root = self.subjects.root
        self._captured: dict[str, tuple[str, ...]] = {
            **{
                self.subjects.stream(stream): tuple(map(self.subjects.every, kinds))
                for stream, kinds in WORK_KINDS.items()
            },
            self.subjects.stream(Stream.EVENTS): (f"{root}.events.>",),
            self.subjects.stream(Stream.DEAD): (f"{root}.dead.>",),
            self.subjects.stream(Stream.ADVISORIES): self.subjects.advisories(),
        }
        self._streams: dict[str, dict[int, Stored]] = {name: {} for name in self._captured}
        self._sequences = {name: itertools.count(1) for name in self._captured}
        self._durables: dict[tuple[str, str], _Durable] = {}
        self._msg_ids: dict[tuple[str, str], int] = {}
        self._listeners: list[tuple[str, OnSignal]] = []
        self.buckets = MemoryBuckets()
        self._changed = asyncio.Condition()

    def add_durable(
        self,
        stream: Stream,
        durable: str,
        filter_subject: str,
        *,
        ack_wait_seconds: float = 10,
        max_deliver: int = 1000,
    ) -> None:
        """Make a durable; what matches and waits already is delivered first."""
        name = self.subjects.stream(stream)
        made = _Durable(name, durable, filter_subject, ack_wait_seconds, max_deliver)
        self._durables[name, durable] = made
        for sequence, stored in self._streams[name].items():
            if matches(filter_subject, stored.subject):
                made.waiting.put_nowait(sequence)

    def messages(self, stream: Stream) -> list[Stored]:
        """What a stream holds, oldest first."""
        return list(self._streams[self.subjects.stream(stream)].values())

    def link(self) -> "MemoryLink":
        """What one process would use."""
        return MemoryLink(self)

    async def publish(
        self, subject: str, data: bytes, msg_id: str | None, headers: Headers
    ) -> Published:
        """Keep one message, or say that it is kept already."""
        name = self._stream_of(subject)
        if msg_id is not None and (name, msg_id) in self._msg_ids:
            return Published(self._msg_ids[name, msg_id], duplicate=True)
        if len(self._streams[name]) >= self._max_messages:
            raise QueueFull(f"the stream {name} holds {self._max_messages} messages")
        sequence = next(self._sequences[name])
        if msg_id is not None:
            self._msg_ids[name, msg_id] = sequence
        self._streams[name][sequence] = Stored(subject, data, sequence, dict(headers))
        for durable in self._durables.values():
            if durable.stream == name and matches(durable.filter_subject, subject):
                durable.waiting.put_nowait(sequence)
        await self.signal(subject, data)
        async with self._changed:
            self._changed.notify_all()
        return Published(sequence)

    async def signal(self, subject: str, data: bytes) -> None:
        """Call whoever listens."""
        for pattern, on_signal in list(self._listeners):
            if matches(pattern, subject):
                on_signal(subject, data)

    def _stream_of(self, subject: str) -> str:
        for name, patterns in self._captured.items():
            if any(matches(pattern, subject) for pattern in patterns):
                return name
        raise LookupError(f"no stream captures {subject}")

    async def deliver(self, durable: _Durable) -> "MemoryDelivery":
        """The next message of a durable; one too often delivered becomes an advisory instead."""
        while True:
            sequence = await durable.waiting.get()
            stored = self._streams[durable.stream].get(sequence)
            if stored is None:
                continue
            number = durable.numbers[sequence] = durable.numbers.get(sequence, 0) + 1
            if number <= durable.max_deliver:
                return MemoryDelivery(self, durable, stored, number)
            await self.advise("MAX_DELIVERIES", durable, sequence, number - 1, "")

    async def advise(
        self, kind: str, durable: _Durable, sequence: int, deliveries: int, reason: str
    ) -> None:
        """Publish what JetStream would say of a message that no worker sees again."""
        advisory = {
            "type": f"io.nats.jetstream.advisory.v1.{kind.lower()}",
            "stream": durable.stream,
            "consumer": durable.name,
            "stream_seq": sequence,
            "deliveries": deliveries,
            "reason": reason,
        }
        subject = f"{ADVISORY}.{kind}.{durable.stream}.{durable.name}"
        await self.publish(subject, json.dumps(advisory).encode(), None, {})

    def drop(self, stream: str, sequence: int) -> None:
        """Take a message out of its stream."""
        self._streams[stream].pop(sequence, None)


class MemoryDelivery:
    """A `Delivery`; it goes round again when nobody settles it within the ack wait."""

    def __init__(self, queue: MemoryQueue, durable: _Durable, stored: Stored, number: int) -> None:
        self._queue = queue
        self._durable = durable
        self.subject, self.data, self.headers = stored.subject, stored.data, stored.headers
        self.sequence, self.number = stored.sequence, number
        self.settled: str | None = None

    def hold_until(self, until: float) -> None:
        """Held for as long as its process lives, which here is for ever."""

    async def ack(self) -> None:
        """Done."""
        self._settle("ack")
        self._queue.drop(self._durable.stream, self.sequence)

    async def nak(self, delay_seconds: float = 0) -> None:
        """Again, after the delay."""
        self._settle("nak")
        loop = asyncio.get_running_loop()
        loop.call_later(delay_seconds, self._durable.waiting.put_nowait, self.sequence)

    async def term(self, reason: str) -> None:
        """Never again."""
        self._settle(f"term {reason}")
        await self._queue.advise(
            "MSG_TERMINATED", self._durable, self.sequence, self.number, reason
        )
        self._queue.drop(self._durable.stream, self.sequence)

    async def leave(self) -> None:
        """Again, after the ack wait."""
        self._settle("leave")
        wait = self._durable.ack_wait_seconds
        asyncio.get_running_loop().call_later(wait, self._durable.waiting.put_nowait, self.sequence)

    def _settle(self, how: str) -> None:
        if self.settled is not None:
            raise AssertionError(f"delivery {self.sequence} settled twice: {self.settled}, {how}")
        self.settled = how


class MemoryInbox:
    """An `Inbox`."""

    def __init__(self, queue: MemoryQueue, durable: _Durable) -> None:
        self._queue = queue
        self._durable = durable
        self._stopped = asyncio.Event()

    @property
    def pulling(self) -> bool:
        """Whether work would be taken."""
        return not self._stopped.is_set()

    async def next(self) -> MemoryDelivery:
        """The next delivery.

        Raises:
            Stopped: nothing more will come.
        """
        if self._stopped.is_set():
            raise Stopped
        getting = asyncio.create_task(self._queue.deliver(self._durable))
        stopping = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if getting.done():  # nobody takes it any more
                await getting.result().nak()
            raise
        finally:
            stopping.cancel()
            getting.cancel()
        if getting.done():
            return getting.result()
        raise Stopped

    async def stop(self) -> None:
        """Ask for nothing more."""
        self._stopped.set()


@dataclass(slots=True)
class MemoryLink:
    """What `transport.jetstream.Link` is on a server."""

    queue: MemoryQueue

    @property
    def subjects(self) -> StackSubjects:
        """The names of the Stack."""
        return self.queue.subjects

    @property
    def outbox(self) -> "MemoryOutbox":
        """Publishing and signalling."""
        return MemoryOutbox(self.queue)

    def store(self, bucket: Bucket) -> MemoryStore:
        """One of the Stack's buckets."""
        return MemoryStore(self.queue.buckets, self.subjects.bucket(bucket))

    def reader(self, stream: Stream) -> "MemoryReader":
        """One of the Stack's streams."""
        return MemoryReader(self.queue, self.subjects.stream(stream))

    def inbox(self, stream: Stream, durable: str) -> MemoryInbox:
        """The deliveries of a durable that `add_durable` made."""
        return MemoryInbox(self.queue, self.queue._durables[self.subjects.stream(stream), durable])

    @property
    def is_open(self) -> bool:
        """Memory is always there."""
        return True


@dataclass(frozen=True, slots=True)
class MemoryOutbox:
    """An `Outbox`."""

    queue: MemoryQueue

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        """Keep `data` in the stream of `subject`."""
        return await self.queue.publish(subject, data, msg_id, headers or {})

    async def signal(self, subject: str, data: bytes = b"", *, msg_id: str | None = None) -> None:
        """A core message; a stream of that subject keeps it without a word."""
        try:
            await self.queue.publish(subject, data, msg_id, {})
        except LookupError:
            await self.queue.signal(subject, data)

    async def listen(self, subject: str, on_signal: OnSignal) -> "MemoryListening":
        """Call `on_signal` for each core message."""
        self.queue._listeners.append((subject, on_signal))
        return MemoryListening(self.queue, (subject, on_signal))


@dataclass(frozen=True, slots=True)
class MemoryListening:
    """A running `listen`."""

    queue: MemoryQueue
    listener: tuple[str, OnSignal]

    async def close(self) -> None:
        """Stop listening."""
        self.queue._listeners.remove(self.listener)


class MemoryReader:
    """A `Reader`."""

    def __init__(self, queue: MemoryQueue, stream: str) -> None:
        self._queue = queue
        self._stream = stream

    @property
    def _messages(self) -> dict[int, Stored]:
        return self._queue._streams[self._stream]

    async def read(self, subject: str, *, start_sequence: int = 1) -> AsyncIterator[Stored]:
        """The messages of `subject` in order, from `start_sequence`, without end."""
        while True:
            ready = [
                stored
                for stored in self._messages.values()
                if stored.sequence >= start_sequence and matches(subject, stored.subject)
            ]
            for stored in ready:
                start_sequence = stored.sequence + 1
                yield stored
            if not ready:
                async with self._queue._changed:
                    await self._queue._changed.wait()

    async def scan(self, subject: str) -> AsyncGenerator[Stored]:
        """The messages of `subject`, the oldest first."""
        for stored in list(self._messages.values()):
            if matches(subject, stored.subject):
                yield stored

    async def last(self, subject: str) -> Stored | None:
        """The newest message of `subject`."""
        found = [stored for stored in self._messages.values() if matches(subject, stored.subject)]
        return found[-1] if found else None

    async def message(self, sequence: int) -> Stored | None:
        """The message at one place of the stream."""
        return self._messages.get(sequence)

    async def remove(self, sequence: int) -> None:
        """Take one message out of the stream."""
        self._queue.drop(self._stream, sequence)

    async def purge(self, subject: str) -> None:
        """Take all messages of `subject` out of the stream."""
        found = [one for one in self._messages.values() if matches(subject, one.subject)]
        for stored in found:
            self._queue.drop(self._stream, stored.sequence)
