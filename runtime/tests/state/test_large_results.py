"""Results that are too large for the record of their call: there as a whole, or not at all."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, override

import pytest

from runtime.contract.keys import effect_key, effect_part
from runtime.contract.messages import CallResult, Outcome, ResultParts
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.state import ledger
from runtime.state.ledger import Ledger, Noted, Overtaken
from runtime.state.parts import PART_BYTES, PartMissing
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Store, Unavailable

STACK = ObjectName(namespace="team", name="default")
ADD = ObjectName(namespace="team", name="add")
MATH = ObjectName(namespace="team", name="math")
KEY = effect_key(ADD, MATH, "t1", 5, 0)
LARGE = {"text": "äöü" * PART_BYTES, "numbers": [1, 2.5, None]}
DIGEST = hashlib.sha256(b"no JSON").hexdigest()
PARTS = 7  # six bytes for three characters, and what stands around them


def ended(value: Any, attempt: int = 1) -> CallResult:
    return CallResult(call=KEY, outcome=Outcome.SUCCEEDED, value=value, attempt=attempt, sequence=7)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryQueue(STACK).link().store(Bucket.EFFECTS)


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.integration)])
async def sides(
    request: pytest.FixtureRequest, store: MemoryStore, tmp_path: Path
) -> AsyncIterator[tuple[Store, Store]]:
    """The bucket as the tool's worker may use it, and as its caller may."""
    if request.param == "memory":
        yield store, store
        return
    async with (
        running_stack(STACK, tmp_path) as nats,
        nats.link_as(await nats.tool("add")) as tool,
        nats.link_as(await nats.agent("math", calls=[ADD])) as agent,
    ):
        yield tool.store(Bucket.EFFECTS), agent.store(Bucket.EFFECTS)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        pytest.param("x" * (PART_BYTES - 2), 0, id="just fits"),
        pytest.param("x" * (PART_BYTES - 1), 2, id="just does not fit"),
        pytest.param(LARGE, PARTS, id="large"),
    ],
)
async def test_the_caller_reads_what_the_tool_returned(
    sides: tuple[Store, Store], value: Any, parts: int
) -> None:
    tool, agent = Ledger(sides[0]), Ledger(sides[1])
    reserved = await tool.reserve(KEY, Noted(None), 7)
    await tool.finish(KEY, reserved, ended(value))
    record = (await agent.read(KEY)).record
    assert record is not None
    assert (record.parts.count if record.parts else 0) == parts
    assert await agent.whole(KEY, record) == ended(value)


class Mortal(MemoryStore):
    """A store whose user is gone after so many writes."""

    left = 0

    @override
    async def put(self, key: str, value: bytes) -> int:
        if self.left == 0:
            raise RuntimeError("the worker is lost")
        self.left -= 1
        return await super().put(key, value)


@pytest.mark.parametrize("writes", range(PARTS + 1))
@pytest.mark.fault(1)
async def test_a_worker_lost_at_any_write_leaves_its_reservation(writes: int) -> None:
    queue = MemoryQueue(STACK)
    store = Mortal(queue.buckets, queue.subjects.bucket(Bucket.EFFECTS))
    store.left = writes + 1
    book = Ledger(store)
    reserved = await book.reserve(KEY, Noted(None), 7)
    with pytest.raises(RuntimeError, match="lost"):
        await book.finish(KEY, reserved, ended(LARGE))
    assert await book.read(KEY) == reserved
    store.left = 100
    taken_over = await book.reserve(KEY, reserved, 7)
    await book.finish(KEY, taken_over, ended("else" * PART_BYTES, attempt=2))
    record = (await book.read(KEY)).record
    assert record is not None
    assert await book.whole(KEY, record) == ended("else" * PART_BYTES, attempt=2)


@pytest.mark.fault(3)
async def test_a_worker_that_was_overtaken_spoils_no_part(store: MemoryStore) -> None:
    book = Ledger(store)
    stalled = await book.reserve(KEY, Noted(None), 7)
    released = await book.release(KEY, stalled)
    taken_over = await book.reserve(KEY, released, 7)  # counts as the same attempt
    await book.finish(KEY, taken_over, ended(LARGE))
    with pytest.raises(Overtaken):
        await book.finish(KEY, stalled, ended("else" * PART_BYTES))
    record = (await book.read(KEY)).record
    assert record is not None
    assert await book.whole(KEY, record) == ended(LARGE)


class Flaky(MemoryStore):
    """A store that does not confirm its first writes of parts."""

    silent = 0

    @override
    async def put(self, key: str, value: bytes) -> int:
        if self.silent and key != KEY:
            self.silent -= 1
            raise Unavailable("no confirmation")
        return await super().put(key, value)


async def test_parts_that_were_not_confirmed_are_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "RETRY_SECONDS", 0.01)
    queue = MemoryQueue(STACK)
    store = Flaky(queue.buckets, queue.subjects.bucket(Bucket.EFFECTS))
    store.silent = 2
    book = Ledger(store)
    await book.finish(KEY, await book.reserve(KEY, Noted(None), 7), ended(LARGE))
    record = (await book.read(KEY)).record
    assert record is not None
    assert await book.whole(KEY, record) == ended(LARGE)


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        pytest.param({"count": 1, "digest": DIGEST}, b"else", id="another digest"),
        pytest.param({"count": 1, "digest": DIGEST}, b"no JSON", id="no JSON"),
        pytest.param({"count": 10**12, "digest": DIGEST}, b"no JSON", id="parts without end"),
    ],
)
async def test_a_record_that_does_not_hold_is_a_failure(
    store: MemoryStore, parts: dict[str, Any], written: bytes
) -> None:
    await store.put(effect_part(KEY, 1, 0), written)
    record = ended(None).model_copy(update={"parts": ResultParts(reservation=1, **parts)})
    found = await Ledger(store).whole(KEY, record)
    assert (found.outcome, found.value) == (Outcome.FAILED, None)
    assert found.error == "it was carried out, but what it returned is damaged in the queue"


async def test_a_damaged_result_is_a_failure_and_a_missing_part_is_looked_for_again(
    store: MemoryStore,
) -> None:
    book = Ledger(store)
    reserved = await book.reserve(KEY, Noted(None), 7)
    await book.finish(KEY, reserved, ended(LARGE))
    record = (await book.read(KEY)).record
    assert record is not None
    part = effect_part(KEY, reserved.revision, 1)
    await store.put(part, b"else")
    damaged = await book.whole(KEY, record)
    assert (damaged.outcome, damaged.value) == (Outcome.FAILED, None)
    assert damaged.error == "it was carried out, but what it returned is damaged in the queue"
    await store.delete(part)
    with pytest.raises(PartMissing, match=r"\.1 is missing$"):
        await book.whole(KEY, record)
