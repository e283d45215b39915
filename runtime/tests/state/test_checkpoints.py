"""What a run keeps of itself, in memory and in the bucket as an Agent's worker may use it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import override

import pytest

from runtime.contract.subjects import Bucket, checkpoint_key, checkpoint_part
from runtime.contract.value import ObjectName
from runtime.state.checkpoints import MOST_BYTES, BadCheckpoint, Checkpoints
from runtime.state.parts import PART_BYTES
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Store, Unavailable

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
KEY = checkpoint_key(MATH, "t1")
NOISE = random.Random(7)  # so that nothing shrinks


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryQueue(STACK).link().store(Bucket.CHECKPOINTS)
        return
    async with (
        running_stack(STACK, tmp_path) as nats,
        nats.link_as(await nats.agent("math")) as link,
    ):
        yield link.store(Bucket.CHECKPOINTS)


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 0), (1000, 0), (PART_BYTES + 1, 2), (5 * PART_BYTES, 6)]
)
async def test_the_next_attempt_finds_what_was_saved_last(
    store: Store, size: int, parts: int
) -> None:
    first, data = Checkpoints(store).of(MATH, "t1", 1), NOISE.randbytes(size)
    for saved in (b"old", NOISE.randbytes(size), data):
        await first.save(saved)
    assert await Checkpoints(store).of(MATH, "t1", 2).load() == data
    last = checkpoint_part(MATH, "t1", 1, 1, parts - 1 if parts else 0)
    assert (await store.get(last) is not None) == (parts > 0)
    assert await Checkpoints(store).of(MATH, "t2", 2).load() is None


async def test_nothing_is_left_of_a_run_that_has_ended(store: Store) -> None:
    large = NOISE.randbytes(2 * PART_BYTES)
    first = Checkpoints(store).of(MATH, "t1", 1)
    await first.save(large)
    await first.save(large)
    second = Checkpoints(store).of(MATH, "t1", 2)
    await second.load()
    await second.save(large)
    await second.drop()
    lasting = [
        checkpoint_part(MATH, "t1", attempt, place, part)
        for attempt, place in ((1, 1), (2, 0), (2, 1))
        for part in range(3)
    ]
    assert [key for key in (KEY, *lasting) if await store.get(key) is not None] == []


@pytest.mark.parametrize("size", [10, 3 * PART_BYTES])
async def test_whatever_attempt_has_saved_it_an_ended_run_can_be_forgotten(
    store: Store, size: int
) -> None:
    for attempt in (1, 2):
        saving = Checkpoints(store).of(MATH, "t1", attempt)
        await saving.load()
        await saving.save(NOISE.randbytes(size))
    await Checkpoints(store).forget(MATH, "t1")
    await Checkpoints(store).forget(MATH, "t1")
    parts = [
        checkpoint_part(MATH, "t1", attempt, place, part)
        for attempt in (1, 2)
        for place in (0, 1)
        for part in range(4)
    ]
    assert [key for key in (KEY, *parts) if await store.get(key) is not None] == []


@pytest.mark.parametrize(
    "value", [b"\xff", b'{"schema":1,"attempt":1,"digest":"00","parts":2000000000}\n']
)
async def test_what_is_damaged_can_be_forgotten_and_costs_little(
    store: Store, value: bytes
) -> None:
    await store.put(KEY, value)
    async with asyncio.timeout(5):
        await Checkpoints(store).forget(MATH, "t1")
    assert await store.get(KEY) is None


async def test_what_is_small_costs_one_key(store: Store) -> None:
    checkpoint = Checkpoints(store).of(MATH, "t1", 1)
    await checkpoint.save(b"{}" * 100_000)
    entry = await store.get(KEY)
    assert entry is not None
    assert len(entry.value) < 2000


async def test_what_is_too_large_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoints(store).of(MATH, "t1", 1)
    await checkpoint.save(b"small")
    with caplog.at_level(logging.WARNING):
        await checkpoint.save(NOISE.randbytes(MOST_BYTES + 1))
    (record,) = caplog.records
    assert f"{MOST_BYTES} are kept at most" in record.__dict__["error"]
    assert await Checkpoints(store).of(MATH, "t1", 2).load() == b"small"


async def test_of_two_attempts_the_later_one_wins(store: Store) -> None:
    """The first worker was only paused, and goes on until it learns that it has lost the run."""
    first = Checkpoints(store).of(MATH, "t1", 1)
    await first.save(b"one")
    second = Checkpoints(store).of(MATH, "t1", 2)
    assert await second.load() == b"one"
    await first.save(b"one more")
    await second.save(b"two")
    await first.save(NOISE.randbytes(PART_BYTES + 1))
    await first.save(b"three")
    assert await Checkpoints(store).of(MATH, "t1", 3).load() == b"two"


async def test_an_attempt_that_was_overtaken_brings_nothing_back(store: Store) -> None:
    first = Checkpoints(store).of(MATH, "t1", 1)
    await first.save(b"one")
    second = Checkpoints(store).of(MATH, "t1", 2)
    await second.load()
    await second.drop()
    await first.save(b"one more")
    assert await store.get(KEY) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(b"\x00\xff", "damaged, or of a newer version", id="no head"),
        pytest.param(b"", "damaged, or of a newer version", id="empty"),
        pytest.param(
            b'{"schema":99,"attempt":1,"digest":""}\n', "newer version.*schema", id="newer"
        ),
        pytest.param(b'{"schema":1,"attempt":1,"digest":"00"}\nx', "its digest", id="digest"),
        pytest.param(
            b'{"schema":1,"attempt":1,"digest":"00","parts":2}\n', "0 is missing", id="a part"
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_told_and_can_be_replaced(
    store: Store, value: bytes, said: str
) -> None:
    await store.put(KEY, value)
    checkpoint = Checkpoints(store).of(MATH, "t1", 2)
    with pytest.raises(BadCheckpoint, match=said):
        await checkpoint.load()
    await checkpoint.save(b"anew")
    assert await Checkpoints(store).of(MATH, "t1", 3).load() == b"anew"


class Unsure(MemoryStore):
    """A bucket whose word gets lost once, after it has written."""

    lost = False

    @override
    async def update(self, key: str, value: bytes, revision: int) -> int:
        written = await super().update(key, value, revision)
        if not self.lost:
            self.lost = True
            raise Unavailable("no answer")
        return written


async def test_a_save_without_an_answer_harms_no_later_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = MemoryQueue(STACK)
    store = Unsure(queue.buckets, queue.subjects.bucket(Bucket.CHECKPOINTS))
    checkpoint = Checkpoints(store).of(MATH, "t1", 1)
    for data in (b"one", b"two", b"three"):
        await checkpoint.save(data)
    assert [record.__dict__["error"] for record in caplog.records] == ["no answer"]
    assert await Checkpoints(store).of(MATH, "t1", 2).load() == b"three"
