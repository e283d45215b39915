"""Parked runs in the hands of the dispatcher."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, override

import pytest

from runtime.contract.approval import Approval, Verdict
from runtime.contract.catalogue import WhenBusy
from runtime.contract.keys import run_key
from runtime.contract.messages import Cancelled, Message, Role, Task
from runtime.contract.runs import RESUMPTION, RunRecord, RunState
from runtime.contract.subjects import Bucket, Stream
from runtime.dispatch.decide import UNPUBLISHED_SECONDS
from runtime.dispatch.ends import Ends
from runtime.dispatch.fence import FencedOutbox
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.parked import Parked
from runtime.dispatch.supervision import Supervision
from runtime.dispatch.turns import KNOWN_SECONDS
from runtime.state.conversation_head import LAPSE_SECONDS, Waits
from runtime.tests.dispatch.scene import MATH, USER, Scene, crash_after, new_task, until
from runtime.transport.port import Headers, Published, QueueFull


def approval(call: str = "c1", seconds: float = 60, verdict: Verdict | None = None) -> Approval:
    expires = time.time() + seconds
    return Approval(call=call, function="add", arguments="{}", expires=expires, verdict=verdict)


async def park(
    scene: Scene, *approvals: Approval, task: Task | None = None, ago: float = 10, **facts: Any
) -> Task:
    """A run that a worker has begun and parked `ago` seconds before now."""
    task = task or new_task(seconds=1)
    running = RunRecord(task=task, state=RunState.RUNNING, attempt=1, worker="w")
    parked = running.parking(approvals, time.time() - ago).model_copy(update=facts)
    await scene.link.store(Bucket.RUNS).put(run_key(MATH, task.id), parked.encode())
    return task


async def decide(scene: Scene, task: Task, number: int, verdict: Verdict) -> None:
    """What the server does."""
    held = await scene.held(task)
    record = held.record.deciding(number, verdict, by="ann", reason=None, now=time.time())
    key = run_key(MATH, task.id)
    await scene.link.store(Bucket.RUNS).update(key, record.encode(), held.revision)


@dataclass(frozen=True, slots=True)
class Refusing(FencedOutbox):
    """The queue as it is, which tells each time that it was full."""

    refusals: asyncio.Semaphore

    @override
    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        try:
            return await self.outbox.publish(subject, data, msg_id=msg_id, headers=headers)
        except QueueFull:
            self.refusals.release()
            raise


async def queued(scene: Scene) -> list[tuple[str, str | None]]:
    stored = await scene.read(Stream.TASKS)
    return [(Task.decode(one.data).id, one.headers.get(RESUMPTION)) for one in stored]


async def test_a_run_goes_on_once_everything_is_decided_and_its_clock_stood_still(
    scene: Scene,
) -> None:
    task = await park(scene, approval(), approval("c2"))
    async with scene.dispatching():
        await decide(scene, task, 0, Verdict.APPROVED)
        await decide(scene, task, 1, Verdict.DENIED)

        async def in_queue() -> bool:
            return bool(await queued(scene))

        await until(in_queue)
    assert await queued(scene) == [(task.id, "1")]
    record = (await scene.held(task)).record
    assert (record.state, record.spent, record.is_resumed) == (RunState.QUEUED, 0, True)
    assert 10 <= record.task.deadline - task.deadline < 12
    (stored,) = await scene.read(Stream.TASKS)
    assert Task.decode(stored.data) == record.task


async def test_an_approval_that_nobody_gives_expires_at_its_time(scene: Scene) -> None:
    task = await park(scene, approval(verdict=Verdict.APPROVED), approval("c2", seconds=0.5))
    async with scene.dispatching():

        async def resumed() -> bool:
            return (await scene.held(task)).record.is_resumed

        await until(resumed)
    record = (await scene.held(task)).record
    assert [one.verdict for one in record.approvals] == [Verdict.APPROVED, Verdict.EXPIRED]
    assert 0 <= (record.resumed or 0) - record.approvals[1].expires < 0.5


async def test_a_parked_run_that_is_cancelled_ends_at_once(scene: Scene) -> None:
    task = await park(scene, approval())
    async with scene.dispatching():
        await scene.cancel(task)
        record = await scene.ended(task, seconds=2)
        event = await scene.told(task)
    assert record.state is RunState.CANCELLED
    assert event == Cancelled(task=task.id, attempt=1, seq=1)
    assert await queued(scene) == []


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.fault(19)
async def test_a_parked_run_of_an_agent_that_is_deleted_is_cancelled(
    scene: Scene, *, late: bool
) -> None:
    if not late:
        await scene.tell_of(MATH, cancelling=True)
    task = await park(scene, approval(verdict=Verdict.APPROVED), approval("c2"))
    async with scene.dispatching():
        if late:
            await scene.tell_of(MATH, cancelling=True)
        assert (await scene.ended(task)).state is RunState.CANCELLED


@pytest.mark.parametrize("writes", range(3))
async def test_a_leader_that_dies_while_it_resumes_leaves_one_message(
    scene: Scene, writes: int
) -> None:
    """Before the record, before the message, and after both."""
    task = await park(scene, approval(verdict=Verdict.APPROVED))
    async with scene.ports() as ports:
        dying = ports.fenced(crash_after(writes))
        try:
            await Parked(dying, Ends(dying)).resume(await scene.held(task), time.time())
        except LeadershipLost:
            assert writes < 2
    async with scene.dispatching():

        async def settled() -> bool:
            record = (await scene.held(task)).record
            return bool(await queued(scene)) and (
                writes == 0 or time.time() > (record.resumed or 0) + UNPUBLISHED_SECONDS + 0.3
            )

        await until(settled)
    assert await queued(scene) == [(task.id, "1")]


@pytest.mark.parametrize("known", [True, False])
async def test_a_copy_that_the_queue_may_have_forgotten_is_good_no_longer(
    scene: Scene, *, known: bool
) -> None:
    """Nobody knows whether the task was published; here it was."""
    now = time.time()
    resumed = now - (KNOWN_SECONDS / 2 if known else KNOWN_SECONDS + 1)
    facts: dict[str, Any] = {"state": RunState.QUEUED, "resumed": resumed, "resumptions": 1}
    task = await park(scene, approval(verdict=Verdict.APPROVED), **facts)
    async with scene.ports() as ports:
        parked = Parked(ports, Ends(ports))
        await parked._publish(await scene.held(task))
        await scene.publish(new_task())
        await parked.look(MATH, task.id, now)
        record = (await scene.held(task)).record
    copies = [number for one, number in await queued(scene) if one == task.id]
    assert copies == (["1"] if known else ["1", "2"])
    assert [record.takes(int(number or 0)) for number in copies] == (
        [True] if known else [False, True]
    )


@pytest.mark.parametrize("known_seconds", [KNOWN_SECONDS, 0.3])
async def test_a_run_goes_on_as_soon_as_a_full_queue_has_room(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, known_seconds: float
) -> None:
    """Also if it was full for longer than the queue knows a message id, and is never empty."""
    monkeypatch.setattr("runtime.dispatch.parked.KNOWN_SECONDS", known_seconds)
    monkeypatch.setattr("runtime.dispatch.book.UNPUBLISHED_SECONDS", 0.1)
    monkeypatch.setattr("runtime.dispatch.supervision.RETRY_SECONDS", 0.2)
    refusals = asyncio.Semaphore(0)
    await scene.publish(new_task())
    await scene.limit(1)
    task = await park(scene, approval(verdict=Verdict.APPROVED))
    async with scene.ports() as ports:
        full = replace(ports, outbox=Refusing(ports.outbox, lambda: None, refusals))
        work = asyncio.create_task(Supervision(full, Ends(full), event_seconds=60).run())
        async with asyncio.timeout(10):
            for _ in range(4):
                await refusals.acquire()
        assert task.id not in dict(await queued(scene))
        await scene.limit(3)

        async def in_queue() -> bool:
            return task.id in dict(await queued(scene))

        await until(in_queue, seconds=3)
        work.cancel()
        await asyncio.wait({work})
    record = (await scene.held(task)).record
    copies = [number for one, number in await queued(scene) if one == task.id]
    assert [record.takes(int(number or 0)) for number in copies] == [True]


async def test_a_full_queue_still_knows_what_it_has(scene: Scene) -> None:
    """Else a run that waits in it would be given a new number, and lose its place."""
    now = time.time()
    facts: dict[str, Any] = {"state": RunState.QUEUED, "resumed": now, "resumptions": 1}
    task = await park(scene, approval(verdict=Verdict.APPROVED), **facts)
    async with scene.ports() as ports:
        parked = Parked(ports, Ends(ports))
        await parked.look(MATH, task.id, now)
        await scene.limit(1)
        await parked.look(MATH, task.id, now)
    assert await queued(scene) == [(task.id, "1")]


async def test_a_run_in_a_conversation_keeps_its_place_and_gets_its_history_again(
    scene: Scene,
) -> None:
    said = Message(role=Role.USER, text="before")
    await scene.conversations.open("c", USER, items=(said,))
    task, _ = await scene.submit("1 + 1", "c")
    await park(scene, approval(), task=(await scene.held(task)).record.task)
    lapsed = task.deadline + LAPSE_SECONDS + 1
    async with scene.dispatching():

        async def kept() -> bool:
            place = await scene.conversations.turn("c")
            return place is not None and not place.lapsed(lapsed)

        await until(kept)
        other = new_task(conversation="c")
        admission = await scene.conversations.admit(
            "c",
            USER,
            other.id,
            agent=MATH,
            when_busy=WhenBusy.QUEUE,
            now=lapsed,
            deadline=lapsed + 60,
        )
        await decide(scene, task, 0, Verdict.APPROVED)

        async def in_queue() -> bool:
            return (task.id, "1") in await queued(scene)

        await until(in_queue)
    assert isinstance(admission, Waits)
    again = Task.decode((await scene.read(Stream.TASKS))[-1].data)
    assert again.history == (said,)
