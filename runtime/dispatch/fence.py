"""The ports of a leader: each write asks first whether it still leads.

A leader that was paused between the question and the write does no harm either: every write is a
compare-and-set, carries a message id, or takes away what is taken care of.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import override

from runtime.transport.port import (
    Entry,
    Headers,
    OnSignal,
    Outbox,
    Published,
    Reader,
    Stored,
    Subscription,
    WatchableStore,
)

type Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class FencedStore(WatchableStore):
    """A bucket of which only a leader writes."""

    store: WatchableStore
    check: Check

    @override
    async def get(self, key: str) -> Entry | None:
        return await self.store.get(key)

    @override
    async def find(self, pattern: str) -> Entry | None:
        return await self.store.find(pattern)

    @override
    async def keys(self, pattern: str) -> list[str]:
        return await self.store.keys(pattern)

    @override
    def scan(self, pattern: str) -> AsyncGenerator[Entry]:
        return self.store.scan(pattern)

    @override
    def watch(self, pattern: str = ">") -> AsyncGenerator[Entry | None]:
        return self.store.watch(pattern)

    @override
    async def create(self, key: str, value: bytes) -> int:
        self.check()
        return await self.store.create(key, value)

    @override
    async def update(self, key: str, value: bytes, revision: int) -> int:
        self.check()
        return await self.store.update(key, value, revision)

    @override
    async def put(self, key: str, value: bytes) -> int:
        self.check()
        return await self.store.put(key, value)

    @override
    async def delete(self, key: str) -> None:
        self.check()
        await self.store.delete(key)

    @override
    async def purge(self, pattern: str) -> None:
        self.check()
        await self.store.purge(pattern)


@dataclass(frozen=True, slots=True)
class FencedOutbox(Outbox):
    """Publishing, of a leader only."""

    outbox: Outbox
    check: Check

    @override
    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        self.check()
        return await self.outbox.publish(subject, data, msg_id=msg_id, headers=headers)

    @override
    async def signal(self, subject: str, data: bytes = b"", *, msg_id: str | None = None) -> None:
        self.check()
        await self.outbox.signal(subject, data, msg_id=msg_id)

    @override
    async def listen(self, subject: str, on_signal: OnSignal) -> Subscription:
        return await self.outbox.listen(subject, on_signal)


@dataclass(frozen=True, slots=True)
class FencedReader(Reader):
    """A stream from which only a leader takes messages out."""

    reader: Reader
    check: Check

    @override
    def read(self, subject: str, *, start_sequence: int = 1) -> AsyncIterator[Stored]:
        return self.reader.read(subject, start_sequence=start_sequence)

    @override
    def scan(self, subject: str) -> AsyncGenerator[Stored]:
        return self.reader.scan(subject)

    @override
    async def last(self, subject: str) -> Stored | None:
        return await self.reader.last(subject)

    @override
    async def message(self, sequence: int) -> Stored | None:
        return await self.reader.message(sequence)

    @override
    async def remove(self, sequence: int) -> None:
        self.check()
        await self.reader.remove(sequence)

    @override
    async def purge(self, subject: str) -> None:
        self.check()
        await self.reader.purge(subject)
