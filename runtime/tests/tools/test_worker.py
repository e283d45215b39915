"""One call from its delivery to its end, on a queue in memory."""

import asyncio
from dataclasses import replace
from typing import Any, override

import pytest

from runtime.contract.agent_config import SideEffects
from runtime.contract.messages import Call, CallResult, FailureReason, Outcome
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.ledger import Ledger, Noted
from runtime.tests.tools.place import ADD, MATH, Place, adding, call, tool_config
from runtime.tools.cancellations import MOST_REMEMBERED, Cancellations
from runtime.tools.errors import EffectUnknown
from runtime.tools.executor import MAX_RESULT_BYTES
from runtime.tools.port import ToolFailure
from runtime.transport.memory import MemoryDelivery
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import QueueFull
from runtime.worker import decide
from runtime.worker.outcomes import Done, GivenUp, Later, Lost, Malformed

OTHER = ObjectName(namespace="team", name="other")
ONCE = SideEffects.AT_MOST_ONCE


async def test_a_call_is_run_noted_and_told() -> None:
    place = Place()
    woken: list[bytes] = []

    def on_wake(_subject: str, data: bytes) -> None:
        woken.append(data)

    await place.link.outbox.listen(place.queue.subjects.wake(MATH, "w1"), on_wake)
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Done()
    assert await place.record(call()) == CallResult(
        call=call().id, outcome=Outcome.SUCCEEDED, value=5, attempt=1, sequence=1
    )
    assert woken == [call().id.encode()]
    assert place.executor.keys == [call().id]


@pytest.mark.fault(28)
async def test_a_call_that_has_ended_is_told_again_and_not_run() -> None:
    place = Place()
    for _ in range(2):
        await place.publish(call())
        assert await place.handler.handle(await place.delivery()) == Done()
    assert len(place.executor.asked) == 1


async def test_a_message_beside_one_that_is_being_worked_on_is_left() -> None:
    place = Place(config=tool_config(ONCE))
    await place.publish(call())
    await place.ledger.reserve(call().id, Noted(None), sequence=7)
    assert await place.handler.handle(await place.delivery()) == Done()
    assert place.executor.asked == []
    record = await place.record(call())
    assert record is not None
    assert record.outcome is Outcome.RESERVED


@pytest.mark.parametrize(
    ("side_effects", "reserved", "outcome", "runs"),
    [
        pytest.param(SideEffects.NONE, 1, Outcome.SUCCEEDED, 1, id="no effect"),
        pytest.param(SideEffects.IDEMPOTENT, 2, Outcome.SUCCEEDED, 1, id="idempotent"),
        pytest.param(SideEffects.IDEMPOTENT, 3, Outcome.FAILED, 0, id="too many workers lost"),
        pytest.param(ONCE, 1, Outcome.UNKNOWN, 0, id="at most once"),
    ],
)
@pytest.mark.fault(1)
async def test_a_worker_lost_between_reserving_and_finishing(
    side_effects: SideEffects, reserved: int, outcome: Outcome, runs: int
) -> None:
    place = Place(config=tool_config(side_effects, max_attempts=3))
    await place.publish(call())
    delivery = await place.delivery()
    noted = Noted(None)
    for _ in range(reserved):
        noted = await place.ledger.reserve(call().id, noted, delivery.sequence)
    handled = await place.handler.handle(delivery)
    assert isinstance(handled, GivenUp if outcome is Outcome.FAILED else Done)
    record = await place.record(call())
    assert record is not None
    assert record.outcome is outcome
    assert len(place.executor.asked) == runs


@pytest.mark.fault(5)
async def test_a_call_that_was_given_up_becomes_a_dead_letter_for_sure() -> None:
    """The worker that gave it up was lost before it could say so."""
    place = Place(config=tool_config(max_attempts=1))
    await place.publish(call())
    delivery = await place.delivery()
    await place.ledger.reserve(call().id, Noted(None), delivery.sequence)
    told = await place.handler.handle(delivery)
    assert told == GivenUp("add took a worker down, so it was given up")

    assert await place.handler.handle(delivery) == told
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Done()
    assert place.executor.asked == []


async def lost(place: Place, asked: Call, workers: int) -> MemoryDelivery:
    """Publish a call that loses its first workers; gives the delivery to the next one."""
    await place.publish(asked)
    delivery = await place.delivery()
    noted = Noted(None)
    for _ in range(workers):
        noted = await place.ledger.reserve(asked.id, noted, delivery.sequence)
    return delivery


