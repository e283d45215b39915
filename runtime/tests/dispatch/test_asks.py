"""What one agent asks of another: one task, one result, whatever happens in between."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any, override

import pytest

from runtime.contract.keys import asked_task
from runtime.contract.messages import (
    Call,
    CallResult,
    Cancelled,
    Completed,
    Failed,
    FailureReason,
    Outcome,
    Task,
)
from runtime.contract.runs import REVISION, RunRecord, RunState
from runtime.contract.subjects import Stream
from runtime.dispatch.advisories import Exhausted
from runtime.dispatch.asks import Asks
from runtime.dispatch.deadletters import DeadLetters
from runtime.dispatch.ends import Ends
from runtime.dispatch.fence import FencedOutbox
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.loop import Dispatcher
from runtime.dispatch.ports import Ports
from runtime.state.runs import Held
from runtime.tests.dispatch.scene import (
    MATH,
    SUBJECTS,
    WRITER,
    Scene,
    crash_after,
    new_ask,
    new_task,
    stack_config,
    until,
)
from runtime.transport.port import Headers, Published, QueueFull


async def begun(scene: Scene, task: Task | None = None) -> Task:
    """A run of the agent that is under way."""
    made = task or new_task()
    await scene.runs.begin(await scene.accept(made), "w")
    return made


async def asking(scene: Scene, seconds: float = 60, **writer: Any) -> tuple[Task, Call]:
    """A run that is under way, and its call of the writer, which the catalogue knows."""
    task = await begun(scene)
    await scene.tell_of(WRITER, **writer)
    return task, new_ask(task, seconds=seconds)


async def child(scene: Scene, call: Call) -> Held | None:
    return await scene.runs.get(WRITER, asked_task(call.id))


async def published(scene: Scene, call: Call) -> Task:
    """The task that a call has become, once it is in the queue."""

    async def look() -> bool:
        return bool(await tasks(scene, call))

    await until(look)
    (task,) = await tasks(scene, call)
    return task


async def tasks(scene: Scene, call: Call) -> list[Task]:
    found = [Task.decode(one.data) for one in await scene.read(Stream.TASKS)]
    return [task for task in found if task.id == asked_task(call.id)]


async def held_child(scene: Scene, call: Call) -> Held:
    found = await child(scene, call)
    assert found is not None
    return found


async def write(scene: Scene, call: Call, text: str) -> None:
    """What the worker of the other agent does."""
    held = await scene.runs.begin(await held_child(scene, call), "w2")
    end = Completed(task=held.record.task.id, attempt=1, seq=1, text=text)
    await scene.runs.end(held, end)


async def asks_left(scene: Scene) -> int:
    stored = await scene.read(Stream.CALLS)
    return sum(one.subject == SUBJECTS.asks(WRITER, MATH) for one in stored)


async def none_left(scene: Scene) -> bool:
    return await asks_left(scene) == 0


async def test_a_call_becomes_a_task_and_its_end_the_result(scene: Scene) -> None:
    task, call = await asking(scene)
    woken = asyncio.Event()

    def on_wake(_: str, data: bytes) -> None:
        if data.decode() == call.id:
            woken.set()

    await scene.caller.outbox.listen(SUBJECTS.wakes(MATH), on_wake)
    async with scene.dispatching():
        await scene.publish_ask(call)
        made = await published(scene, call)
        assert (made.agent, made.user, made.input[0].text) == (WRITER, task.user, "write")
        await write(scene, call, "a poem")
        await asyncio.wait_for(woken.wait(), 5)
        result = await scene.result(call)
        await until(lambda: none_left(scene))

    assert result == CallResult(call=call.id, outcome=Outcome.SUCCEEDED, value="a poem")
    assert await scene.letters() == []


async def test_a_worker_begins_the_task_over_the_revision_that_its_message_names(
    scene: Scene,
) -> None:
    _, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        made = await published(scene, call)
    message = next(one for one in await scene.read(Stream.TASKS) if one.data == made.encode())
    held = await held_child(scene, call)
    assert message.headers[REVISION] == str(held.revision)
    assert held.record == RunRecord(task=made)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        pytest.param(
            Failed(
                task="",
                attempt=1,
                seq=1,
                reason=FailureReason.EMPTY_ANSWER,
                message="not a word",
            ),
            "the agent writer failed (EmptyAnswer): not a word",
            id="failed",
        ),
        pytest.param(
            Cancelled(task="", attempt=1, seq=1),
            "the run of the agent writer was cancelled",
            id="cancelled",
        ),
    ],
)
async def test_a_bad_end_is_told_to_the_model_that_has_asked(
    scene: Scene, end: Failed | Cancelled, sentence: str
) -> None:
    _, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)
        held = await scene.runs.begin(await held_child(scene, call), "w2")
        await scene.runs.end(held, end.model_copy(update={"task": held.record.task.id}))
        result = await scene.result(call)

    assert (result.outcome, result.error) == (Outcome.FAILED, sentence)


async def test_an_agent_without_a_worker_fails_in_time(scene: Scene) -> None:
    _, call = await asking(scene, timeout_seconds=1)
    async with scene.dispatching():
        await scene.publish_ask(call)
        result = await scene.result(call)

    assert result.error == (
        "the agent writer failed (TimedOut): the task did not end within 1 s: "
        "no worker of team/writer took it"
    )


async def test_an_agent_that_is_not_there_is_told_to_the_model(scene: Scene) -> None:
    task = await begun(scene)
    call = new_ask(task)
    async with scene.dispatching():
        await scene.publish_ask(call)
        result = await scene.result(call)
        await until(lambda: none_left(scene))

    assert result.error == "there is no agent writer; find the answer without it"
    assert await child(scene, call) is None


async def test_an_end_that_came_while_no_dispatcher_was_there_is_brought(scene: Scene) -> None:
    _, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)
    await write(scene, call, "a poem")

    async with scene.dispatching():
        assert (await scene.result(call)).value == "a poem"


async def test_whoever_asks_again_after_a_crash_gets_what_was_made(scene: Scene) -> None:
    _, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)
        await scene.publish_ask(call)
        await until(lambda: none_left(scene))
        await write(scene, call, "a poem")
        await scene.result(call)
        woken = asyncio.Event()

        def on_wake(_subject: str, _: bytes) -> None:
            woken.set()

        await scene.caller.outbox.listen(SUBJECTS.wake(MATH, "w3"), on_wake)
        await scene.publish_ask(call.model_copy(update={"worker": "w3"}))
        await asyncio.wait_for(woken.wait(), 5)

    assert len(await tasks(scene, call)) == 1
    assert (await held_child(scene, call)).record.attempt == 1


@pytest.mark.parametrize("steps", range(4))
async def test_a_crash_after_any_step_makes_one_task(scene: Scene, steps: int) -> None:
    _, call = await asking(scene)
    await scene.publish_ask(call)
    async with scene.ports() as ports:
        with contextlib.suppress(LeadershipLost, TimeoutError):
            await follow(ports.fenced(crash_after(steps)))
    async with scene.dispatching():
        await published(scene, call)
        await until(lambda: none_left(scene))
        await write(scene, call, "a poem")
        assert (await scene.result(call)).value == "a poem"
    assert len(await tasks(scene, call)) == 1
    assert await scene.letters() == []


async def follow(ports: Ports) -> None:
    """A dispatcher that does nothing else, until it crashes or has nothing more to do."""
    try:
        async with asyncio.timeout(0.5):
            await Asks(ports, Ends(ports)).run()
    except* LeadershipLost as lost:
        raise LeadershipLost from lost


async def test_a_late_second_message_publishes_no_second_task(scene: Scene) -> None:
    """By then the queue has forgotten the message id; the first copy is still waiting."""
    _, call = await asking(scene, seconds=600)
    old = new_task().model_copy(
        update={"id": asked_task(call.id), "agent": WRITER, "created": time.time() - 300}
    )
    await scene.accept(old)
    async with scene.ports() as ports:
        await ports.outbox.publish(SUBJECTS.asked(WRITER), old.encode())
    async with scene.dispatching():
        await scene.publish_ask(call)
        await asyncio.sleep(0.3)
        assert len(await tasks(scene, call)) == 1
        assert await asks_left(scene) == 1


async def test_a_task_that_a_dead_dispatcher_left_unpublished_is_published(scene: Scene) -> None:
    _, call = await asking(scene)
    old = new_task().model_copy(
        update={"id": asked_task(call.id), "agent": WRITER, "created": time.time() - 300}
    )
    await scene.accept(old)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)


@dataclass(frozen=True, slots=True)
class Crowded(FencedOutbox):
    """A queue that has no room for so many tasks."""

    refusals: list[None]

    @override
    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        if subject == SUBJECTS.asked(WRITER) and self.refusals:
            self.refusals.pop()
            raise QueueFull("no room")
        return await self.outbox.publish(subject, data, msg_id=msg_id, headers=headers)


async def test_a_full_queue_is_tried_again_and_its_agent_has_all_its_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.dispatch.asks.FULL_SECONDS", 0.2)
    _, call = await asking(scene, timeout_seconds=30)
    stopping, refusals = asyncio.Event(), [None, None]
    async with scene.ports() as ports:
        crowded = replace(ports, outbox=Crowded(ports.outbox, lambda: None, refusals))
        dispatching = asyncio.create_task(Dispatcher(stack_config(), crowded).run(stopping))
        began = time.time()
        await scene.publish_ask(call)
        made = await published(scene, call)
        stopping.set()
        await dispatching

    assert refusals == []
    assert made.created >= began + 0.3
    assert made.deadline == pytest.approx(made.created + 30)
    assert len(await tasks(scene, call)) == 1


@pytest.mark.parametrize("forged", [{"task": "elsewhere"}, {"arguments": {}}])
async def test_what_is_not_genuine_is_a_dead_letter(
    scene: Scene, forged: dict[str, object]
) -> None:
    call = new_ask(await begun(scene)).model_copy(update=forged)
    async with scene.dispatching():
        await scene.publish_ask(call)
        letter = await scene.letter()

    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.CALLS, WRITER)
    assert letter.reason.startswith("malformed: ")
    assert (letter.subject, letter.data) == (SUBJECTS.asks(WRITER, MATH), call.encode())


async def test_nobody_asks_for_a_run_that_there_is_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.dispatch.asks.LOOK_SECONDS", 0.05)
    call = new_ask(new_task())
    async with scene.dispatching():
        await scene.publish_ask(call)
        letter = await scene.letter()
    assert (letter.reason, letter.work) == ("no run asks for this", call.id)
    assert await child(scene, call) is None


@pytest.mark.parametrize("inherited", [True, False])
async def test_the_end_of_a_run_ends_what_it_has_asked_for(
    scene: Scene, *, inherited: bool
) -> None:
    task, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)
        if not inherited:
            await end(scene, task)
            await child_ended(scene, call)
    if inherited:
        await end(scene, task)
        async with scene.dispatching():
            await child_ended(scene, call)
    assert (await held_child(scene, call)).record.state is RunState.CANCELLED


async def end(scene: Scene, task: Task) -> None:
    failed = Failed(
        task=task.id, attempt=1, seq=1, reason=FailureReason.MODEL_ERROR, message="no model"
    )
    await scene.runs.end(await scene.held(task), failed)


async def child_ended(scene: Scene, call: Call, seconds: float = 2) -> None:
    async def look() -> bool:
        return (await held_child(scene, call)).record.state.is_end

    await until(look, seconds)


async def test_a_wish_to_cancel_reaches_the_worker_of_what_was_asked_for(scene: Scene) -> None:
    task, call = await asking(scene)
    async with scene.dispatching():
        await scene.publish_ask(call)
        await published(scene, call)
        await scene.runs.begin(await held_child(scene, call), "w2")
        await scene.cancel(task)

        async def look() -> bool:
            return (await held_child(scene, call)).record.cancel_requested

        await until(look, 1)


async def test_what_was_asked_for_as_its_run_ended_ends_too(scene: Scene) -> None:
    """Its record was written after the dispatcher had looked whether the run still waits."""
    task = await begun(scene)
    call = new_ask(task)
    made = new_task().model_copy(update={"id": asked_task(call.id), "agent": WRITER})
    asked = {
        "call": call.id,
        "task": task.id,
        "worker": "w",
        "chain": [MATH],
        "deadline": time.time() + 60,
    }
    late = Task.model_validate(made.model_dump() | {"asked": asked})
    async with scene.dispatching():
        await end(scene, task)
        await scene.accept(late)
        await child_ended(scene, call)


async def test_an_exhausted_call_gets_an_end(scene: Scene) -> None:
    """As if somebody had given the dispatcher's cursor a limit."""
    call = new_ask(await begun(scene))
    await scene.publish_ask(call)
    (stored,) = await scene.read(Stream.CALLS)
    async with scene.ports() as ports:
        letters = DeadLetters(ports, Ends(ports))
        await letters.bury(Exhausted(Stream.CALLS, stored.sequence, 5))
    result = await scene.result(call)
    assert result.outcome is Outcome.FAILED
    assert await asks_left(scene) == 0
