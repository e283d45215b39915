"""A run that needs a person: from the call to the parked record, and on from there."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.adapters.port import Answer, Run, Step, Text
from runtime.contract.agent_config import OnCrash, Retry, ToolBinding
from runtime.contract.approval import Verdict
from runtime.contract.keys import run_key
from runtime.contract.messages import ApprovalNeeded, FailureReason, Task
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket
from runtime.state.checkpoints import Checkpoints
from runtime.tests.agent.going_on import keeping, resume
from runtime.tests.agent.test_handler import MATH, Place
from runtime.tests.agents import ADD, SPEC
from runtime.tools.approvals import Approvals
from runtime.tools.numbering import Numbering
from runtime.tools.port import Agreement, Announce, ToolFailure, ToolFunction
from runtime.transport.port import PayloadTooLarge
from runtime.worker.outcomes import Done

BINDING = ToolBinding(tool=ADD, approval_required=True)


class Asking:
    """A toolbox with one function, which needs a person and then says what it was given."""

    def bind(
        self,
        task: Task,
        announce: Announce,
        numbering: Numbering | None = None,
        agreement: Agreement | None = None,
    ) -> tuple[ToolFunction, ...]:
        del task, announce, numbering
        assert isinstance(agreement, Approvals)

        async def call(arguments: dict[str, Any]) -> str:
            await agreement.agreed(arguments["key"], "add", "{}", seconds=60)
            return f"did {arguments['key']}"

        return (ToolFunction(SPEC, ADD, call),)


async def calling(run: Run) -> AsyncIterator[Step]:
    """Ask for two calls at once, and say what came of them."""
    yield Text("Let me see. ")
    (add,) = run.tools

    async def made(key: str) -> str:
        try:
            return await add.call({"key": key})
        except ToolFailure as failure:
            return str(failure)

    first, second = await asyncio.gather(made("c1"), made("c2"))
    yield Answer(f"{first}, {second}")


def place_of(script: Any = calling, **config: Any) -> Place:
    place = Place(script, tools=(BINDING,), **config)
    place.handler.toolbox = Asking()
    return place


async def decided(place: Place, task: Task, *verdicts: Verdict, stood: float = 0) -> None:
    """What the server and the dispatcher do, up to the message; `stood` seconds later."""
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    record = held.record
    still = [number for number, one in enumerate(record.approvals) if one.is_open]
    for number, verdict in zip(still, verdicts, strict=True):
        record = record.deciding(number, verdict, by="ann", reason=None, now=time.time())
    await resume(place, record, time.time() + stood)


async def test_a_run_parks_with_every_call_that_needs_a_person_and_holds_nothing() -> None:
    place = place_of()
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert (record.state, record.worker, record.spent) == (RunState.PARKED, None, 0)
    assert [one.call for one in record.approvals] == ["c1", "c2"]
    events = [event for event in place.events() if isinstance(event, ApprovalNeeded)]
    assert [(event.call, event.left) for event in events] == [("c1", 1), ("c2", 0)]
    assert events == record.needs(events[0].seq)


async def test_it_goes_on_with_what_was_decided() -> None:
    place = place_of()
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    await decided(place, task, Verdict.APPROVED, Verdict.DENIED)
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert record.text == "did c1, ann did not agree to this call of add"
    assert (record.attempt, record.spent) == (2, 1)
    assert [(one.verdict, one.by) for one in record.approvals] == [
        (Verdict.APPROVED, "ann"),
        (Verdict.DENIED, "ann"),
    ]


async def test_a_run_waits_for_people_for_a_bounded_time_over_all_its_calls() -> None:
    async def one_after_the_other(run: Run) -> AsyncIterator[Step]:
        (add,) = run.tools
        said = []
        for key in ("c1", "c2", "c3"):
            try:
                said.append(await add.call({"key": key}))
            except ToolFailure as failure:
                said.append(str(failure))
        yield Answer("; ".join(said))

    place = place_of(one_after_the_other, task_seconds=50)
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    asked = (await place.record(task)).approvals
    assert 45 < asked[0].expires - time.time() <= 50

    await decided(place, task, Verdict.APPROVED, stood=30)
    await place.handler.handle(await place.delivery())
    asked = (await place.record(task)).approvals
    assert 15 < asked[1].expires - time.time() <= 20

    await decided(place, task, Verdict.APPROVED, stood=60)
    await place.handler.handle(await place.delivery())
    record = await place.record(task)
    assert record.task.deadline - task.deadline == pytest.approx(50, abs=1)
    assert (record.text or "").startswith("did c1; did c2; add needs the approval of a person")
    assert len(record.approvals) == 2


@pytest.mark.fault(9)
async def test_a_message_whose_ack_was_lost_when_the_run_was_parked_begins_nothing() -> None:
    place = place_of()
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    await place.publish(task.encode())
    assert await place.handler.handle(await place.delivery(2)) == Done()
    await decided(place, task, Verdict.APPROVED, Verdict.APPROVED)
    newer = await place.delivery()
    await place.publish(task.encode())
    assert await place.handler.handle(await place.delivery(3)) == Done()
    assert len(place.adapter.runs) == 1
    assert await place.handler.handle(newer) == Done()
    assert (await place.record(task)).state is RunState.COMPLETED


async def test_who_cancels_at_that_moment_is_heard() -> None:
    async def cancelled_meanwhile(run: Run) -> AsyncIterator[Step]:
        held = await place.runs.get(MATH, run.task)
        assert held is not None
        asked = held.record.model_copy(update={"cancel_requested": True})
        await place.link.store(Bucket.RUNS).put(run_key(MATH, run.task), asked.encode())
        async for step in calling(run):
            yield step

    place = place_of(cancelled_meanwhile)
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert (record.state, record.approvals) == (RunState.CANCELLED, ())


async def test_calls_that_the_queue_does_not_take_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def too_large(*_: object, **__: object) -> None:
        raise PayloadTooLarge("it has 2 MiB")

    place = place_of()
    monkeypatch.setattr(place.runs, "park", too_large)
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert record.reason is FailureReason.RESULT_TOO_LARGE
    assert (record.message or "").startswith("the run cannot wait for a person or its client: its ")


async def test_a_worker_that_stops_at_that_moment_hands_the_run_back() -> None:
    asking = asyncio.Event()

    async def noticed(run: Run) -> AsyncIterator[Step]:
        asking.set()
        async for step in calling(run):
            yield step

    place = place_of(noticed)
    task = await place.accept()
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await asyncio.wait_for(asking.wait(), 5)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    record = await place.record(task)
    assert (record.state, record.spent, record.approvals) == (RunState.QUEUED, 0, ())


@pytest.mark.parametrize("on_crash", OnCrash)
async def test_whatever_follows_a_crash_a_parked_run_goes_on_where_it_was(
    on_crash: OnCrash,
) -> None:
    place = place_of(keeping(calling), retry=Retry(on_crash=on_crash))
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    await decided(place, task, Verdict.APPROVED, Verdict.APPROVED)
    await place.handler.handle(await place.delivery())
    assert (await place.record(task)).text == "so far"


@pytest.mark.parametrize("on_crash", OnCrash)
async def test_a_worker_that_stops_after_an_approval_leaves_what_the_approval_was_for(
    on_crash: OnCrash,
) -> None:
    """Else the next attempt would ask the model again, and the person about what that says."""
    going_on = asyncio.Event()

    async def kept(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is not None
        found = await run.checkpoint.load()
        match run.attempt, found:
            case 1, None:
                await run.checkpoint.save(lambda: b"so far")
                async for step in calling(run):
                    yield step
            case 2, _:
                going_on.set()
                await asyncio.Future()
            case _:
                yield Answer(repr(found))

    place = place_of(kept, retry=Retry(on_crash=on_crash))
    task = await place.accept()
    await place.handler.handle(await place.delivery())
    await decided(place, task, Verdict.APPROVED, Verdict.APPROVED)
    delivery = await place.delivery()
    handling = asyncio.create_task(place.handler.handle(delivery))
    await asyncio.wait_for(going_on.wait(), 5)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    await delivery.nak()
    assert await place.handler.handle(await place.delivery(2)) == Done()
    record = await place.record(task)
    assert (record.attempt, record.spent, record.text) == (3, 1, "b'so far'")


async def test_after_a_crash_an_agent_that_does_not_resume_begins_anew_here_too() -> None:
    async def anew(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is not None
        found = await run.checkpoint.load()
        await run.checkpoint.save(lambda: b"new")
        yield Answer(f"found {found!r}, keeps {await run.checkpoint.load()!r}")

    place = place_of(anew, retry=Retry(on_crash=OnCrash.RESTART))
    task = await place.accept(attempt=2, parked_attempt=0, state=RunState.QUEUED)
    store = place.link.store(Bucket.CHECKPOINTS)
    await Checkpoints(store).of(MATH, task.id, 2).save(lambda: b"old")
    await place.handler.handle(await place.delivery())
    assert (await place.record(task)).text == "found None, keeps b'new'"