@pytest.mark.fault(5)
async def test_calls_that_lost_workers_again_and_again_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide, "LATER_SECONDS", 0.01)
    monkeypatch.setattr(decide, "LATER_SECONDS_PER_DELIVERY", 0)
    place = Place(config=tool_config(max_attempts=5))
    under_way: set[int] = set()
    seen: list[set[int]] = []

    async def watched(function: str, arguments: dict[str, Any]) -> Any:
        under_way.add(arguments["a"])
        seen.append(set(under_way))
        await asyncio.sleep(0.05)  # long enough for others to begin beside it
        under_way.remove(arguments["a"])
        return await adding(function, arguments)

    place.executor.play = watched
    deliveries = [await lost(place, call(a), workers) for a, workers in enumerate((2, 3, 4, 0, 1))]
    for delivery in deliveries:
        await delivery.nak()
    async with place.working(), asyncio.timeout(10):
        while place.queue.messages(Stream.CALLS):
            await asyncio.sleep(0.01)
    assert len(seen) == 5
    assert max(len(together & {0, 1, 2}) for together in seen) == 1
    assert max(len(together) for together in seen) == 3


@pytest.mark.fault(5)
async def test_a_call_that_waits_for_another_is_not_begun_and_holds_no_slot() -> None:
    place = Place(hangs, tool_config(max_attempts=5))
    first, second = [await lost(place, call(a), workers=2) for a in (1, 2)]
    running = asyncio.create_task(place.handler.handle(first))
    while not place.executor.asked:
        await asyncio.sleep(0)
    before = await place.record(call(2))
    assert await place.handler.handle(second) == Later(second.number)
    assert await place.record(call(2)) == before
    running.cancel()
    await asyncio.wait([running])
    place.executor.play = adding
    assert await place.handler.handle(second) == Done()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        pytest.param({"tool": OTHER}, "unsigned", id="another tool's"),
        pytest.param({"caller": OTHER}, "unsigned", id="not the caller of its subject"),
        pytest.param({"id": "team.add.team.math.t1.1.0"}, "unsigned", id="another key"),
        pytest.param({"step": 5}, "unsigned", id="a step of other arguments"),
        pytest.param({"arguments": {"a": 9, "b": 9}}, "unsigned", id="other arguments"),
        pytest.param({"worker": "a.>"}, "no call: 'a.>' is no DNS label", id="a worker's name"),
    ],
)
@pytest.mark.fault(21)
async def test_a_call_that_is_not_what_its_subject_says_never_runs(
    facts: dict[str, Any], why: str
) -> None:
    place = Place()
    await place.publish(call(**facts))
    handled = await place.handler.handle(await place.delivery())
    assert isinstance(handled, Malformed)
    assert handled.reason.startswith(why)
    assert place.executor.asked == []


@pytest.mark.parametrize("data", [b"not json", b"{}", b'{"schema": 2}'])
@pytest.mark.fault(6)
async def test_bad_bytes_are_malformed(data: bytes) -> None:
    place = Place()
    await place.link.outbox.publish(place.queue.subjects.calls(ADD, MATH), data)
    handled = await place.handler.handle(await place.delivery())
    assert isinstance(handled, Malformed)
    assert handled.reason.startswith("no call: ")


async def test_a_call_without_a_grant_is_unsigned_where_one_is_needed() -> None:
    place = Place(config=tool_config(require_grant=True))
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Malformed("unsigned")
    assert place.executor.asked == []


async def test_a_call_past_its_deadline_is_not_run() -> None:
    place = Place()
    await place.publish(call(seconds=-1))
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(call())
    assert record is not None
    assert record.error == "add was not run: its deadline had passed before its turn came"
    assert place.executor.asked == []


async def fails(_function: str, _arguments: dict[str, Any]) -> Any:
    raise ToolFailure("b must not be 0")


async def breaks_off(_function: str, _arguments: dict[str, Any]) -> Any:
    raise EffectUnknown("the server was lost")


async def hangs(_function: str, _arguments: dict[str, Any]) -> Any:
    await asyncio.Event().wait()


async def talks(_function: str, _arguments: dict[str, Any]) -> Any:
    return "x" * MAX_RESULT_BYTES


@pytest.mark.parametrize(
    ("play", "side_effects", "outcome", "error"),
    [
        (fails, SideEffects.IDEMPOTENT, Outcome.FAILED, "b must not be 0"),
        (fails, ONCE, Outcome.FAILED, "b must not be 0"),
        (breaks_off, SideEffects.IDEMPOTENT, Outcome.FAILED, "the server was lost"),
        (breaks_off, ONCE, Outcome.UNKNOWN, "the server was lost"),
        (hangs, SideEffects.NONE, Outcome.FAILED, "add did not end in time"),
        (hangs, ONCE, Outcome.UNKNOWN, "add did not end in time"),
    ],
)
async def test_how_a_call_may_fail(
    play: Any, side_effects: SideEffects, outcome: Outcome, error: str
) -> None:
    place = Place(play, tool_config(side_effects, timeout_seconds=1))
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(call())
    assert record is not None
    assert record.outcome is outcome
    assert record.error is not None
    assert record.error.startswith(error)
    assert record.reason is None


