"""The ledger: what follows from a record, and who may write it."""

from typing import override

import pytest

from runtime.contract.agent_config import SideEffects
from runtime.contract.messages import CallResult, Outcome
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.state import ledger
from runtime.state.ledger import Ledger, Next, Noted, Overtaken, what_next
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Unavailable

KEY = "team.add.team.math.t1.5.0"
NONE, IDEMPOTENT, ONCE = SideEffects.NONE, SideEffects.IDEMPOTENT, SideEffects.AT_MOST_ONCE


def record(outcome: Outcome = Outcome.RESERVED, attempt: int = 1, sequence: int = 7) -> CallResult:
    return CallResult(call=KEY, outcome=outcome, attempt=attempt, sequence=sequence)


@pytest.mark.parametrize(
    ("noted", "side_effects", "then"),
    [
        pytest.param(None, NONE, Next.RUN, id="nothing is known"),
        pytest.param(None, ONCE, Next.RUN, id="nothing is known, at most once"),
        pytest.param(record(), NONE, Next.RUN, id="a lost worker, no effect"),
        pytest.param(record(), IDEMPOTENT, Next.RUN, id="a lost worker, idempotent"),
        pytest.param(record(), ONCE, Next.DOUBT, id="a lost worker, at most once"),
        pytest.param(record(attempt=2), IDEMPOTENT, Next.RUN, id="two lost workers"),
        pytest.param(record(attempt=3), IDEMPOTENT, Next.GIVE_UP, id="as many as allowed"),
        pytest.param(record(attempt=0), ONCE, Next.RUN, id="reserved and released"),
        pytest.param(record(sequence=6), IDEMPOTENT, Next.LEAVE, id="another message's"),
        pytest.param(record(sequence=6), ONCE, Next.LEAVE, id="another message's, at most once"),
        pytest.param(record(Outcome.SUCCEEDED), ONCE, Next.REPLAY, id="it worked"),
        pytest.param(record(Outcome.FAILED, sequence=6), NONE, Next.REPLAY, id="it failed"),
        pytest.param(record(Outcome.UNKNOWN), IDEMPOTENT, Next.REPLAY, id="nobody knows"),
    ],
)
@pytest.mark.fault(1)
def test_what_follows_from_a_record(
    noted: CallResult | None, side_effects: SideEffects, then: Next
) -> None:
    assert what_next(noted, sequence=7, side_effects=side_effects, max_attempts=3) is then


@pytest.fixture
def store() -> MemoryStore:
    queue = MemoryQueue(ObjectName(namespace="team", name="default"))
    return queue.link().store(Bucket.EFFECTS)


async def test_a_call_is_reserved_and_finished(store: MemoryStore) -> None:
    book = Ledger(store)
    assert await book.read(KEY) == Noted(None)
    reserved = await book.reserve(KEY, Noted(None), 7)
    assert reserved.record == record()
    end = record(Outcome.SUCCEEDED).model_copy(update={"value": {"sum": 5}})
    await book.finish(KEY, reserved, end)
    assert (await book.read(KEY)).record == end


async def test_of_two_who_reserve_one_wins(store: MemoryStore) -> None:
    book = Ledger(store)
    await book.reserve(KEY, Noted(None), 7)
    with pytest.raises(Overtaken):
        await book.reserve(KEY, Noted(None), 8)


@pytest.mark.fault(3)
async def test_the_end_of_a_lost_worker_is_refused(store: MemoryStore) -> None:
    book = Ledger(store)
    stalled = await book.reserve(KEY, Noted(None), 7)
    taken_over = await book.reserve(KEY, stalled, 7)
    assert taken_over.record == record(attempt=2)
    with pytest.raises(Overtaken):
        await book.finish(KEY, stalled, record(Outcome.SUCCEEDED))


async def test_a_released_reservation_was_no_attempt(store: MemoryStore) -> None:
    book = Ledger(store)
    released = await book.release(KEY, await book.reserve(KEY, Noted(None), 7))
    assert released.record == record(attempt=0)
    assert (await book.reserve(KEY, released, 7)).record == record(attempt=1)


class Flaky(MemoryStore):
    """A store whose writes go unconfirmed for a while; `written`: whether they arrive."""

    silent = 0
    written = False

    @override
    async def update(self, key: str, value: bytes, revision: int) -> int:
        if self.silent == 0:
            return await super().update(key, value, revision)
        self.silent -= 1
        if self.written:
            await super().update(key, value, revision)
        raise Unavailable("no confirmation")


@pytest.mark.parametrize("written", [False, True])
async def test_an_unconfirmed_end_is_written_once(
    written: bool,  # a parameter of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "RETRY_SECONDS", 0.01)
    queue = MemoryQueue(ObjectName(namespace="team", name="default"))
    store = Flaky(queue.buckets, queue.subjects.bucket(Bucket.EFFECTS))
    book = Ledger(store)
    reserved = await book.reserve(KEY, Noted(None), 7)
    store.silent, store.written = 2, written
    await book.finish(KEY, reserved, record(Outcome.SUCCEEDED))
    assert (await book.read(KEY)).record == record(Outcome.SUCCEEDED)


async def test_an_end_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RETRY_SECONDS", 0.01)
    queue = MemoryQueue(ObjectName(namespace="team", name="default"))
    store = Flaky(queue.buckets, queue.subjects.bucket(Bucket.EFFECTS))
    reserved = await Ledger(store).reserve(KEY, Noted(None), 7)
    store.silent = 1000
    end = record(Outcome.SUCCEEDED)
    with pytest.raises(Unavailable, match="the end of the call"):
        await Ledger(store).finish(KEY, reserved, end, patience_seconds=0.1)
