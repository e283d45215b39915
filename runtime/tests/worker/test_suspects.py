"""Work that loses its workers is under way alone of its kind, but for while it waits."""

import asyncio
import contextlib
from contextlib import AsyncExitStack

import pytest

from runtime.worker.suspects import Busy, Suspects

MOST = 3
FEW, MANY = 1, 2


async def is_free(suspects: Suspects) -> bool:
    with contextlib.suppress(Busy):
        async with suspects.apart("another", MANY, MOST):
            return True
    return False


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_of_two_that_lost_many_one_has_to_come_again() -> None:
    suspects = Suspects()
    async with suspects.apart("a", MANY, MOST):
        with pytest.raises(Busy):
            await suspects.apart("b", MANY, MOST).__aenter__()
        async with suspects.apart("c", FEW, MOST):
            pass
    assert await is_free(suspects)


async def test_who_waits_stands_back_until_the_last_of_its_waits() -> None:
    suspects = Suspects()
    async with suspects.apart("a", MANY, MOST), AsyncExitStack() as later:
        await later.enter_async_context(suspects.waiting("a"))
        async with suspects.waiting("a"):
            assert await is_free(suspects)
        assert await is_free(suspects)
        await later.aclose()
        assert not await is_free(suspects)
    assert await is_free(suspects)


async def test_who_is_back_goes_on_when_no_other_is_under_way() -> None:
    suspects, answered, back = Suspects(), asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        async with suspects.apart("a", MANY, MOST):
            async with suspects.waiting("a"):
                await answered.wait()
            back.set()

    asking = asyncio.create_task(ask())
    await settled()
    async with suspects.apart("b", MANY, MOST):
        answered.set()
        await settled()
        assert not back.is_set()
    await asking
    assert back.is_set()
    assert await is_free(suspects)


async def test_who_is_cancelled_while_it_waits_ends_at_once() -> None:
    suspects = Suspects()

    async def ask() -> None:
        async with suspects.apart("a", MANY, MOST), suspects.waiting("a"):
            await asyncio.Event().wait()

    asking = asyncio.create_task(ask())
    await settled()
    async with suspects.apart("b", MANY, MOST):
        asking.cancel()
        await asyncio.wait({asking}, timeout=1)
        assert asking.cancelled()
    assert await is_free(suspects)


async def test_a_wait_that_outlives_its_work_takes_no_place() -> None:
    suspects = Suspects()
    async with AsyncExitStack() as later:
        async with suspects.apart("a", MANY, MOST):
            await later.enter_async_context(suspects.waiting("a"))
        await later.aclose()
    assert await is_free(suspects)


async def test_who_is_no_suspect_waits_as_it_likes() -> None:
    suspects = Suspects()
    async with suspects.apart("b", MANY, MOST), suspects.waiting("a"):
        assert not await is_free(suspects)
