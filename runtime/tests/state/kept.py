"""The bucket `checkpoints` as a worker and the dispatcher see it, with writes held up at will."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from runtime.contract.keys import checkpoint_key, checkpoint_part
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.state.checkpoints import Checkpoint, Checkpoints
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Entry, Store, WatchableStore

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
KEY = checkpoint_key(MATH, "t1")
NOISE = random.Random(7)  # so that nothing shrinks


async def keep(checkpoint: Checkpoint, data: bytes) -> None:
    await checkpoint.save(lambda: data)


def saved(attempt: int, place: int, parts: int) -> set[str]:
    """The keys of a run of which one save is kept."""
    return {KEY, *(checkpoint_part(MATH, "t1", attempt, place, part) for part in range(parts))}


@dataclass
class Held:
    """A worker's bucket, whose write number `at` with `verb` waits until it is let go.

    Shape:
        arrived  that write is there.
    """

    store: Store
    verb: Literal["put", "update", "never"] = "never"
    at: int = 1
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    may_go: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, verb: Literal["put", "update"], at: int = 1) -> None:
        self.verb, self.at = verb, at

    async def _pass(self, verb: str) -> None:
        if verb == self.verb:
            self.at -= 1
            if self.at == 0:
                self.arrived.set()
                await self.may_go.wait()

    async def get(self, key: str) -> Entry | None:
        return await self.store.get(key)

    async def create(self, key: str, value: bytes) -> int:
        return await self.store.create(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        await self._pass("update")
        return await self.store.update(key, value, revision)

    async def put(self, key: str, value: bytes) -> int:
        await self._pass("put")
        return await self.store.put(key, value)

    async def delete(self, key: str) -> None:
        await self.store.delete(key)

    @contextlib.asynccontextmanager
    async def saving(self, checkpoint: Checkpoint, data: bytes) -> AsyncIterator[None]:
        """`data` is about to be saved while the body runs, and is at its end."""
        task = asyncio.create_task(keep(checkpoint, data))
        await asyncio.wait_for(self.arrived.wait(), 5)
        yield
        self.may_go.set()
        await asyncio.wait_for(task, 5)


@dataclass(frozen=True, slots=True)
class Kept:
    """The bucket of one Stack, as the worker of the Agent and the dispatcher may use it."""

    worker: Held
    dispatcher: WatchableStore

    def attempt(self, number: int) -> Checkpoint:
        """One attempt at the task."""
        return Checkpoints(self.worker).of(MATH, "t1", number)

    async def found(self) -> bytes | None:
        """What the next attempt finds."""
        return await self.attempt(9).load()

    async def keys(self) -> set[str]:
        """All that is in the bucket."""
        return set(await self.dispatcher.keys(">"))


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.integration)])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    """The bucket, with nothing in it."""
    if request.param == "memory":
        link = MemoryQueue(STACK).link()
        yield Kept(Held(link.store(Bucket.CHECKPOINTS)), link.store(Bucket.CHECKPOINTS))
        return
    async with (
        running_stack(STACK, tmp_path) as nats,
        nats.link_as(await nats.agent("math")) as worker,
        nats.link_as(await nats.serving(Role.DISPATCHER)) as dispatcher,
    ):
        yield Kept(Held(worker.store(Bucket.CHECKPOINTS)), dispatcher.store(Bucket.CHECKPOINTS))


async def together(checkpoint: Checkpoint, values: Iterable[bytes]) -> None:
    """Save all of them at the same time."""
    async with asyncio.timeout(20):
        await asyncio.gather(*(keep(checkpoint, value) for value in values))
