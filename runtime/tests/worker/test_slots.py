"""How much a worker takes while some of its runs wait for other agents."""

import asyncio
import contextlib

import pytest

from runtime.contract.messages import LONGEST_CHAIN, Asked, Task
from runtime.contract.value import ObjectName
from runtime.worker.slots import MOST_LENT, Places, Slots

MATH = ObjectName(namespace="ns", name="math")
ASKED = Asked(call="k", task="t", worker="w", chain=(MATH,), deadline=1)


def task(task_id: str) -> Task:
    return Task(id=task_id, stack=MATH, agent=MATH, origin="o", input=(), created=0, deadline=1)


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
    slots = Places.with_own(own).asked
    held = 0
    async with contextlib.AsyncExitStack() as runs:
        for depth in range(LONGEST_CHAIN):
            while slots.admits(depth):
                runs.enter_context(slots.hold())
                await runs.enter_async_context(slots.lent(f"r{held}"))
                held += 1
                assert slots.count > held or not slots.admits(LONGEST_CHAIN - 1)
            assert held == own + MOST_LENT + depth
    assert held == slots.most
    assert (slots.count, slots.admits(0)) == (own, True)


@pytest.mark.parametrize("own", [1, 4])
async def test_a_task_of_a_client_that_is_taken_is_admitted(own: int) -> None:
    """Nothing of clients is pulled that would have to be handed back."""
    slots = Places.with_own(own).clients
    held = 0
    async with contextlib.AsyncExitStack() as runs:
        while slots.count > held:
            assert slots.admits(0)
            runs.enter_context(slots.hold())
            await runs.enter_async_context(slots.lent(f"r{held}"))
            held += 1
    assert held == slots.most == own + MOST_LENT


async def test_a_run_lends_a_place_for_tasks_of_its_own_kind() -> None:
    """Runs of clients that wait make no place for what agents have asked for: it has its own."""
    places = Places.with_own(1)
    of_client, of_agent = task("c"), task("a").model_copy(update={"asked": ASKED})
    async with places.lent(of_client):
        assert (places.clients.count, places.asked.count) == (2, 1)
        async with places.lent(of_agent):
            assert (places.clients.count, places.asked.count) == (2, 2)
    assert (places.clients.count, places.asked.count) == (1, 1)
