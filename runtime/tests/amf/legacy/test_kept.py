"""What users have made, kept in a bucket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime.amf.errors import NotFound
from runtime.amf.legacy import values
from runtime.amf.legacy.kept import KeptTurn, Shelf, new_id
from runtime.amf.legacy.values import Overtaken
from runtime.transport.memory_store import MemoryBuckets, MemoryStore
from runtime.transport.port import Entry

CONFIG = {"model": "math", "instructions": "", "name": None}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryBuckets(), "conversations")


@pytest.fixture
def shelf(store: MemoryStore) -> Shelf:
    return Shelf(store, "ada")


def a_turn(text: str = "?") -> KeptTurn:
    return KeptTurn(id=new_id(), messages=({"role": "user", "content": text},), started=1.0)


async def test_what_was_made_is_there(shelf: Shelf) -> None:
    agent = await shelf.create_agent(CONFIG)
    session = await shelf.create_session(agent, "first")
    turn = a_turn()
    await shelf.create_turn(agent, session, turn)

    assert (await shelf.agent(agent)).config == CONFIG
    assert (await shelf.session(agent, session)).children == (turn.id,)
    assert (await shelf.turn(agent, session, turn.id)).kept == turn


async def test_nobody_else_finds_it(store: MemoryStore, shelf: Shelf) -> None:
    agent = await shelf.create_agent(CONFIG)
    other = Shelf(store, "bob")

    with pytest.raises(NotFound) as refused:
        await other.agent(agent)
    assert refused.value.param == "agent_id"
    with pytest.raises(NotFound):
        await other.delete(agent)
    assert await other.agents(0, None) == ([], False)
    assert (await shelf.agent(agent)).id == agent


@pytest.mark.parametrize(
    "name", ["", "a.b", "*", ">", "x" * 300, "Ünicode", "01234567-89ab-4def-8123-456789abcdef"]
)
async def test_what_is_no_id_is_not_found(shelf: Shelf, name: str) -> None:
    with pytest.raises(NotFound):
        await shelf.agent(name)


@pytest.mark.parametrize(
    ("start", "limit", "expected", "has_more"),
    [
        (0, None, [0, 1, 2, 3], False),
        (0, 2, [0, 1], True),
        (2, 2, [2, 3], False),
        (3, 9, [3], False),
        (9, 2, [], False),
    ],
)
async def test_pages(
    shelf: Shelf, start: int, limit: int | None, expected: list[int], *, has_more: bool
) -> None:
    agents = [await shelf.create_agent({"model": str(number)}) for number in range(4)]

    page, more = await shelf.agents(start, limit)

    assert [agent.id for agent in page] == [agents[place] for place in expected]
    assert more is has_more


async def test_agents_that_are_made_at_the_same_time_are_all_listed(shelf: Shelf) -> None:
    made = await asyncio.gather(*(shelf.create_agent(CONFIG) for _ in range(20)))
    page, _ = await shelf.agents(0, None)
    assert {agent.id for agent in page} == set(made)


async def test_of_very_many_the_newest_are_listed_and_all_are_found(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "LISTED", 2)
    made = [await shelf.create_agent(CONFIG) for _ in range(3)]
    page, _ = await shelf.agents(0, None)
    assert [agent.id for agent in page] == made[1:]
    assert (await shelf.agent(made[0])).id == made[0]


async def test_with_an_agent_goes_all_that_belongs_to_it(store: MemoryStore, shelf: Shelf) -> None:
    agent = await shelf.create_agent(CONFIG)
    session = await shelf.create_session(agent, "first")
    turn = a_turn("x" * (3 * values.LARGE_BYTES))
    await shelf.create_turn(agent, session, turn)

    await shelf.delete(agent)

    assert await shelf.agents(0, None) == ([], False)
    with pytest.raises(NotFound):
        await shelf.turn(agent, session, turn.id)
    left = [entry async for entry in _all(store)]
    assert [entry.key for entry in left if not entry.deleted and b"first" in entry.value] == []
    assert not [entry for entry in left if not entry.deleted and ".parts." in entry.key]


async def test_a_large_turn_is_kept_whole(shelf: Shelf) -> None:
    agent = await shelf.create_agent(CONFIG)
    session = await shelf.create_session(agent, "first")
    turn = a_turn("x" * (3 * values.LARGE_BYTES))
    await shelf.create_turn(agent, session, turn)

    assert (await shelf.turn(agent, session, turn.id)).kept == turn


async def test_of_two_who_write_an_end_one_is_told(shelf: Shelf) -> None:
    agent = await shelf.create_agent(CONFIG)
    session = await shelf.create_session(agent, "first")
    held = await shelf.create_turn(agent, session, a_turn())
    await shelf.write_turn(agent, session, held, held.kept.model_copy(update={"ended": 2.0}))

    with pytest.raises(Overtaken):
        await shelf.write_turn(agent, session, held, held.kept.model_copy(update={"ended": 3.0}))

    assert (await shelf.turn(agent, session, held.kept.id)).kept.ended == 2.0


async def _all(store: MemoryStore) -> AsyncIterator[Entry]:
    async for entry in store.watch("legacy.>"):
        if entry is None:
            return
        yield entry
