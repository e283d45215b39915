"""Events that were not heard, found in what is kept."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from runtime.amf import relay
from runtime.amf.errors import NotFound, Overdue
from runtime.amf.relay import Following, Kept, Relay, is_whole
from runtime.amf.sequence import Sequence
from runtime.contract.approval import Approval, Verdict
from runtime.contract.messages import (
    ApprovalNeeded,
    Completed,
    Event,
    Message,
    Options,
    Role,
    Started,
    Task,
)
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.runs import Held, Runs
from runtime.tests.amf.events import (
    MATH,
    TASK,
    attempts,
    call_key,
    completed,
    needed,
    said,
    started,
)
from runtime.transport.memory import MemoryQueue

STACK = ObjectName(namespace="team", name="default")
EVENTS = attempts([started(), said("a"), said("b"), completed("ab")])


@dataclass
class Place:
    """One task on a queue in memory, and somebody who follows it."""

    queue: MemoryQueue = field(default_factory=lambda: MemoryQueue(STACK))
    whole: bool = False
    seconds: float = 60

    def __post_init__(self) -> None:
        self.link = self.queue.link()
        self.runs = Runs(self.link.store(Bucket.RUNS))
        self.task = Task(
            id=TASK,
            stack=STACK,
            agent=MATH,
            origin="here",
            input=(Message(role=Role.USER, text="?"),),
            created=time.time(),
            deadline=time.time() + self.seconds,
        )
        kept = Kept(self.queue.subjects, self.link.reader(Stream.EVENTS))
        self.following = Following(self.task, self.runs, kept, whole=self.whole)

    async def accept(self) -> Held:
        return await self.runs.accept(RunRecord(task=self.task))

    async def publish(self, *events: Event) -> None:
        subject = self.queue.subjects.events(MATH, "here", TASK)
        for event in events:
            await self.link.outbox.signal(subject, event.encode())

    async def end(self, held: Held) -> None:
        begun = await self.runs.begin(held, "w1")
        end = EVENTS[-1]
        assert isinstance(end, Completed)
        await self.runs.end(begun, end)

    async def told(self) -> list[Event]:
        return [event async for batch in self.following.batches() for event in batch]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(relay, "GAP_SECONDS", 0.05)


async def test_what_is_published_is_heard_as_it_comes() -> None:
    place = Place()
    hub = Relay(place.link.outbox)
    await place.accept()
    async with hub.listening(place.queue.subjects.events_for("here")):
        with hub.open(TASK, place.following):
            await place.publish(*EVENTS)
            told = await place.told()

    assert told == EVENTS


async def test_a_gap_is_filled_from_what_is_kept() -> None:
    place = Place()
    await place.accept()
    await place.publish(*EVENTS)
    for event in (EVENTS[0], EVENTS[2], EVENTS[3]):
        place.following.push(event)

    assert await place.told() == EVENTS


async def test_a_gap_is_filled_while_others_keep_coming() -> None:
    """One lost piece must not hold up an answer until its end."""
    place = Place()
    await place.accept()
    many = attempts([started(), *(said(str(number)) for number in range(40))])
    await place.publish(*many)
    batches = place.following.batches()

    async def keep_coming() -> None:
        for event in (many[0], *many[2:]):
            place.following.push(event)
            await asyncio.sleep(0.02)

    coming = asyncio.create_task(keep_coming())
    first = await anext(batches)
    second = await anext(batches)

    assert first == many[:1]
    assert second[0] == many[1]
    assert not coming.done()
    coming.cancel()
    await asyncio.gather(coming, return_exceptions=True)


TWICE = attempts([started(), said("a"), said("b")], [started("w2"), said("a"), completed("a")])


@pytest.mark.parametrize(
    ("kept", "heard"),
    [
        pytest.param(TWICE, TWICE, id="all of it"),
        pytest.param(TWICE, [*TWICE[:2], *TWICE[3:]], id="not how the first attempt ended"),
        pytest.param(TWICE, TWICE[3:], id="nothing of the first attempt"),
        pytest.param(
            [*TWICE[:1], *TWICE[2:]], [TWICE[0], *TWICE[2:]], id="not what nobody has kept"
        ),
        pytest.param(
            [*TWICE[:3], *attempts([completed("b")])],
            [*TWICE[:2], *attempts([completed("b")])],
            id="not what came before an end that somebody else has told",
        ),
    ],
)
async def test_whatever_was_missed_all_are_told_the_same(
    kept: list[Event], heard: list[Event]
) -> None:
    """So that a number means the same event to whoever streams it."""
    place, later = Place(), Sequence()
    await place.accept()
    await place.publish(*kept)
    for event in heard:
        place.following.push(event)

    told = await asyncio.wait_for(place.told(), 2)

    assert told == [one for event in kept for one in later.take(event)]


async def test_two_may_follow_one_run_and_one_of_them_may_go() -> None:
    place, other = Place(), Place()
    hub = Relay(place.link.outbox)
    await place.accept()
    async with hub.listening(place.queue.subjects.events_for("here")):
        with hub.open(TASK, place.following):
            with hub.open(TASK, other.following):
                await place.publish(*EVENTS[:2])
            await place.publish(*EVENTS[2:])
            told = await place.told()
    first = await anext(other.following.batches())

    assert told == EVENTS
    assert first == EVENTS[:2]


@pytest.mark.parametrize(
    ("published", "stream", "expected"),
    [
        pytest.param(EVENTS, True, True, id="all of them"),
        pytest.param(EVENTS[1:], True, False, id="the first one has expired"),
        pytest.param([], True, False, id="all have expired"),
        pytest.param(TWICE[3:], True, False, id="the first attempt has expired"),
        pytest.param(TWICE[3:], False, True, id="the first attempt had nothing to tell"),
    ],
)
def test_whether_the_events_of_a_run_are_kept_from_its_beginning(
    published: list[Event], *, stream: bool, expected: bool
) -> None:
    task = Place().task.model_copy(update={"options": Options(stream=stream)})

    assert is_whole(task, published) is expected


async def test_what_nobody_kept_is_passed_over() -> None:
    place = Place()
    await place.accept()
    for event in (EVENTS[0], EVENTS[2], EVENTS[3]):
        place.following.push(event)

    assert await place.told() == [EVENTS[0], EVENTS[2], EVENTS[3]]


@pytest.mark.parametrize("whole", [False, True])
async def test_an_end_that_nobody_told_is_read_from_the_record(*, whole: bool) -> None:
    place = Place(whole=whole)
    held = await place.accept()
    await place.publish(*EVENTS[:2])
    await place.end(held)

    told = await asyncio.wait_for(place.told(), 2)

    assert told[:2] == EVENTS[:2]
    assert isinstance(told[-1], Completed)
    assert told[-1].text == "ab"


NEEDED = attempts([started(), said("a"), needed(0, left=1), needed(1)])


def approvals(*verdicts: Verdict | None) -> tuple[Approval, ...]:
    return tuple(
        Approval(call=call_key(number), function="plus", arguments="{}", expires=2e9, verdict=one)
        for number, one in enumerate(verdicts)
    )


async def test_who_follows_a_run_is_told_that_it_needs_people_and_no_more() -> None:
    place = Place(whole=True)
    await place.accept()
    for event in (*NEEDED, *attempts([], [started("w2")])):
        place.following.push(event)

    assert await place.told() == NEEDED
    assert place.following.is_paused


@pytest.mark.parametrize("whole", [False, True])
async def test_approvals_that_nobody_told_are_read_from_the_record(*, whole: bool) -> None:
    place = Place(whole=whole, seconds=-relay.OVERDUE_SECONDS - 1)
    begun = await place.runs.begin(await place.accept(), "w1")
    await place.publish(*NEEDED[:2])
    await place.runs.park(begun, approvals(None, None))

    told = await asyncio.wait_for(place.told(), 2)

    assert told[:2] == NEEDED[:2]
    assert [event.number for event in told if isinstance(event, ApprovalNeeded)] == [0, 1]
    assert place.following.is_paused


async def test_who_has_decided_hears_what_was_told_before_and_how_it_goes_on() -> None:
    """Nothing is overdue before somebody queues it again."""
    place = Place(seconds=-relay.OVERDUE_SECONDS - 1)
    begun = await place.runs.begin(await place.accept(), "w1")
    await place.runs.park(begun, approvals(Verdict.APPROVED, Verdict.DENIED))
    place.following.recall(NEEDED, answered=1)
    batches = place.following.batches()
    assert await anext(batches) == NEEDED
    goes_on = asyncio.ensure_future(anext(batches))
    await asyncio.wait({goes_on}, timeout=0.3)
    assert not goes_on.done()

    again = attempts([], [started("w2"), needed(2)])
    for event in again:
        place.following.push(event)

    assert await goes_on == again
    assert place.following.is_paused


async def test_who_wants_the_whole_is_not_woken_before() -> None:
    place = Place(whole=True)
    await place.accept()
    for event in EVENTS:
        place.following.push(event)
    batches = [batch async for batch in place.following.batches()]

    assert batches == [EVENTS]


async def test_a_run_that_nobody_has_yet_is_waited_for() -> None:
    place = Place()
    await place.accept()
    telling = asyncio.create_task(place.told())
    await asyncio.sleep(0.3)  # it does not end meanwhile
    assert not telling.done()

    for event in EVENTS:
        place.following.push(event)

    assert await telling == EVENTS


async def test_a_run_that_was_deleted_is_said_to_be_gone() -> None:
    place = Place()

    with pytest.raises(NotFound):
        await asyncio.wait_for(place.told(), 2)


async def test_a_run_without_an_end_long_after_its_deadline_is_given_up() -> None:
    place = Place(seconds=-relay.OVERDUE_SECONDS - 1)
    await place.accept()

    with pytest.raises(Overdue):
        await asyncio.wait_for(place.told(), 2)


async def test_garbage_on_the_subject_is_passed_over() -> None:
    place = Place()
    hub = Relay(place.link.outbox)
    await place.accept()
    async with hub.listening(place.queue.subjects.events_for("here")):
        with hub.open(TASK, place.following):
            subject = place.queue.subjects.events(MATH, "here", TASK)
            await place.link.outbox.signal(subject, b"not json")
            await place.publish(*EVENTS)
            told = await place.told()

    assert isinstance(told[0], Started)
    assert told == EVENTS


async def test_an_end_that_comes_while_the_reader_is_busy_is_handed_on() -> None:
    place = Place()
    for event in EVENTS[:2]:
        place.following.push(event)
    batches = place.following.batches()
    told = await anext(batches)

    for event in EVENTS[2:]:
        place.following.push(event)
    told += [event async for batch in batches for event in batch]

    assert told == EVENTS
