"""Of a burst, a few begin at a time; who waits for something else stands in nobody's way."""

import asyncio

import pytest

from runtime.worker.pace import Pace

BURST = 20


class Begun:
    """What has a place, in the order in which it got one, until it is let end."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.names: list[int] = []
        self._ends = [asyncio.Event() for _ in range(BURST)]

    async def work(self, name: int) -> None:
        async with self._pace.place():
            self.names.append(name)
            await self._ends[name].wait()

    def end(self, name: int) -> None:
        self._ends[name].set()


async def _passes(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_few_begin_and_each_end_lets_the_next_one_in() -> None:
    begun = Begun(Pace(at_once=3, seconds=60))
    async with asyncio.TaskGroup() as group:
        for name in range(BURST):
            group.create_task(begun.work(name))
        await _passes(BURST)
        assert begun.names == [0, 1, 2]
        begun.end(1)
        await _passes(BURST)
        assert begun.names == [0, 1, 2, 3]
        for name in range(BURST):
            begun.end(name)
    assert begun.names == list(range(BURST))


async def test_who_only_waits_keeps_no_place() -> None:
    begun = Begun(Pace(at_once=1, seconds=0.001))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for name in range(BURST):
            group.create_task(begun.work(name))
        while len(begun.names) < BURST:
            await asyncio.sleep(0.001)
        for name in range(BURST):
            begun.end(name)


async def test_a_place_is_given_up_once() -> None:
    begun = Begun(Pace(at_once=1, seconds=0.001))
    waiting = [asyncio.create_task(begun.work(name)) for name in range(2)]
    async with asyncio.timeout(5):
        while len(begun.names) < len(waiting):
            await asyncio.sleep(0.001)
    begun.end(0)  # long after its place went to the second one
    begun.end(1)
    await asyncio.gather(*waiting)
    last = [asyncio.create_task(begun.work(name)) for name in (2, 3)]
    await asyncio.sleep(0)
    assert begun.names == [0, 1, 2]
    for each in last:
        each.cancel()
    await asyncio.gather(*last, return_exceptions=True)


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
async def test_a_place_outlives_no_work(ending: str) -> None:
    pace = Pace(at_once=1, seconds=60)

    async def fails() -> None:
        async with pace.place():
            await asyncio.sleep(0)
            raise ValueError("broken")

    work = asyncio.create_task(fails())
    await asyncio.sleep(0)
    if ending == "cancelled":
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    async with asyncio.timeout(1), pace.place():
        pass
