"""One task from its delivery to its end, on a queue in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, override

import pytest

from runtime.adapters.port import (
    AgentFailure,
    Answer,
    ModelAway,
    ModelBusy,
    Run,
    Step,
    Text,
    Used,
)
from runtime.agent import handler
from runtime.agent.handler import TaskHandler
from runtime.contract.agent_config import (
    AgentConfig,
    Budget,
    Declarative,
    Framework,
    Model,
    Queue,
    Retry,
)
from runtime.contract.client_calls import ClientFunction
from runtime.contract.keys import run_key
from runtime.contract.messages import (
    Asked,
    Cancelled,
    Completed,
    Event,
    FailureReason,
    Message,
    Options,
    Role,
    Started,
    Task,
    TextDelta,
    TokenUsage,
    decode_event,
)
from runtime.contract.runs import REVISION, RunRecord, RunState
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.checkpoints import Checkpoints
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.tools.numbering import Numbering
from runtime.tools.port import Agreement, Announce, ToolFunction
from runtime.transport.memory import MemoryDelivery, MemoryQueue
from runtime.worker.loop import Worker
from runtime.worker.outcomes import Again, Done, GivenUp, Later, Lost, Malformed
from runtime.worker.slots import MOST_LENT, Places

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")
WRITER = ObjectName(namespace="ns", name="writer")
EDITOR = ObjectName(namespace="ns", name="editor")
type Script = Callable[[Run], AsyncIterator[Step]]


class NoTools:
    def bind(
        self,
        task: Task,
        announce: Announce,
        numbering: Numbering | None = None,
        agreement: Agreement | None = None,
    ) -> tuple[ToolFunction, ...]:
        del task, announce, numbering, agreement
        return ()


@dataclass
class Scripted:
    """An adapter that plays what the test says."""

    script: Script
    runs: list[Run] = field(default_factory=list)

    def run(self, run: Run) -> AsyncIterator[Step]:
        self.runs.append(run)
        return self.script(run)


async def answer(run: Run) -> AsyncIterator[Step]:
    yield Text(run.input[-1].text)
    yield Used(TokenUsage(input_tokens=3, output_tokens=2))
    yield Answer(run.input[-1].text)


class Place:
    """A Stack in memory with one Agent in it."""

    def __init__(self, script: Script = answer, **config: Any) -> None:
        self.queue = MemoryQueue(STACK)
        self.queue.add_durable(Stream.TASKS, "math-1", self.queue.subjects.tasks(MATH))
        self.link = self.queue.link()
        self.runs = Runs(self.link.store(Bucket.RUNS))
        self.adapter = Scripted(script)
        self.inbox = self.link.inbox(Stream.TASKS, "math-1")
        self.handler = TaskHandler(
            config=AgentConfig(
                agent=MATH,
                queue=Queue(stack=STACK, url="", token_file="", service_account=MATH),
                durable="math-1",
                framework=Framework.LANGGRAPH,
                declarative=Declarative(instructions=""),
                model=Model(id="m", base_url=""),
                **config,
            ),
            worker="w1",
            adapter=self.adapter,
            toolbox=NoTools(),
            runs=self.runs,
            checkpoints=Checkpoints(self.link.store(Bucket.CHECKPOINTS)),
            outbox=self.link.outbox,
            places=Places.with_own(1),
        )

    async def accept(
        self,
        text: str = "2+3?",
        *,
        seconds: float = 60,
        asked: Asked | None = None,
        functions: tuple[ClientFunction, ...] = (),
        **record: Any,
    ) -> Task:
        task = Task(
            id=f"t{len(self.queue.messages(Stream.TASKS))}",
            stack=STACK,
            agent=MATH,
            origin="o",
            input=(Message(role=Role.USER, text=text),),
            options=Options(stream=True, functions=functions),
            asked=asked,
            created=time.time(),
            deadline=time.time() + seconds,
        )
        held = await self.runs.accept(RunRecord(task=task))
        if record:  # what has become of it since
            now = held.record.model_copy(update=record)
            await self.link.store(Bucket.RUNS).put(run_key(MATH, task.id), now.encode())
        await self.publish(task.encode(), task.id, str(held.revision))
        return task

    async def publish(self, data: bytes, msg_id: str | None = None, revision: str = "") -> None:
        subject, headers = self.queue.subjects.tasks(MATH), {REVISION: revision}
        await self.link.outbox.publish(subject, data, msg_id=msg_id, headers=headers)

    async def delivery(self, number: int = 1) -> MemoryDelivery:
        delivery = await asyncio.wait_for(self.inbox.next(), 1)
        delivery.number = number
        return delivery

    async def record(self, task: Task) -> RunRecord:
        held = await self.runs.get(MATH, task.id)
        assert held is not None
        return held.record

    def events(self) -> list[Event]:
        return [decode_event(stored.data) for stored in self.queue.messages(Stream.EVENTS)]


async def test_a_task_ends_completed_and_tells_it_in_order() -> None:
    place = Place()
    task = await place.accept()

    assert await place.handler.handle(await place.delivery()) == Done()

    record = await place.record(task)
    assert (record.state, record.text, record.attempt) == (RunState.COMPLETED, "2+3?", 1)
    assert record.usage == TokenUsage(input_tokens=3, output_tokens=2)
    events = place.events()
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert isinstance(events[0], Started)
    assert isinstance(events[1], TextDelta)
    assert isinstance(events[-1], Completed)


@pytest.mark.fault(9)
async def test_a_second_delivery_of_an_ended_run_tells_the_end_once_and_runs_nothing() -> None:
    place = Place()
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    await place.publish(task.encode())

    assert await place.handler.handle(await place.delivery()) == Done()

    assert len(place.adapter.runs) == 1
    assert sum(isinstance(event, Completed) for event in place.events()) == 1


@pytest.mark.fault(3)
async def test_a_stale_attempt_writes_no_result() -> None:
    place = Place()
    task = await place.accept()

    async def overtaken(run: Run) -> AsyncIterator[Step]:
        held = await place.runs.get(MATH, run.task)
        assert held is not None
        other = await place.runs.begin(held, "w2")
        await place.runs.end(other, Completed(task=run.task, attempt=2, seq=1, text="theirs"))
        yield Answer("ours")

    place.adapter.script = overtaken
    worker = Worker([place.inbox], place.handler)
    working = asyncio.create_task(worker.run())
    while (await place.record(task)).state is not RunState.COMPLETED:
        await asyncio.sleep(0)
    await worker.drain(1)
    await working

    assert (await place.record(task)).text == "theirs"
    assert not any(isinstance(event, Completed) for event in place.events())
    assert len(place.queue.messages(Stream.TASKS)) == 1, "a stale attempt settles nothing"


@pytest.mark.parametrize("data", [b"not json", b"{}", b"\xff"])
@pytest.mark.fault(6)
async def test_a_malformed_message_runs_nothing(data: bytes) -> None:
    place = Place()
    await place.publish(data)

    outcome = await place.handler.handle(await place.delivery())

    assert isinstance(outcome, Malformed)
    assert not place.adapter.runs


async def test_a_task_of_another_agent_is_not_work() -> None:
    place = Place()
    task = await place.accept()
    other = task.model_copy(update={"agent": ObjectName(namespace="ns", name="other")})
    await place.publish(other.encode())
    await place.delivery()

    assert await place.handler.handle(await place.delivery()) == Malformed("unsigned")


async def fails(run: Run) -> AsyncIterator[Step]:
    yield Text("")
    raise AgentFailure(f"no answer to {run.input[-1].text}")


async def busy(run: Run) -> AsyncIterator[Step]:
    yield Text("")
    raise ModelBusy(f"no room for {run.task}")


async def test_a_failed_agent_is_an_end_with_its_sentence() -> None:
    place = Place(fails)
    task = await place.accept("17+4")

    assert await place.handler.handle(await place.delivery()) == Done()

    record = await place.record(task)
    assert (record.state, record.reason) == (RunState.FAILED, FailureReason.AGENT_ERROR)
    assert record.message == "no answer to 17+4"


async def breaks(run: Run) -> AsyncIterator[Step]:
    yield Text("")
    raise AgentFailure(f"own.py:3 KeyError: 'b' of {run.task}") from KeyError("b")


async def test_how_an_agent_broke_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    place = Place(breaks)
    task = await place.accept()

    await place.handler.handle(await place.delivery())

    (told,) = [one for one in caplog.records if one.message == "failed"]
    assert vars(told)["task"] == task.id
    assert told.exc_info is not None
    assert isinstance(told.exc_info[1], KeyError)


async def test_a_busy_model_is_tried_again_until_the_attempts_are_used_up() -> None:
    place = Place(busy, retry=Retry(max_attempts=2))
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Again(1)
    record = await place.record(task)
    assert (record.state, record.failed, record.losses) == (RunState.QUEUED, 1, "")
    await place.publish(task.encode())

    assert await place.handler.handle(await place.delivery()) == Done()

    assert (await place.record(task)).reason is FailureReason.MODEL_ERROR


async def away(run: Run) -> AsyncIterator[Step]:
    yield Text("")
    raise ModelAway(f"nobody to ask for {run.task}")


async def test_a_server_that_is_started_again_costs_no_attempt() -> None:
    place = Place(away, retry=Retry(max_attempts=1))
    task = await place.accept()

    assert await place.handler.handle(await place.delivery()) == Later(1)

    record = await place.record(task)
    assert (record.state, record.attempt, record.spent) == (RunState.QUEUED, 1, 0)
    place.adapter.script = answer
    await place.publish(task.encode())
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).state is RunState.COMPLETED


async def test_a_server_that_does_not_come_back_ends_the_run_with_its_sentence() -> None:
    place = Place(away, retry=Retry(max_attempts=1))
    task = await place.accept(attempt=handler.TIMES_AWAY, returned=handler.TIMES_AWAY)

    assert await place.handler.handle(await place.delivery()) == Done()

    record = await place.record(task)
    assert record.reason is FailureReason.MODEL_ERROR
    assert record.message == f"nobody to ask for {task.id}"


@pytest.mark.fault(5)
async def test_the_attempt_after_the_last_ends_the_run() -> None:
    place = Place(retry=Retry(max_attempts=5))
    task = await place.accept(attempt=5, state=RunState.RUNNING)

    outcome = await place.handler.handle(await place.delivery(6))

    assert isinstance(outcome, GivenUp)
    assert outcome.reason.startswith(
        "gave up after 5 attempts (spec.retryPolicy.maxAttempts): 5 workers were lost over it; "
    )
    assert (await place.record(task)).reason is FailureReason.DEAD_LETTERED
    assert not place.adapter.runs


@pytest.mark.fault(5)
async def test_a_worker_lost_before_the_dead_letter_leaves_it_to_the_next() -> None:
    place = Place()
    await place.accept(
        attempt=5, state=RunState.FAILED, reason=FailureReason.DEAD_LETTERED, message="gave up"
    )

    assert await place.handler.handle(await place.delivery()) == GivenUp("gave up")


@pytest.mark.fault(5)
async def test_runs_that_lose_their_workers_go_one_by_one_and_hold_up_nobody_else() -> None:
    """Of three that were under way when a worker fell for the second time, one is the poison."""
    beside: list[str] = []
    most: dict[str, int] = {}

    async def together(run: Run) -> AsyncIterator[Step]:
        kind = run.input[-1].text
        beside.append(kind)
        most[kind] = max(most.get(kind, 0), beside.count(kind))
        await asyncio.sleep(0.01)  # long enough for others to begin beside it
        beside.remove(kind)
        yield Answer("done")

    place = Place(together)
    tasks = [
        *[await place.accept("suspect", attempt=2, state=RunState.RUNNING) for _ in range(3)],
        *[await place.accept("lost once", attempt=1, state=RunState.RUNNING) for _ in range(3)],
        *[await place.accept("fresh") for _ in range(3)],
    ]

    waiting = [await place.delivery(3) for _ in tasks]
    rounds = 0
    while waiting:
        outcomes = await asyncio.gather(*map(place.handler.handle, waiting))
        waiting = [
            delivery
            for delivery, outcome in zip(waiting, outcomes, strict=True)
            if isinstance(outcome, Later)
        ]
        rounds += 1

    assert rounds == 3
    assert most == {"suspect": 1, "lost once": 3, "fresh": 3}
    assert {(await place.record(task)).state for task in tasks} == {RunState.COMPLETED}


async def waits(run: Run) -> AsyncIterator[Step]:
    yield Text(run.task)
    await asyncio.Event().wait()


async def under_way(place: Place, task: Task) -> None:
    """Until the adapter runs it; its record says so before."""
    while task.id not in {run.task for run in place.adapter.runs}:
        await asyncio.sleep(0)
    assert (await place.record(task)).state is RunState.RUNNING


async def test_a_cancelled_run_ends_cancelled() -> None:
    place = Place(waits)
    task = await place.accept()
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await under_way(place, task)

    place.handler.cancel(task.id)

    assert await handling == Done()
    assert (await place.record(task)).state is RunState.CANCELLED


async def test_a_task_without_a_record_is_looked_at_again_and_then_let_go() -> None:
    """One of several servers may lag behind; a client may have deleted the record."""
    place = Place()
    task = await place.accept()
    await place.link.store(Bucket.RUNS).delete(run_key(MATH, task.id))
    delivery = await place.delivery()
    assert await place.handler.handle(delivery) == Later(1)
    delivery.number = 4
    assert await place.handler.handle(delivery) == Done()
    assert not place.adapter.runs


class Unread(Runs):
    """Records that may be written and not read."""

    @override
    async def get(self, agent: ObjectName, task: str) -> Held | None:
        raise AssertionError(f"the record of {agent}'s {task} was read")


async def test_a_new_task_is_begun_over_the_revision_it_names_without_reading_its_record() -> None:
    place = Place()
    task = await place.accept()
    place.handler.runs = Unread(place.link.store(Bucket.RUNS))

    assert await place.handler.handle(await place.delivery()) == Done()

    record = await place.record(task)
    assert (record.state, record.attempt, record.task) == (RunState.COMPLETED, 1, task)


@pytest.mark.parametrize("revision", ["", "none", "-1", "999"])
async def test_whatever_revision_a_task_names_its_record_decides(revision: str) -> None:
    place = Place()
    task = await place.accept()
    delivery = await place.delivery()
    delivery.headers = {REVISION: revision}

    assert await place.handler.handle(delivery) == Done()

    assert (await place.record(task)).attempt == 1


async def test_a_run_cancelled_before_its_first_delivery_is_not_begun() -> None:
    place = Place()
    task = await place.accept()
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    asked = held.record.model_copy(update={"cancel_requested": True})
    await place.link.store(Bucket.RUNS).put(run_key(MATH, task.id), asked.encode())

    assert await place.handler.handle(await place.delivery()) == Done()

    assert (await place.record(task)).state is RunState.CANCELLED
    assert not place.adapter.runs


@pytest.mark.fault(9)
async def test_a_second_delivery_of_a_run_under_way_starts_nothing() -> None:
    place = Place(waits)
    task = await place.accept()
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await under_way(place, task)
    await place.publish(task.encode())

    assert await place.handler.handle(await place.delivery()) == Lost()

    assert len(place.adapter.runs) == 1
    place.handler.cancel(task.id)
    assert await handling == Done()


class Far(Runs):
    """Records at some distance: whatever reads or writes one gives way to others meanwhile."""

    @override
    async def get(self, agent: ObjectName, task: str) -> Held | None:
        await asyncio.sleep(0.01)
        held = await super().get(agent, task)
        await asyncio.sleep(0.01)
        return held

    @override
    async def begin(self, held: Held, worker: str) -> Held:
        await asyncio.sleep(0.01)
        return await super().begin(held, worker)


@pytest.mark.fault(9)
async def test_two_deliveries_of_a_task_that_are_handled_at_once_are_one_run() -> None:
    """A loop that was blocked for longer than the ack wait finds both in its socket."""
    place = Place(retry=Retry(max_attempts=1))
    task = await place.accept()
    await place.publish(task.encode())
    place.handler.runs = Far(place.link.store(Bucket.RUNS))
    deliveries = await place.delivery(1), await place.delivery(2)

    outcomes = await asyncio.gather(*map(place.handler.handle, deliveries))

    assert set(outcomes) == {Done(), Lost()}
    record = await place.record(task)
    assert (record.state, record.attempt) == (RunState.COMPLETED, 1)


@pytest.mark.fault(3)
async def test_a_first_delivery_never_takes_over_from_whom_a_later_one_went_to() -> None:
    """Its worker slept before it could begin; the other attempt is under way and well."""
    place = Place(retry=Retry(max_attempts=1))
    task = await place.accept(attempt=1, state=RunState.RUNNING, worker="w2")

    assert await place.handler.handle(await place.delivery(1)) == Lost()

    assert (await place.record(task)).worker == "w2"
    assert not place.adapter.runs


async def test_full_of_runs_that_wait_a_worker_takes_those_that_are_waited_for() -> None:
    place = Place(waits)
    asked = Asked(call="k", task="t", worker="w", chain=(WRITER,), deadline=time.time() + 60)
    begun = [await place.accept(asked=asked) for _ in range(1 + MOST_LENT + 1)]
    handling = [
        asyncio.create_task(place.handler.handle(await place.delivery())) for _ in range(len(begun))
    ]
    for task in begun:
        await under_way(place, task)
    place.adapter.script = answer

    await place.accept(asked=asked)
    assert await place.handler.handle(await place.delivery()) == Later(1)
    await place.accept(asked=asked.model_copy(update={"chain": (WRITER, EDITOR)}))
    assert await place.handler.handle(await place.delivery()) == Done()
    await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done(), "a client waits for none"

    for task in begun:
        place.handler.cancel(task.id)
    assert await asyncio.gather(*handling) == [Done()] * len(begun)


async def test_a_lost_wish_to_cancel_is_found_in_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handler, "WATCH_SECONDS", 0.02)
    place = Place(waits)
    task = await place.accept()
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await under_way(place, task)
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    asked = held.record.model_copy(update={"cancel_requested": True})
    await place.link.store(Bucket.RUNS).put(run_key(MATH, task.id), asked.encode())

    assert await asyncio.wait_for(handling, 2) == Done()

    assert (await place.record(task)).state is RunState.CANCELLED


@pytest.mark.fault(3)
async def test_an_attempt_that_was_overtaken_stops_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handler, "WATCH_SECONDS", 0.02)
    place = Place(waits)
    task = await place.accept()
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await under_way(place, task)
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    await place.runs.begin(held, "w2")

    assert await asyncio.wait_for(handling, 2) == Lost()


async def test_an_end_is_never_written_over_another() -> None:
    place = Place()
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    with pytest.raises(StaleAttempt, match="has an end already"):
        await place.runs.end(held, Cancelled(task=task.id, attempt=1, seq=9))


async def test_a_run_past_its_deadline_ends_timed_out() -> None:
    place = Place(waits)
    task = await place.accept(seconds=0.1)

    assert await place.handler.handle(await place.delivery()) == Done()

    assert (await place.record(task)).reason is FailureReason.TIMED_OUT


@pytest.mark.fault(4)
async def test_a_draining_worker_hands_back_what_does_not_end_in_time() -> None:
    place = Place(waits)
    task = await place.accept()
    worker = Worker([place.inbox], place.handler)
    working = asyncio.create_task(worker.run())
    await under_way(place, task)

    await worker.drain(0.05)

    await working
    record = await place.record(task)
    assert (record.state, record.spent) == (RunState.QUEUED, 0), "the attempt does not count"
    assert record.attempt == 1, "but its number is taken"
    again = await asyncio.wait_for(place.link.inbox(Stream.TASKS, "math-1").next(), 1)
    assert again.number == 2


async def test_a_budget_of_tokens_ends_the_run() -> None:
    place = Place(budget=Budget(tokens=4))
    task = await place.accept()

    await place.handler.handle(await place.delivery())

    assert (await place.record(task)).reason is FailureReason.BUDGET_EXCEEDED


async def test_the_record_of_a_handed_over_run_fences_the_old_holder() -> None:
    place = Place()
    task = await place.accept()
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    await place.runs.begin(held, "w1")
    with pytest.raises(Exception, match="has moved on"):
        await place.runs.begin(Held(held.record, held.revision), "w2")
