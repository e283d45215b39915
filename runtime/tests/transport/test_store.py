"""What a bucket promises, in memory and on JetStream, from either account."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.contract.keys import run_key
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Entry, KeyExists, RevisionConflict, WatchableStore

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")


@pytest.fixture(
    params=[
        "memory",
        pytest.param("server", marks=pytest.mark.integration),
        pytest.param("agent", marks=pytest.mark.integration),
    ]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WatchableStore]:
    """The run records, as seen by everyone who may write them."""
    if request.param == "memory":
        yield MemoryQueue(STACK).link().store(Bucket.RUNS)
        return
    async with running_stack(STACK, tmp_path) as nats:
        workload = await (
            nats.agent("math") if request.param == "agent" else nats.serving(Role.SERVER)
        )
        async with nats.link_as(workload) as link:
            yield link.store(Bucket.RUNS)


KEY = run_key(MATH, "t1")


async def test_a_key_goes_through_its_life(store: WatchableStore) -> None:
    assert await store.get(KEY) is None
    first = await store.create(KEY, b"one")
    with pytest.raises(KeyExists):
        await store.create(KEY, b"two")
    second = await store.update(KEY, b"two", first)
    with pytest.raises(RevisionConflict):
        await store.update(KEY, b"three", first)
    assert await store.get(KEY) == Entry(KEY, b"two", second)
    await store.delete(KEY)
    assert await store.get(KEY) is None
    third = await store.create(KEY, b"three")
    assert await store.get(KEY) == Entry(KEY, b"three", third)
    assert third > second > first


async def test_of_many_who_compare_and_set_one_wins(store: WatchableStore) -> None:
    revision = await store.create(KEY, b"0")
    outcomes = await asyncio.gather(
        *(store.update(KEY, str(n).encode(), revision) for n in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RevisionConflict) for outcome in outcomes) == 9


@pytest.fixture(params=["memory", pytest.param("server", marks=pytest.mark.integration)])
async def seen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WatchableStore]:
    """The run records, as seen from the side of the server."""
    if request.param == "memory":
        yield MemoryQueue(STACK).link().store(Bucket.RUNS)
        return
    async with (
        running_stack(STACK, tmp_path) as nats,
        nats.link_as(await nats.serving(Role.DISPATCHER)) as link,
    ):
        yield link.store(Bucket.RUNS)


async def test_a_key_is_found_by_a_pattern(seen: WatchableStore) -> None:
    await seen.put(run_key(MATH, "t1"), b"one")
    await seen.put(run_key(MATH, "t2"), b"two")
    found = await seen.find("*.*.t2")
    assert found is not None
    assert (found.key, found.value) == (run_key(MATH, "t2"), b"two")
    assert await seen.find("*.*.t3") is None


async def test_keys_are_listed_by_a_pattern(seen: WatchableStore) -> None:
    for task in ("t1", "t1.1", "t1.1.2", "t1.3", "t10.1"):
        await seen.put(f"ns.math.{task}", b"one")
    await seen.put("ns.math.t1.1", b"again")
    await seen.delete("ns.math.t1.3")
    assert sorted(await seen.keys("ns.math.t1.>")) == ["ns.math.t1.1", "ns.math.t1.1.2"]
    assert await seen.keys("other.>") == []


async def test_entries_are_scanned_by_a_pattern_the_oldest_first(seen: WatchableStore) -> None:
    for task in ("t1", "t2", "t3"):
        await seen.put(run_key(MATH, task), task.encode())
    await seen.put(run_key(MATH, "t1"), b"again")
    await seen.delete(run_key(MATH, "t3"))
    await seen.put("claims.c", b"no record")

    assert [entry.value async for entry in seen.scan("*.*.*")] == [b"t2", b"again"]
    assert [entry.value async for entry in seen.scan("other.*")] == []


async def test_what_is_taken_away_meanwhile_is_passed_over(seen: WatchableStore) -> None:
    for task in ("t1", "t2", "t3"):
        await seen.put(run_key(MATH, task), task.encode())
    found = []
    async for entry in seen.scan("*.*.*"):
        found.append(entry.value)
        await seen.delete(entry.key)

    assert found == [b"t1", b"t2", b"t3"]


async def test_a_watch_tells_what_is_there_then_what_changes(seen: WatchableStore) -> None:
    await seen.put(run_key(MATH, "t1"), b"old")
    await seen.put(run_key(MATH, "t1"), b"one")
    await seen.put(run_key(MATH, "t2"), b"two")
    watch = seen.watch()
    begun = [await anext(watch) for _ in range(3)]
    assert [entry and entry.value for entry in begun] == [b"one", b"two", None]

    await seen.put(run_key(MATH, "t3"), b"three")
    await seen.delete(run_key(MATH, "t1"))

    later = [await asyncio.wait_for(anext(watch), 5) for _ in range(2)]
    assert [(e.value, e.deleted) for e in later if e] == [(b"three", False), (b"", True)]


async def test_a_watch_of_nothing_says_so_at_once(seen: WatchableStore) -> None:
    assert await asyncio.wait_for(anext(seen.watch()), 5) is None


async def test_a_watch_of_nothing_is_not_confused_by_other_keys(seen: WatchableStore) -> None:
    await seen.put(run_key(MATH, "t1"), b"one")
    assert await asyncio.wait_for(anext(seen.watch("other.*.*")), 5) is None
