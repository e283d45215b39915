"""Ends of runs, of which there is one."""

import time
from pathlib import Path

import pytest

from controller.desired.nats import MAX_PAYLOAD_BYTES
from runtime.contract.approval import MOST_REASON, Approval, Verdict
from runtime.contract.keys import run_key
from runtime.contract.messages import Cancelled, Completed, Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import PayloadTooLarge, Store

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")


@pytest.fixture
def store() -> Store:
    queue = MemoryQueue(STACK)
    return queue.link().store(Bucket.RUNS)


async def begun(runs: Runs) -> Held:
    task = Task(
        id="t1",
        stack=STACK,
        agent=MATH,
        origin="here",
        input=(Message(role=Role.USER, text="?"),),
        created=1.0,
        deadline=time.time() + 60,
    )
    return await runs.begin(await runs.accept(RunRecord(task=task)), "w1")


async def wish_to_cancel(store: Store, held: Held) -> None:
    asked = held.record.model_copy(update={"cancel_requested": True})
    await store.update(run_key(MATH, "t1"), asked.encode(), held.revision)


@pytest.mark.parametrize(
    ("end", "state"),
    [
        pytest.param(Cancelled(task="t1", attempt=1, seq=2), RunState.CANCELLED, id="as wished"),
        pytest.param(
            Completed(task="t1", attempt=1, seq=2, text="5"), RunState.COMPLETED, id="just done"
        ),
    ],
)
async def test_who_runs_a_task_ends_it_though_somebody_asked_to_cancel(
    store: Store, end: Cancelled | Completed, state: RunState
) -> None:
    runs = Runs(store)
    held = await begun(runs)
    await wish_to_cancel(store, held)

    ended = await runs.end(held, end)

    assert ended.record.state is state
    found = await runs.get(MATH, "t1")
    assert found is not None
    assert found.record == ended.record


async def test_another_attempt_makes_an_end_stale(store: Store) -> None:
    runs = Runs(store)
    first = await begun(runs)
    second = await runs.begin(first, "w2")
    await wish_to_cancel(store, second)

    with pytest.raises(StaleAttempt):
        await runs.end(first, Completed(task="t1", attempt=1, seq=2, text="5"))


def needing(count: int, size: int) -> tuple[Approval, ...]:
    expires = time.time() + 60
    return tuple(
        Approval(call=f"c{number}", function="add", arguments="x" * size, expires=expires)
        for number in range(count)
    )


@pytest.mark.integration
@pytest.mark.parametrize("calls", [1, 20])
async def test_a_record_that_could_be_parked_takes_every_decision(
    tmp_path: Path, calls: int
) -> None:
    """The largest that the queue takes; one that is a little larger is refused at once."""
    async with running_stack(STACK, tmp_path) as nats, nats.link_as(await nats.agent("math")) as on:
        runs = Runs(on.store(Bucket.RUNS))
        held = await begun(runs)
        small = held.record.parking(needing(calls, 0), time.time())
        headers = 200  # NATS counts them, too
        left = MAX_PAYLOAD_BYTES - len(small.encode()) - small.room_bytes - headers
        with pytest.raises(PayloadTooLarge):
            await runs.park(held, needing(calls, left // calls + 300))

        held = await runs.park(held, needing(calls, left // calls - 10))
        record, revision = held.record, held.revision
        assert len(record.encode()) > MAX_PAYLOAD_BYTES - calls * 6.1 * MOST_REASON - 3000
        for number in range(calls):
            record = record.deciding(
                number,
                Verdict.DENIED,
                by=record.task.user,
                reason="\x1b" * MOST_REASON,
                now=2e9 / 3,
            )
        resumed = record.resuming(time.time()).beginning("worker-" * 8, time.time())
        await on.store(Bucket.RUNS).update(run_key(MATH, "t1"), resumed.encode(), revision)
        found = await runs.get(MATH, "t1")
    assert found is not None
    assert found.record == resumed
