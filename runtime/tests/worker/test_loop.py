"""A worker settles each delivery once, also those that it has only just taken."""

import asyncio

import pytest

from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Delivery
from runtime.worker.loop import Worker
from runtime.worker.outcomes import Outcome
from runtime.worker.pace import Pace

AGENT = ObjectName(namespace="ns", name="math")
AT_ONCE, BURST = 3, 10


class Endless:
    """A handler whose work never ends."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.full = asyncio.Event()

    async def handle(self, delivery: Delivery) -> Outcome:
        self.begun.append(delivery.sequence)
        if len(self.begun) == AT_ONCE:
            self.full.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")


async def test_what_waits_for_its_turn_goes_back_with_the_rest() -> None:
    queue = MemoryQueue(ObjectName(namespace="ns", name="stack"))
    queue.add_durable(Stream.TASKS, "math-1", queue.subjects.tasks(AGENT))
    link = queue.link()
    for _ in range(BURST):
        await link.outbox.publish(queue.subjects.tasks(AGENT), b"{}")
    handler = Endless()
    pace = Pace(at_once=AT_ONCE, seconds=60)
    worker = Worker([link.inbox(Stream.TASKS, "math-1")], handler, pace)
    working = asyncio.create_task(worker.run())
    await asyncio.wait_for(handler.full.wait(), 5)
    for _ in range(10 * BURST):  # the others are taken as well
        await asyncio.sleep(0)

    await worker.drain(0)

    await working
    assert handler.begun == list(range(1, AT_ONCE + 1))
    inbox = link.inbox(Stream.TASKS, "math-1")
    again = [await asyncio.wait_for(inbox.next(), 5) for _ in range(BURST)]
    assert sorted(each.sequence for each in again) == list(range(1, BURST + 1))
    assert {each.number for each in again} == {2}


@pytest.mark.fault(4)
async def test_a_worker_takes_from_each_of_its_queues_and_drains_all() -> None:
    """What is in one does not wait for the other, and of both nothing is lost."""
    queue = MemoryQueue(ObjectName(namespace="ns", name="stack"))
    subjects = {"math-1": queue.subjects.tasks(AGENT), "math-1_asked": queue.subjects.asked(AGENT)}
    link, handler = queue.link(), Endless()
    for durable, subject in subjects.items():
        queue.add_durable(Stream.TASKS, durable, subject)
    worker = Worker([link.inbox(Stream.TASKS, durable) for durable in subjects], handler)
    working = asyncio.create_task(worker.run())
    await link.outbox.publish(subjects["math-1"], b"{}")
    for _ in range(AT_ONCE - 1):
        await link.outbox.publish(subjects["math-1_asked"], b"{}")
    await asyncio.wait_for(handler.full.wait(), 5)

    await worker.drain(0)

    await working
    for durable, left in (("math-1", 1), ("math-1_asked", AT_ONCE - 1)):
        inbox = link.inbox(Stream.TASKS, durable)
        again = [await asyncio.wait_for(inbox.next(), 5) for _ in range(left)]
        assert {each.number for each in again} == {2}
