"""How much a worker takes while some of its runs wait for other agents."""

import asyncio

import pytest

from runtime.contract.messages import LONGEST_CHAIN
from runtime.worker.slots import MOST_LENT, Slots


class Source:
    """Where the work comes from: remembers how much it may hand out."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def resize(self, slots: int) -> None:
        self.sizes.append(slots)


async def test_a_run_that_waits_lends_its_place_and_takes_it_back() -> None:
    slots, source = Slots(2), Source()
    slots.supply(source)
    async with slots.lent("a"):
        assert slots.count == 3
        async with slots.lent("b"):
            assert slots.count == 4
    assert source.sizes == [3, 4, 3, 2]


async def test_a_run_that_waits_for_several_agents_lends_one_place() -> None:
    slots = Slots(1)
    async with slots.lent("a"), slots.lent("a"):
        assert slots.count == 2
    assert slots.count == 1


async def test_a_run_that_is_cancelled_takes_its_place_back() -> None:
    slots, waits = Slots(1), asyncio.Event()

    async def run() -> None:
        async with slots.lent("a"):
            waits.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    await waits.wait()
    assert slots.count == 2
    running.cancel()
    await asyncio.wait({running})
    assert slots.count == 1


@pytest.mark.parametrize("own", [1, 4])
async def test_full_of_those_who_wait_there_is_a_place_for_whom_they_wait(own: int) -> None:
    """At each step down a chain one more is admitted, and what is admitted is also taken."""
    slots = Slots(own)
    held = 0
    for depth in range(LONGEST_CHAIN):
        while slots.admits(held, depth):
            await slots.lent(f"r{held}").__aenter__()
            held += 1
            assert slots.count > held or not slots.admits(held, LONGEST_CHAIN - 1)
        assert held == own + MOST_LENT + depth
