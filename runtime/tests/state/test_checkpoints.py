"""What a run keeps of itself, in memory and in the bucket as an Agent's worker may use it."""

import asyncio
import logging
from collections.abc import Callable
from typing import override

import pytest

from runtime.contract.keys import checkpoint_key, checkpoint_part
from runtime.contract.subjects import Bucket
from runtime.state.checkpoints import (
    MOST_BYTES,
    MOST_UNPACKED_BYTES,
    BadCheckpoint,
    Checkpoints,
    forget,
)
from runtime.state.parts import PART_BYTES
from runtime.tests.state.kept import KEY, MATH, NOISE, STACK, Kept, keep, kept, saved
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Unavailable

__all__ = ["kept"]  # a fixture


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 0), (1000, 0), (PART_BYTES + 1, 2), (5 * PART_BYTES, 6)]
)
async def test_the_next_attempt_finds_what_was_saved_last(
    kept: Kept, size: int, parts: int
) -> None:
    first, data = kept.attempt(1), NOISE.randbytes(size)
    for value in (b"old", NOISE.randbytes(size), data):
        await keep(first, value)
    assert await kept.attempt(2).load() == data
    assert await kept.keys() == saved(1, 3, parts)
    assert await Checkpoints(kept.worker).of(MATH, "t2", 2).load() is None


async def test_nothing_is_left_of_a_run_that_has_ended(kept: Kept) -> None:
    large = NOISE.randbytes(2 * PART_BYTES)
    first = kept.attempt(1)
    await keep(first, large)
    await keep(first, large)
    second = kept.attempt(2)
    await second.load()
    await keep(second, large)
    await second.drop()
    assert await kept.keys() == set()


@pytest.mark.parametrize("size", [10, 3 * PART_BYTES])
async def test_whatever_attempt_has_saved_it_an_ended_run_can_be_forgotten(
    kept: Kept, size: int
) -> None:
    for attempt in (1, 2):
        saving = kept.attempt(attempt)
        await saving.load()
        await keep(saving, NOISE.randbytes(size))
    await Checkpoints(kept.worker).forget(MATH, "t1")
    await Checkpoints(kept.worker).forget(MATH, "t1")
    assert await kept.keys() == set()


@pytest.mark.parametrize("there", [0, 1])
async def test_the_dispatcher_also_forgets_parts_that_nothing_names(kept: Kept, there: int) -> None:
    """They are of a save whose worker was killed before its end."""
    for _ in range(there):
        await keep(kept.attempt(1), b"so far")
    for attempt, place in ((1, 9), (2, 1)):
        for part in range(2):
            await kept.worker.put(checkpoint_part(MATH, "t1", attempt, place, part), b"part")
    await keep(Checkpoints(kept.worker).of(MATH, "t10", 1), b"another run")
    await forget(kept.dispatcher, MATH, "t1")
    await forget(kept.dispatcher, MATH, "t1")
    assert await kept.keys() == {checkpoint_key(MATH, "t10")}


@pytest.mark.parametrize(
    "value", [b"\xff", b'{"schema":1,"attempt":1,"digest":"00","parts":2000000000}\n']
)
async def test_what_is_damaged_can_be_forgotten_and_costs_little(kept: Kept, value: bytes) -> None:
    await kept.worker.put(KEY, value)
    async with asyncio.timeout(5):
        await Checkpoints(kept.worker).forget(MATH, "t1")
    assert await kept.worker.get(KEY) is None


async def test_what_is_small_costs_one_key(kept: Kept) -> None:
    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"{}" * 100_000)
    entry = await kept.worker.get(KEY)
    assert entry is not None
    assert len(entry.value) < 2000


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: NOISE.randbytes(MOST_BYTES + 1), id="compressed"),
        pytest.param(lambda: bytes(MOST_UNPACKED_BYTES + 1), id="before"),
    ],
)
async def test_what_is_too_large_ends_the_keeping(
    kept: Kept, caplog: pytest.LogCaptureFixture, value: Callable[[], bytes]
) -> None:
    """All that follows is larger still; no save pays to find that out again."""
    first = kept.attempt(1)
    await keep(first, b"small")
    with caplog.at_level(logging.WARNING):
        await first.save(value)
        for _ in range(3):
            await first.save(lambda: pytest.fail("it is written again"))
    (record,) = caplog.records
    assert "are kept at most" in record.__dict__["error"]
    assert await kept.found() == b"small"
    await first.drop()
    assert await kept.keys() == set()


async def test_of_two_attempts_the_later_one_wins(kept: Kept) -> None:
    """The first worker was only paused, and goes on until it learns that it has lost the run."""
    first = kept.attempt(1)
    await keep(first, b"one")
    second = kept.attempt(2)
    assert await second.load() == b"one"
    await keep(first, b"one more")
    await keep(second, b"two")
    await keep(first, NOISE.randbytes(PART_BYTES + 1))
    await keep(first, b"three")
    assert await kept.attempt(3).load() == b"two"


async def test_parts_of_an_attempt_that_was_overtaken_go_with_it(kept: Kept) -> None:
    first, second = kept.attempt(1), kept.attempt(2)
    await keep(first, b"one")
    await second.load()
    await keep(first, NOISE.randbytes(2 * PART_BYTES))
    await keep(second, b"two")
    await keep(first, NOISE.randbytes(2 * PART_BYTES))
    await first.drop()
    assert await kept.keys() == saved(2, 2, 0)
    assert await kept.found() == b"two"


async def test_an_attempt_that_was_overtaken_brings_nothing_back(kept: Kept) -> None:
    first = kept.attempt(1)
    await keep(first, b"one")
    second = kept.attempt(2)
    await second.load()
    await second.drop()
    await keep(first, b"one more")
    assert await kept.worker.get(KEY) is None


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
    kept: Kept, value: bytes, said: str
) -> None:
    await kept.worker.put(KEY, value)
    checkpoint = kept.attempt(2)
    with pytest.raises(BadCheckpoint, match=said):
        await checkpoint.load()
    await keep(checkpoint, b"anew")
    assert await kept.attempt(3).load() == b"anew"


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
        await keep(checkpoint, data)
    assert [record.__dict__["error"] for record in caplog.records] == ["no answer"]
    assert await Checkpoints(store).of(MATH, "t1", 2).load() == b"three"