async def test_a_result_over_the_limit_is_told() -> None:
    place = Place(talks)
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(call())
    assert record is not None
    assert (record.outcome, record.value) == (Outcome.FAILED, None)
    assert record.reason is FailureReason.RESULT_TOO_LARGE
    assert record.error == (
        "add was carried out, but returned 4194306 bytes, more than 4194304; "
        "ask for less at once, if it lets you"
    )


class Full(MemoryStore):
    """A bucket with room for records, but not for what stands beside them."""

    @override
    async def put(self, key: str, value: bytes) -> int:
        if key != call().id:
            raise QueueFull("the queue is full")
        return await super().put(key, value)


async def test_a_large_result_without_room_for_it_is_told_and_not_run_again() -> None:
    place = Place(at_length)
    full = Full(place.queue.buckets, place.queue.subjects.bucket(Bucket.EFFECTS))
    handler = replace(place.handler, ledger=Ledger(full))
    for _ in range(2):
        await place.publish(call())
        assert await handler.handle(await place.delivery()) == Done()
    record = await place.record(call())
    assert record is not None
    assert (record.outcome, record.value) == (Outcome.FAILED, None)
    assert record.reason is FailureReason.RESULT_TOO_LARGE
    assert record.error == "add was carried out, but there is no room for what it returned"
    assert len(place.executor.asked) == 1


async def at_length(_function: str, _arguments: dict[str, Any]) -> Any:
    return "x" * (MAX_RESULT_BYTES - 2)


@pytest.mark.parametrize(
    ("side_effects", "outcome", "attempt"),
    [(SideEffects.IDEMPOTENT, Outcome.RESERVED, 0), (ONCE, Outcome.UNKNOWN, 1)],
)
@pytest.mark.fault(4)
async def test_a_worker_that_stops_leaves_a_record_to_go_by(
    side_effects: SideEffects, outcome: Outcome, attempt: int
) -> None:
    place = Place(hangs, tool_config(side_effects))
    await place.publish(call())
    async with place.working() as worker:
        while not place.executor.asked:
            await asyncio.sleep(0)
        await worker.drain(0)
    record = await place.record(call())
    assert record is not None
    assert (record.outcome, record.attempt) == (outcome, attempt)
    place.executor.play = adding
    assert await place.handler.handle(await place.delivery()) == Done()
    assert len(place.executor.asked) == (2 if outcome is Outcome.RESERVED else 1)


@pytest.mark.fault(3)
async def test_the_end_of_a_worker_that_was_overtaken_is_refused() -> None:
    place = Place()

    async def overtaken(function: str, arguments: dict[str, Any]) -> Any:
        noted = await place.ledger.read(call().id)
        await place.ledger.reserve(call().id, noted, sequence=1)
        return await adding(function, arguments)

    place.executor.play = overtaken
    await place.publish(call())
    assert await place.handler.handle(await place.delivery()) == Lost()
    record = await place.record(call())
    assert record is not None
    assert (record.outcome, record.attempt) == (Outcome.RESERVED, 2)


def never() -> tuple[Any, asyncio.Event]:
    """A function that never returns, and an event for when it was begun."""
    begun = asyncio.Event()

    async def play(_function: str, _arguments: dict[str, Any]) -> Any:
        begun.set()
        await asyncio.Event().wait()

    return play, begun


@pytest.mark.parametrize(
    ("side_effects", "outcome"),
    [
        pytest.param(SideEffects.IDEMPOTENT, Outcome.FAILED, id="idempotent"),
        pytest.param(ONCE, Outcome.UNKNOWN, id="at most once"),
    ],
)
async def test_a_call_ends_with_its_run(side_effects: SideEffects, outcome: Outcome) -> None:
    play, begun = never()
    place = Place(play, tool_config(side_effects))
    await place.publish(call())
    handling = asyncio.create_task(place.handler.handle(await place.delivery()))
    await begun.wait()

    place.handler.cancellations.cancel(OTHER, "t1")
    place.handler.cancellations.cancel(MATH, "t2")
    await asyncio.sleep(0.05)  # for an end that would come, wrongly
    assert not handling.done()
    place.handler.cancellations.cancel(MATH, "t1")

    assert await asyncio.wait_for(handling, 1) == Done()
    record = await place.record(call())
    assert record is not None
    assert record.outcome is outcome
    assert record.error == "add was broken off: its run was cancelled"


async def test_a_call_whose_run_was_cancelled_before_is_not_begun() -> None:
    place = Place()
    place.handler.cancellations.cancel(MATH, "t1")
    await place.publish(call())

    assert await place.handler.handle(await place.delivery()) == Done()

    record = await place.record(call())
    assert record is not None
    assert record.outcome is Outcome.FAILED
    assert "was not run" in str(record.error)
    assert place.executor.asked == []


async def test_only_so_many_cancelled_runs_are_remembered() -> None:
    cancellations = Cancellations()
    for number in range(MOST_REMEMBERED + 1):
        cancellations.cancel(MATH, f"t{number}")

    assert not cancellations.includes(call(task="t0"))
    assert cancellations.includes(call(task="t1"))
