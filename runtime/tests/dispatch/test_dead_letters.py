"""From a message that no worker sees again to one dead letter."""

import asyncio
import contextlib

import pytest

from runtime.contract.approval import Approval
from runtime.contract.keys import effect_key
from runtime.contract.messages import CallResult, Failed, FailureReason, Task
from runtime.contract.messages import Outcome as CallOutcome
from runtime.contract.runs import RunState
from runtime.contract.subjects import Stream
from runtime.dispatch.advisories import Advisory, read_advisory
from runtime.dispatch.deadletters import DeadLetters
from runtime.dispatch.ends import Ends
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.ports import Ports
from runtime.tests.dispatch.scene import (
    ADD,
    MATH,
    MAX_DELIVER,
    SUBJECTS,
    Scene,
    crash_after,
    new_call,
    new_task,
    until,
)
from runtime.transport.port import Inbox
from runtime.worker.loop import settle
from runtime.worker.outcomes import GivenUp, Malformed, Outcome


async def terminate(inbox: Inbox, outcome: Outcome) -> None:
    """What a worker does with a message that it wants never to see again."""
    await settle(await asyncio.wait_for(inbox.next(), 5), outcome)


async def test_a_task_delivered_too_often_ends_and_is_kept(scene: Scene) -> None:
    task = new_task()
    held = await scene.accept(task)
    await scene.runs.begin(held, "w")
    await scene.publish(task)
    await scene.exhaust(scene.tasks)

    async with scene.dispatching():
        letter = await scene.letter()
        record = await scene.ended(task)
        event = await scene.told(task)
        await until_empty(scene, Stream.TASKS)

    assert (letter.stream, letter.sequence, letter.work) == (Stream.TASKS, 1, task.id)
    assert (letter.subject, letter.data) == (SUBJECTS.tasks(MATH), task.encode())
    assert (letter.reason, letter.deliveries) == ("delivered twice without an end", MAX_DELIVER)
    assert letter.error == record.message
    assert (record.state, record.reason) == (RunState.FAILED, FailureReason.DEAD_LETTERED)
    assert isinstance(event, Failed)
    assert event.message == record.message


async def test_a_task_of_an_agent_delivered_too_often_ends_and_is_kept(scene: Scene) -> None:
    task = new_task()
    await scene.runs.begin(await scene.accept(task), "w")
    await publish_asked(scene, task)
    await scene.exhaust(scene.asked)

    async with scene.dispatching():
        letter = await scene.letter()
        record = await scene.ended(task)
        await until_empty(scene, Stream.TASKS)

    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.TASKS, MATH)
    assert (letter.subject, letter.data) == (SUBJECTS.asked(MATH), task.encode())
    assert (record.state, record.reason) == (RunState.FAILED, FailureReason.DEAD_LETTERED)


async def test_a_task_of_an_agent_that_its_worker_gave_up_is_kept(scene: Scene) -> None:
    task = new_task()
    await publish_asked(scene, task)
    inbox = await scene.asked()
    await terminate(inbox, GivenUp("gave up after 5 attempts"))
    await inbox.stop()

    async with scene.dispatching():
        letter = await scene.letter()

    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.TASKS, MATH)
    assert (letter.work, letter.subject) == (task.id, SUBJECTS.asked(MATH))


async def publish_asked(scene: Scene, task: Task) -> None:
    """What the dispatcher does with a task that an agent has asked for."""
    async with scene.ports() as ports:
        await ports.outbox.publish(SUBJECTS.asked(MATH), task.encode())


@pytest.mark.fault(9)
async def test_a_message_from_before_its_run_was_parked_ends_nothing(scene: Scene) -> None:
    task = new_task()
    approval = Approval(call="c1", function="add", arguments="{}", expires=2e9)
    await scene.runs.park(await scene.runs.begin(await scene.accept(task), "w"), (approval,))
    await scene.publish(task)
    await scene.exhaust(scene.tasks)

    async with scene.dispatching():
        await until_empty(scene, Stream.TASKS)

    assert (await scene.held(task)).record.state is RunState.PARKED
    assert await scene.letters() == []


async def empty(scene: Scene, stream: Stream) -> bool:
    return await scene.read(stream) == []


async def until_empty(scene: Scene, stream: Stream) -> None:
    await until(lambda: empty(scene, stream))


@pytest.mark.fault(6)
async def test_a_malformed_message_is_a_dead_letter_with_all_its_bytes(scene: Scene) -> None:
    data = b'{"no": "task \xff'
    await scene.link.outbox.publish(SUBJECTS.tasks(MATH), data)
    inbox = await scene.tasks()
    await terminate(inbox, Malformed("no task"))
    await inbox.stop()

    async with scene.dispatching():
        letter = await scene.letter()

    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.TASKS, MATH)
    assert letter.reason == "malformed: no task"
    assert (letter.work, letter.data, letter.deliveries) == (None, data, 1)


async def test_a_task_that_its_worker_gave_up_is_kept_with_its_id(scene: Scene) -> None:
    task = new_task()
    await scene.accept(task)
    await scene.publish(task)
    inbox = await scene.tasks()
    await terminate(inbox, GivenUp("gave up after 5 attempts"))
    await inbox.stop()

    async with scene.dispatching():
        letter = await scene.letter()

    assert (letter.work, letter.sequence, letter.error) == (task.id, 1, "gave up after 5 attempts")
    assert letter.data == task.encode()


