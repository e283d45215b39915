"""Ends of runs, of which there is one."""

import time

import pytest

from runtime.contract.messages import Cancelled, Completed, Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket, run_key
from runtime.contract.value import ObjectName
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Store

MATH = ObjectName(namespace="team", name="math")


@pytest.fixture
def store() -> Store:
    queue = MemoryQueue(ObjectName(namespace="team", name="default"))
    return queue.link().store(Bucket.RUNS)


async def begun(runs: Runs) -> Held:
    task = Task(
        id="t1",
        stack=ObjectName(namespace="team", name="default"),
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
