"""Saves of one run at the same time, and saves that its end or a later attempt overtakes."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest

from runtime.state.checkpoints import forget
from runtime.state.parts import PART_BYTES
from runtime.tests.state.kept import MATH, NOISE, Kept, keep, kept, saved, together

__all__ = ["kept"]  # a fixture

LARGE = 2 * PART_BYTES  # three parts, as nothing shrinks


@pytest.mark.parametrize(("size", "parts"), [(0, 0), (LARGE, 3)])
async def test_the_save_that_was_asked_for_last_is_kept(kept: Kept, size: int, parts: int) -> None:
    rest = NOISE.randbytes(size)
    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"0" + rest)
    for _ in range(3):
        await together(checkpoint, [b"%d" % number + rest for number in range(1, 8)])
        assert await kept.found() == b"7" + rest
    assert await kept.keys() == saved(1, 7, parts)


async def test_a_save_that_is_late_does_not_write_over_a_newer_one(kept: Kept) -> None:
    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"0")
    kept.worker.hold("update")
    async with kept.worker.saving(checkpoint, b"older"):
        newer = asyncio.create_task(keep(checkpoint, b"newer"))
        await asyncio.wait({newer}, timeout=0.1)  # which is enough where nothing holds it up
    await newer
    assert await kept.found() == b"newer"


async def test_saves_that_wait_take_one_together(kept: Kept) -> None:
    written: list[int] = []

    def writing(number: int) -> Callable[[], bytes]:
        def write() -> bytes:
            written.append(number)
            return b"%d" % number

        return write

    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"0")
    kept.worker.hold("update")
    async with kept.worker.saving(checkpoint, b"1"):
        waiting = [asyncio.create_task(checkpoint.save(writing(number))) for number in range(2, 7)]
        await asyncio.sleep(0)  # so that all of them have asked
    await asyncio.gather(*waiting)
    assert written == [6]
    assert await kept.found() == b"6"


async def test_what_cannot_be_written_harms_no_other_save(kept: Kept) -> None:
    def failing() -> bytes:
        raise TypeError("no JSON")

    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"0")
    kept.worker.hold("update")
    async with kept.worker.saving(checkpoint, b"1"):
        failed = asyncio.create_task(checkpoint.save(failing))
        await asyncio.sleep(0)
    with pytest.raises(TypeError, match="no JSON"):
        await failed
    assert await kept.found() == b"1"
    await keep(checkpoint, b"2")
    assert await kept.found() == b"2"


@pytest.mark.parametrize("size", [0, LARGE])
async def test_who_waits_for_a_save_that_is_cancelled_saves(kept: Kept, size: int) -> None:
    rest = NOISE.randbytes(size)
    checkpoint = kept.attempt(1)
    await keep(checkpoint, b"0")
    kept.worker.hold("update")
    cancelled = asyncio.create_task(keep(checkpoint, b"1" + rest))
    await asyncio.wait_for(kept.worker.arrived.wait(), 5)
    waiting = asyncio.create_task(keep(checkpoint, b"2" + rest))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait_for(waiting, 5)
    assert await kept.found() == b"2" + rest
    assert await kept.keys() == saved(1, 3, 3 if size else 0)


async def test_the_loop_goes_on_while_a_large_state_is_compressed(kept: Kept) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    kept.worker.hold("put")
    turning = asyncio.create_task(turn())
    async with kept.worker.saving(kept.attempt(1), NOISE.randbytes(4 * PART_BYTES)):
        turning.cancel()
    assert turns > 20


@pytest.mark.parametrize("write", range(1, 4))
async def test_a_save_that_the_end_of_its_run_overtakes_leaves_nothing(
    kept: Kept, write: int
) -> None:
    checkpoint = kept.attempt(1)
    await keep(checkpoint, NOISE.randbytes(LARGE))
    kept.worker.hold("put", write)
    async with kept.worker.saving(checkpoint, NOISE.randbytes(LARGE)):
        await forget(kept.dispatcher, MATH, "t1")
    assert await kept.keys() == set()
    await keep(checkpoint, b"more")
    assert await kept.keys() == set()


@pytest.mark.parametrize("verb", ["put", "update"])
async def test_a_save_that_a_later_attempt_overtakes_leaves_nothing(
    kept: Kept, verb: Literal["put", "update"]
) -> None:
    first, second = kept.attempt(1), kept.attempt(2)
    await keep(first, NOISE.randbytes(LARGE))
    kept.worker.hold(verb)
    async with kept.worker.saving(first, NOISE.randbytes(LARGE)):
        await second.load()
        await keep(second, b"two")
    assert await kept.keys() == saved(2, 2, 0)
    assert await kept.found() == b"two"


async def test_the_worker_s_own_end_waits_for_a_save_and_forbids_the_next(kept: Kept) -> None:
    checkpoint = kept.attempt(1)
    await keep(checkpoint, NOISE.randbytes(LARGE))
    kept.worker.hold("update")
    async with kept.worker.saving(checkpoint, NOISE.randbytes(LARGE)):
        waiting = asyncio.create_task(keep(checkpoint, b"more"))
        dropping = asyncio.create_task(checkpoint.drop())
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(waiting, dropping), 5)
    await keep(checkpoint, b"still more")
    assert await kept.keys() == set()