async def test_plain_words_are_a_letter_without_a_message(scene: Scene) -> None:
    await scene.link.outbox.publish(SUBJECTS.tasks(MATH), b"?")
    inbox = await scene.tasks()
    await (await asyncio.wait_for(inbox.next(), 5)).term("unsigned")
    await inbox.stop()

    async with scene.dispatching():
        letter = await scene.letter()

    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.TASKS, MATH)
    assert (letter.reason, letter.subject, letter.data) == ("unsigned", None, b"")


@pytest.mark.fault(7)
async def test_what_died_while_no_dispatcher_was_there_is_not_forgotten(scene: Scene) -> None:
    tasks = [new_task(f"{number}") for number in range(20)]
    for task in tasks:
        await scene.accept(task)
        await scene.publish(task)
    await scene.exhaust(scene.tasks, messages=len(tasks))

    async with scene.dispatching():
        await until_empty(scene, Stream.TASKS)
    async with scene.dispatching():
        await asyncio.sleep(0.5)  # for letters that would come twice, wrongly

    letters = await scene.letters()
    assert sorted(letter.work or "" for letter in letters) == sorted(task.id for task in tasks)
    assert {(await scene.ended(task)).reason for task in tasks} == {FailureReason.DEAD_LETTERED}


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.CANCELLED])
async def test_a_task_that_came_to_its_end_is_no_dead_letter(scene: Scene, state: RunState) -> None:
    task = new_task()
    await scene.accept(task, state, text="2")
    await scene.publish(task)
    await scene.exhaust(scene.tasks)

    async with scene.dispatching():
        await until_empty(scene, Stream.TASKS)

    assert await scene.letters() == []
    assert (await scene.held(task)).record.state is state


@pytest.mark.parametrize("planted", [True, False])
async def test_a_task_that_nobody_accepted_is_kept(scene: Scene, planted: bool) -> None:
    task = new_task()
    if planted:
        task = task.model_copy(update={"agent": ADD})
    await scene.link.outbox.publish(SUBJECTS.tasks(MATH), task.encode())
    await scene.exhaust(scene.tasks)

    async with scene.dispatching():
        letter = await scene.letter()

    assert letter.work == (None if planted else task.id)
    wrong = f"malformed: a task of {ADD} under {SUBJECTS.tasks(MATH)}"
    assert letter.error == (wrong if planted else "there is no run record of this task")


@pytest.mark.parametrize("begun", [True, False])
async def test_nobody_waits_for_a_call_that_is_dead(scene: Scene, begun: bool) -> None:
    call = new_call()
    if begun:
        reserved = CallResult(call=call.id, outcome=CallOutcome.RESERVED)
        await scene.effects.create(call.id, reserved.encode())
    await scene.publish_call(call)
    await scene.exhaust(scene.calls)

    async with scene.dispatching():
        letter = await scene.letter()

    entry = await scene.effects.get(call.id)
    assert entry is not None
    result = CallResult.decode(entry.value)
    assert result.outcome is (CallOutcome.UNKNOWN if begun else CallOutcome.FAILED)
    assert (letter.work, letter.error) == (call.id, result.error)
    (stored,) = await scene.read(Stream.DEAD)
    assert stored.subject == SUBJECTS.dead(Stream.CALLS, ADD)


async def test_a_call_ends_no_other_call_than_its_own(scene: Scene) -> None:
    """Who calls can write whatever it likes into its message; the subject tells who it is."""
    victim = effect_key(ADD, ADD, "other", 1, 0)
    await scene.publish_call(new_call().model_copy(update={"id": victim}))
    await scene.exhaust(scene.calls)

    async with scene.dispatching():
        letter = await scene.letter()

    assert await scene.effects.get(victim) is None
    assert letter.error == f"malformed: a call of {MATH} under {SUBJECTS.calls(ADD, MATH)}"


async def test_a_call_that_was_answered_is_no_dead_letter(scene: Scene) -> None:
    call = new_call()
    answer = CallResult(call=call.id, outcome=CallOutcome.SUCCEEDED, value=2).encode()
    await scene.effects.create(call.id, answer)
    await scene.publish_call(call)
    await scene.exhaust(scene.calls)

    async with scene.dispatching():
        await until_empty(scene, Stream.CALLS)

    assert await scene.letters() == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_crash_after_any_step_still_makes_one_letter(scene: Scene, steps: int) -> None:
    task = new_task()
    await scene.accept(task)
    await scene.publish(task)
    await scene.exhaust(scene.tasks)
    (stored,) = await scene.read(Stream.ADVISORIES)
    advisory = read_advisory(SUBJECTS, stored.subject, stored.data)

    async with scene.ports() as ports:
        with contextlib.suppress(LeadershipLost):
            await bury(ports.fenced(crash_after(steps)), advisory)
        await bury(ports, advisory)

    assert len(await scene.letters()) == 1
    assert len(await scene.events(task)) == 1
    assert (await scene.ended(task)).reason is FailureReason.DEAD_LETTERED
    assert await empty(scene, Stream.TASKS)


async def bury(ports: Ports, advisory: Advisory) -> None:
    await DeadLetters(ports, Ends(ports)).bury(advisory)
