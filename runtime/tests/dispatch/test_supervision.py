"""Ends that no worker writes, and the order of a conversation."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import override

import pytest

from runtime.contract.catalogue import WhenBusy
from runtime.contract.keys import checkpoint_key, checkpoint_part
from runtime.contract.messages import (
    Cancelled,
    Completed,
    Event,
    Failed,
    FailureReason,
    Started,
    Task,
)
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket, Stream
from runtime.dispatch import supervision
from runtime.dispatch.decide import CANCEL_SECONDS, GRACE_SECONDS, PHANTOM_SECONDS
from runtime.dispatch.ends import Ends
from runtime.dispatch.fence import FencedStore
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.loop import Dispatcher
from runtime.dispatch.ports import Ports
from runtime.dispatch.turns import Turns
from runtime.state.checkpoints import Checkpoints
from runtime.state.conversation_head import Admitted, Waits
from runtime.state.runs import Runs, StaleAttempt
from runtime.tests.dispatch.scene import (
    ADD,
    MATH,
    SUBJECTS,
    Scene,
    crash_after,
    new_task,
    stack_config,
    until,
)
from runtime.transport.port import Entry, Inbox, Stopped

QUEUED, WAITING, RUNNING = RunState.QUEUED, RunState.WAITING, RunState.RUNNING


@pytest.mark.parametrize(
    ("state", "seconds", "why"),
    [
        pytest.param(QUEUED, 0.5, "no worker of team/math took it", id="queued"),
        pytest.param(WAITING, 0.5, "its conversation was busy all the time", id="waiting"),
        pytest.param(RUNNING, 0.5 - GRACE_SECONDS, "its worker w was not heard of", id="running"),
    ],
)
async def test_a_run_ends_at_its_deadline_without_a_worker(
    scene: Scene, state: RunState, seconds: float, why: str
) -> None:
    task = new_task(seconds=seconds)
    async with scene.dispatching():
        await scene.accept(task, state, worker="w")
        record = await scene.ended(task)
        event = await scene.told(task)

    assert record.ended is not None
    assert 0 <= record.ended - (task.deadline + max(0, 0.5 - seconds)) < 0.5
    assert (record.state, record.reason) == (RunState.FAILED, FailureReason.TIMED_OUT)
    assert why in (record.message or "")
    assert event == Failed(
        task=task.id,
        attempt=1,
        seq=1,
        reason=FailureReason.TIMED_OUT,
        message=str(record.message),
    )


@pytest.mark.parametrize("by", ["a worker", "the dispatcher"])
async def test_nothing_is_kept_of_a_run_that_did_not_end_well(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr("runtime.dispatch.book.TELLING_SECONDS", 0.1)
    task = new_task(seconds=60 if by == "a worker" else 0.3 - GRACE_SECONDS)
    kept = scene.caller.store(Bucket.CHECKPOINTS)
    held = await scene.accept(task, RUNNING, worker="w", attempt=1)
    await Checkpoints(kept).of(MATH, task.id, 1).save(lambda: b"so far")
    keys = (checkpoint_key(MATH, task.id), checkpoint_part(MATH, task.id, 1, 2, 0))
    await kept.put(keys[1], b"of a save that came to no end")
    async with scene.dispatching():
        if by == "a worker":
            reason = FailureReason.AGENT_ERROR
            end = Failed(task=task.id, attempt=1, seq=1, reason=reason, message="no")
            await Runs(scene.caller.store(Bucket.RUNS)).end(held, end)

        async def nothing() -> bool:
            return not any([await kept.get(key) for key in keys])

        await until(nothing)
    assert (await scene.held(task)).record.state is RunState.FAILED


@pytest.mark.parametrize("state", [QUEUED, WAITING])
async def test_a_run_that_no_worker_has_begun_is_cancelled_at_once(
    scene: Scene, state: RunState
) -> None:
    task = new_task()
    await scene.accept(task, state)
    async with scene.dispatching():
        await scene.cancel(task)
        record = await scene.ended(task, seconds=2)
        event = await scene.told(task)

    assert record.state is RunState.CANCELLED
    assert event == Cancelled(task=task.id, attempt=1, seq=1)


async def test_a_worker_has_time_to_cancel_by_itself(scene: Scene) -> None:
    task = new_task()
    await scene.accept(task, RUNNING, attempt=1)
    async with scene.dispatching():
        await scene.cancel(task)
        await asyncio.sleep(0.3)  # several looks of the dispatcher

        assert (await scene.held(task)).record.state is RUNNING
    assert CANCEL_SECONDS > 10  # the ack wait, after which another worker has it


@pytest.mark.parametrize("state", [QUEUED, WAITING])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.fault(19)
async def test_no_run_of_an_agent_that_is_deleted_is_begun(
    scene: Scene, state: RunState, *, late: bool
) -> None:
    task = new_task()
    other = new_task().model_copy(update={"agent": ADD})
    await scene.accept(other)
    if late:  # the server had not heard of it yet
        await scene.tell_of(MATH, cancelling=True)
    async with scene.dispatching():
        await scene.accept(task, state)
        await scene.tell_of(ADD, cancelling=False)
        await scene.tell_of(MATH, cancelling=True)
        record = await scene.ended(task, seconds=2)
        event = await scene.told(task)

    assert record.state is RunState.CANCELLED
    assert event == Cancelled(task=task.id, attempt=1, seq=1)
    assert not (await scene.held(other)).record.cancel_requested


@pytest.mark.parametrize("inherited", [True, False])
@pytest.mark.fault(19)
async def test_the_worker_of_an_agent_that_is_deleted_ends_its_runs(
    scene: Scene, *, inherited: bool
) -> None:
    task = new_task()
    held = await scene.runs.begin(await scene.accept(task), "w")
    heard: asyncio.Queue[str] = asyncio.Queue()
    await scene.caller.outbox.listen(
        SUBJECTS.cancels(MATH), lambda subject, _: heard.put_nowait(subject)
    )
    if inherited:
        await scene.tell_of(MATH, cancelling=True)
    async with scene.dispatching():
        await scene.tell_of(MATH, cancelling=True)
        async with asyncio.timeout(2):
            assert await heard.get() == SUBJECTS.cancel(MATH, task.id)
        now = await scene.held(task)
        assert now.record.cancel_requested
        await scene.runs.end(now, Cancelled(task=task.id, attempt=1, seq=1))
        record = await scene.ended(task, seconds=2)

    assert heard.empty()
    assert (record.state, record.attempt) == (RunState.CANCELLED, held.record.attempt)


async def test_the_end_of_a_run_comes_after_everything_else(scene: Scene) -> None:
    task = new_task(seconds=0.3 - GRACE_SECONDS)
    held = await scene.accept(task)
    held = await scene.runs.begin(held, "w")
    started = Started(task=task.id, attempt=1, seq=4, worker="w")
    await scene.caller.outbox.publish(
        SUBJECTS.events(task.agent, task.origin, task.id), started.encode()
    )

    async with scene.dispatching():
        await scene.ended(task)
        await until(lambda: at_least(scene, task, 2))

    _, end = await scene.events(task)
    assert isinstance(end, Failed)
    assert (end.attempt, end.seq) == (1, 5)


async def at_least(scene: Scene, task: Task, events: int) -> bool:
    return len(await scene.events(task)) >= events


async def test_a_record_that_a_lagging_copy_does_not_have_is_looked_for_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "MISSING_SECONDS", 0.2)
    task = new_task(seconds=0.2)
    await scene.accept(task)
    stopping = asyncio.Event()
    async with scene.ports() as ports:
        late = replace(ports, runs=Lagging(ports.runs, lambda: None, [None]))
        dispatching = asyncio.create_task(Dispatcher(stack_config(), late).run(stopping))
        record = await scene.ended(task)
        stopping.set()
        await dispatching

    assert record.reason is FailureReason.TIMED_OUT


@dataclass(frozen=True, slots=True)
class Lagging(FencedStore):
    """A bucket whose copy is `behind` for so many reads."""

    behind: list[None]

    @override
    async def get(self, key: str) -> Entry | None:
        return self.behind.pop() if self.behind else await self.store.get(key)


async def test_a_late_worker_finds_the_end(scene: Scene) -> None:
    task = new_task(seconds=0.2)
    held = await scene.accept(task)
    async with scene.dispatching():
        await scene.ended(task)

    with pytest.raises(StaleAttempt):
        await scene.runs.begin(held, "late")


async def test_an_end_that_was_written_and_not_told_is_told(scene: Scene) -> None:
    """The dispatcher before died in between."""
    untold = [new_task() for _ in range(3)]
    await scene.accept(untold[0], RunState.CANCELLED, ended=time.time() - 60)
    failed = {"reason": FailureReason.TIMED_OUT, "message": "late", "ended": time.time() - 60}
    await scene.accept(untold[1], RunState.FAILED, **failed)
    await scene.accept(untold[2], RunState.FAILED, **failed)
    done = Cancelled(task=untold[0].id, attempt=1, seq=1)
    subject = SUBJECTS.events(untold[0].agent, untold[0].origin, untold[0].id)
    await scene.caller.outbox.publish(subject, done.encode())

    async with scene.dispatching():
        events: list[Event] = [await scene.told(task) for task in untold]
        await asyncio.sleep(0.3)  # for what would be told twice, wrongly

    assert [type(event) for event in events] == [Cancelled, Failed, Failed]
    assert [len(await scene.events(task)) for task in untold] == [1, 1, 1]


async def work(scene: Scene, inbox: Inbox, order: list[str]) -> None:
    """A worker that answers with what it heard before."""
    while True:
        try:
            delivery = await inbox.next()
        except Stopped:
            return
        task = Task.decode(delivery.data)
        held = await scene.held(task)
        if held.record.state.is_end:
            await delivery.ack()
            continue
        held = await scene.runs.begin(held, "w")
        order.append(task.input[0].text)
        await asyncio.sleep(random.random() * 0.02)
        heard = " ".join(message.text for message in task.history[::2])
        end = Completed(task=task.id, attempt=1, seq=1, text=heard)
        with contextlib.suppress(StaleAttempt):
            await scene.runs.end(held, end)
        await delivery.ack()


@contextlib.asynccontextmanager
async def worker(scene: Scene) -> AsyncIterator[list[str]]:
    """A worker with three slots; what it began, in order."""
    order: list[str] = []
    inbox = await scene.tasks()
    working = [asyncio.create_task(work(scene, inbox, order)) for _ in range(3)]
    yield order
    await inbox.stop()
    await asyncio.gather(*working)


async def test_a_conversation_is_in_order_however_it_is_asked(scene: Scene) -> None:
    await scene.conversations.open("c", "ann")
    async with scene.dispatching(), worker(scene) as order:
        submitted = await asyncio.gather(*(scene.submit(f"q{n}", "c") for n in range(12)))
        for task, _ in submitted:
            await scene.ended(task, seconds=20)
        await until(lambda: idle(scene))

    tasks = sorted((task for task, _ in submitted), key=lambda task: task.sequence or 0)
    questions = [task.input[0].text for task in tasks]
    assert order == questions
    texts = [(await scene.held(task)).record.text for task in tasks]
    assert texts == [" ".join(questions[:n]) for n in range(12)]
    history = await scene.conversations.history("c")
    assert [message.text for message in history[::2]] == questions
    assert await scene.read(Stream.TASKS) == []


async def idle(scene: Scene) -> bool:
    return await scene.conversations.turn("c") is None


async def test_who_is_cancelled_in_line_lets_the_others_go_on(scene: Scene) -> None:
    await scene.conversations.open("c", "ann")
    first, second, third = [(await scene.submit(f"q{n}", "c"))[0] for n in range(3)]
    async with scene.dispatching():
        await scene.cancel(second)
        await scene.ended(second)
        await scene.cancel(first)
        await scene.ended(first)

        async def released() -> bool:
            return (await scene.held(third)).record.state is QUEUED

        await until(released)

    subjects = [Task.decode(stored.data).id for stored in await scene.read(Stream.TASKS)]
    assert subjects == [first.id, third.id]
    record = (await scene.held(third)).record
    assert record.task.sequence == 3


async def test_a_place_whose_server_died_holds_nobody_up(scene: Scene) -> None:
    """It was admitted, and no run record was ever written."""
    await scene.conversations.open("c", "ann")
    ghost = new_task(conversation="c")
    admission = await scene.conversations.admit(
        "c",
        "ann",
        ghost.id,
        agent=ghost.agent,
        when_busy=WhenBusy.QUEUE,
        now=time.time() - PHANTOM_SECONDS,
        deadline=ghost.deadline,
    )
    assert isinstance(admission, Admitted)
    task, admission = await scene.submit("q", "c")
    assert isinstance(admission, Waits)

    async with scene.dispatching(), worker(scene):
        assert (await scene.ended(task)).state is RunState.COMPLETED


@pytest.mark.parametrize("steps", range(5))
async def test_a_crash_after_any_step_releases_once(scene: Scene, steps: int) -> None:
    await scene.conversations.open("c", "ann")
    first, _ = await scene.submit("q1", "c")
    second, _ = await scene.submit("q2", "c")
    held = await scene.runs.begin(await scene.held(first), "w")
    await scene.runs.end(held, Completed(task=first.id, attempt=1, seq=1, text="a1"))

    async with scene.ports() as ports:
        with contextlib.suppress(LeadershipLost):
            await look(ports.fenced(crash_after(steps)))
        await look(ports)
        await look(ports)

    released = [Task.decode(stored.data) for stored in await scene.read(Stream.TASKS)][1:]
    assert [task.id for task in released] == [second.id]
    assert [message.text for message in released[0].history] == ["q1", "a1"]
    assert (await scene.held(second)).record.state is QUEUED
    assert (await scene.held(second)).record.task.history == ()
    place = await scene.conversations.turn("c")
    assert place is not None
    assert place.released


async def look(ports: Ports) -> None:
    await Turns(ports, Ends(ports)).look("c", time.time())


async def test_what_is_released_fits_into_the_queue(scene: Scene) -> None:
    """A long history gives way to a long question."""
    await scene.conversations.open("c", "ann")
    answer, question = "a" * 300_000, "q" * 300_000
    first, _ = await scene.submit("q1", "c")
    second, _ = await scene.submit(question, "c")
    held = await scene.runs.begin(await scene.held(first), "w")
    await scene.runs.end(held, Completed(task=first.id, attempt=1, seq=1, text=answer))

    async with scene.ports() as ports:
        await look(ports)

    *_, released = [Task.decode(stored.data) for stored in await scene.read(Stream.TASKS)]
    assert released.id == second.id
    assert released.input[0].text == question
    assert released.history == ()
