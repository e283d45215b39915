"""Who leads, and that nobody leads beside him."""

import asyncio
from dataclasses import dataclass

import pytest

from runtime.contract.keys import dispatcher_lease
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.dispatch.lease import Election, LeadershipLost, Lease, Seen, Take, claim
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Entry, RevisionConflict

STACK = ObjectName(namespace="ns", name="stack")
LEASE_SECONDS = 0.3


def entry(holder: str | None, revision: int = 4) -> Entry:
    return Entry(dispatcher_lease(), Lease(holder=holder).encode(), revision)


@pytest.mark.parametrize(
    ("found", "seen", "claimed"),
    [
        pytest.param(None, None, Take(None), id="nobody ever led"),
        pytest.param(entry(None), None, Take(4), id="the lease was given back"),
        pytest.param(entry("me"), None, Take(4), id="it is ours already"),
        pytest.param(entry("other"), None, Seen(4, 10), id="somebody leads"),
        pytest.param(entry("other"), Seen(3, 1), Seen(4, 10), id="he has renewed it"),
        pytest.param(entry("other"), Seen(4, 6), Seen(4, 6), id="he is silent"),
        pytest.param(entry("other"), Seen(4, 5), Take(4), id="he is silent for too long"),
    ],
)
def test_claim(found: Entry | None, seen: Seen | None, claimed: Take | Seen) -> None:
    assert claim(found, seen, me="me", now=10, lease_seconds=5) == claimed


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> MemoryStore:
    return MemoryQueue(STACK).link().store(Bucket.CONVERSATIONS)


async def test_a_leader_that_slept_too_long_stops_by_itself(store: MemoryStore) -> None:
    clock = Clock()
    term = await Election(store, "a", LEASE_SECONDS, clock).campaign()
    clock.now += LEASE_SECONDS * 0.9
    term.check()

    clock.now += LEASE_SECONDS * 0.2

    with pytest.raises(LeadershipLost, match="not renewed in time"):
        term.check()


async def test_a_leader_that_renews_leads_on(store: MemoryStore) -> None:
    election = Election(store, "a", LEASE_SECONDS)
    term = await election.campaign()
    renewing = asyncio.create_task(election.renew(term))
    other = asyncio.create_task(Election(store, "b", LEASE_SECONDS).campaign())

    await asyncio.sleep(LEASE_SECONDS * 3)

    term.check()
    assert not other.done()
    renewing.cancel()
    await asyncio.wait_for(other, LEASE_SECONDS * 3)
    with pytest.raises(LeadershipLost):
        term.check()


async def test_a_lease_that_is_given_back_is_taken_at_once(store: MemoryStore) -> None:
    first = Election(store, "a", 60)
    term = await first.campaign()
    other = Election(store, "b", 1)
    await first.resign(term)

    async with asyncio.timeout(0.5):
        await other.campaign()


async def test_of_many_candidates_one_leads(store: MemoryStore) -> None:
    candidates = [asyncio.create_task(Election(store, name, 60).campaign()) for name in "abcdefgh"]

    done, pending = await asyncio.wait(candidates, timeout=0.2)

    assert len(done) == 1
    for candidate in pending:
        candidate.cancel()


async def test_who_finds_another_leader_stops(store: MemoryStore) -> None:
    election = Election(store, "a", LEASE_SECONDS)
    term = await election.campaign()
    await store.put(dispatcher_lease(), Lease(holder="b").encode())

    with pytest.raises(LeadershipLost, match="another dispatcher"):
        await election.renew(term)
    with pytest.raises(RevisionConflict):
        await election.resign(term)


async def test_a_renewal_whose_confirmation_was_lost_still_counts(store: MemoryStore) -> None:
    election = Election(store, "a", LEASE_SECONDS)
    term = await election.campaign()
    await store.put(dispatcher_lease(), Lease(holder="a").encode())
    renewing = asyncio.create_task(election.renew(term))

    await asyncio.sleep(LEASE_SECONDS * 2)

    term.check()
    assert not renewing.done()
    renewing.cancel()
