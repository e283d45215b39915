"""Conversations in a bucket: what is kept, what is given, and that nothing is said twice."""

import asyncio
import logging
import random
import string
from collections.abc import AsyncIterator
from typing import override

import pytest

from runtime.contract.catalogue import WhenBusy
from runtime.contract.keys import conversation_chunk, conversation_head
from runtime.contract.messages import Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.state.conversation_head import Admission, Admitted, Head, Turn, Waits, turn_of
from runtime.state.conversation_turns import INLINE_BYTES, LARGE_BYTES, PART_BYTES
from runtime.state.conversations import Conversations, NoConversation
from runtime.transport.memory import MemoryQueue
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Entry

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")


class Interleaved(MemoryStore):
    """A bucket far away: others come in between reading and writing."""

    @override
    async def get(self, key: str) -> Entry | None:
        await _others()
        return await super().get(key)

    @override
    async def update(self, key: str, value: bytes, revision: int) -> int:
        await _others()
        return await super().update(key, value, revision)


async def _others() -> None:
    for _ in range(random.randrange(4)):
        await asyncio.sleep(0)


@pytest.fixture
def store() -> MemoryStore:
    seed = random.randrange(2**32)
    logging.getLogger(__name__).warning("seed %d", seed)
    random.seed(seed)
    queue = MemoryQueue(STACK)
    return Interleaved(queue.buckets, queue.subjects.bucket(Bucket.CONVERSATIONS))


def user(text: str) -> Message:
    return Message(role=Role.USER, text=text)


def assistant(text: str) -> Message:
    return Message(role=Role.ASSISTANT, text=text)


def words(size: int) -> str:
    return "".join(random.choices(string.ascii_letters + "äöü\n", k=size))


def record(
    task: str, text: str = "yes", *, state: RunState = RunState.COMPLETED, said: str | None = None
) -> RunRecord:
    return RunRecord(
        task=Task(
            id=task,
            stack=STACK,
            agent=MATH,
            origin="api",
            conversation="c",
            input=(user(said or f"{task}?"),),
            created=0,
            deadline=600,
        ),
        state=state,
        text=text if state is RunState.COMPLETED else None,
    )


async def admit(talk: Conversations, task: str, **options: int) -> Admission:
    return await talk.admit(
        "c", "ann", task, agent=MATH, when_busy=WhenBusy.QUEUE, now=0, deadline=600, **options
    )


async def say(talk: Conversations, task: str, text: str = "yes", said: str | None = None) -> None:
    """One whole run."""
    assert isinstance(await admit(talk, task), Admitted)
    assert await talk.finish(record(task, text, said=said)) is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        pytest.param(RunState.COMPLETED, True, id="completed"),
        pytest.param(RunState.FAILED, False, id="failed"),
        pytest.param(RunState.CANCELLED, False, id="cancelled"),
    ],
)
def test_only_a_completed_run_leaves_something(state: RunState, kept: bool) -> None:
    left = Turn(task="t1", messages=(user("t1?"), assistant("yes")))

    assert turn_of(record("t1", state=state)) == (left if kept else None)


async def test_each_run_hears_what_was_said_before(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann", items=(Message(role=Role.SYSTEM, text="short"),), cursor="i1")
    await say(talk, "t1")

    admission = await admit(talk, "t2")

    said = (Message(role=Role.SYSTEM, text="short"), user("t1?"), assistant("yes"))
    assert admission == Admitted(2, said)


async def test_the_next_in_line_is_given_until_it_ends(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    assert [await admit(talk, f"t{n}") for n in (1, 2, 3)] == [Admitted(1), Waits(2), Waits(3)]

    given = [await talk.finish(record("t1")) for _ in range(3)]

    assert [place.task for place in given if place] == ["t2", "t2", "t2"]
    assert await talk.turn("c") == given[0]
    assert await talk.history("c") == (user("t1?"), assistant("yes"))


async def test_a_cancelled_one_leaves_the_line(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    for task in ("t1", "t2", "t3"):
        await admit(talk, task)

    await talk.finish(record("t2", state=RunState.CANCELLED))
    after = await talk.finish(record("t1", state=RunState.FAILED))

    assert after is not None
    assert after.task == "t3"
    assert await talk.history("c") == ()


async def test_a_place_without_a_record_can_be_taken_away(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    await admit(talk, "t1")
    await admit(talk, "t2")

    after = await talk.abandon("c", "t1")

    assert after is not None
    assert after.task == "t2"


async def test_a_run_that_goes_on_cannot_be_finished(store: MemoryStore) -> None:
    with pytest.raises(ValueError, match="run t1 has not ended: it is Running"):
        await Conversations(store).finish(record("t1", state=RunState.RUNNING))


async def test_another_users_conversation_is_not_there(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann", items=(user("secret"),))

    for asked in (
        talk.open("c", "bob"),
        talk.get("c", "bob"),
        talk.import_items("c", "bob", (user("me too"),), after=None, cursor="x"),
        talk.admit("c", "bob", "t1", agent=MATH, when_busy=WhenBusy.QUEUE, now=0, deadline=1),
        talk.unsynced("c", "bob"),
        talk.mark_synced("c", "bob", 1),
    ):
        with pytest.raises(NoConversation, match="there is no conversation c"):
            await asked
    assert await talk.get("c", "ann") == await talk.open("c", "ann")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "x" * 129])
async def test_an_id_that_is_none_opens_nothing(store: MemoryStore, name: str) -> None:
    with pytest.raises(NoConversation):
        await Conversations(store).open(name, "ann")


async def test_a_long_conversation_rewrites_little_and_forgets_nothing(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    texts = [words(1500) for _ in range(200)]

    for number, text in enumerate(texts):
        await say(talk, f"t{number}", text)

    head = await talk.get("c", "ann")
    assert head.length == len(texts)
    assert head.chunks >= 4
    assert len(head.encode()) < INLINE_BYTES + LARGE_BYTES
    everything = await talk.history("c", history_bytes=10_000_000)
    assert [message.text for message in everything[1::2]] == texts
    some = await talk.history("c", history_bytes=20_000)
    assert 0 < len(some) < len(everything)
    assert everything[-len(some) :] == some


async def test_a_large_turn_is_kept_beside_the_head(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    long = words(3 * PART_BYTES)

    await say(talk, "t1", long, said=long)
    await say(talk, "t2")

    assert len((await talk.get("c", "ann")).encode()) < 1000
    assert await talk.history("c", history_bytes=10_000_000) == (
        user(long),
        assistant(long),
        user("t2?"),
        assistant("yes"),
    )
    assert await talk.history("c") == (user("t2?"), assistant("yes"))


async def test_everything_that_is_kept_stays_small(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann", items=tuple(user(words(5000)) for _ in range(100)))
    for number in range(30):
        await say(talk, f"t{number}", words(random.randrange(40_000)))

    sizes = [len(entry.value) async for entry in _entries(store)]

    assert max(sizes) <= PART_BYTES


async def test_a_chunk_of_a_crashed_writer_is_not_a_second_truth(store: MemoryStore) -> None:
    """It died between writing the chunk and the head; meanwhile more was said."""
    talk = Conversations(store)
    await talk.open("c", "ann")
    await say(talk, "t1", words(20_000))
    old = Head.decode(await _value(store, conversation_head("c")))
    chunk = b'{"turns":[' + b",".join(turn.encode() for turn in old.turns) + b"]}"
    await store.create(conversation_chunk("c", 0), chunk)

    for number in range(2, 8):
        await say(talk, f"t{number}", words(20_000))

    history = await talk.history("c", history_bytes=10_000_000)
    assert [message.text for message in history[::2]] == [f"t{n}?" for n in range(1, 8)]


async def test_two_who_finish_and_one_who_imports_at_the_same_time(store: MemoryStore) -> None:
    """The server and the dispatcher see the same ends, while a client adds items."""
    talks = [Conversations(store) for _ in range(3)]
    await talks[0].open("c", "ann")
    tasks = [f"t{number}" for number in range(12)]
    for task in tasks:
        await admit(talks[0], task)
    texts = {task: words(9_000) for task in tasks}

    async def finish_all(talk: Conversations) -> None:
        for task in tasks:
            await talk.finish(record(task, texts[task]))

    async def import_all(talk: Conversations) -> None:
        for number in range(12):
            after = str(number - 1) if number else None
            await talk.import_items(
                "c", "ann", (user(f"item {number}"),), after=after, cursor=str(number)
            )

    await asyncio.gather(finish_all(talks[0]), finish_all(talks[1]), import_all(talks[2]))

    history = await talks[0].history("c", history_bytes=10_000_000)
    assert [m.text for m in history if m.role is Role.ASSISTANT] == list(texts.values())
    items = [m.text for m in history if m.text.startswith("item")]
    assert items == [f"item {n}" for n in range(12)]
    assert (await talks[0].get("c", "ann")).length == 24


async def test_the_server_is_told_what_it_does_not_know(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann", items=(user("its own"),), cursor="i1")
    await say(talk, "t1", words(LARGE_BYTES))
    await say(talk, "t2")

    told = await talk.unsynced("c", "ann")

    assert [turn.task for turn in told.turns] == ["t1", "t2"]
    assert [len(turn.messages) for turn in told.turns] == [2, 2]
    await talk.mark_synced("c", "ann", told.length, "i5")
    assert (await talk.unsynced("c", "ann")).turns == ()
    await say(talk, "t3")
    assert [turn.task for turn in (await talk.unsynced("c", "ann")).turns] == ["t3"]


async def test_of_what_is_erased_nothing_is_left(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    secret = "secret" + words(LARGE_BYTES)
    for number in range(60):
        await say(talk, f"t{number}", secret if number % 20 == 0 else "secret" + words(3000))
    assert (await talk.get("c", "ann")).chunks > 0

    with pytest.raises(NoConversation):
        await talk.erase("c", "bob")
    await talk.erase("c", "ann")
    await talk.erase("c", "ann")

    with pytest.raises(NoConversation):
        await talk.get("c", "ann")
    assert [entry.key async for entry in _entries(store) if not entry.deleted] == []


@pytest.mark.parametrize("size", [10, LARGE_BYTES])
async def test_a_run_that_ends_after_its_conversation_was_erased_leaves_nothing(
    store: MemoryStore, size: int
) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    await admit(talk, "t1")
    await talk.erase("c", "ann")

    assert await talk.finish(record("t1", words(size))) is None
    with pytest.raises(NoConversation):
        await talk.import_items("c", "ann", (user(words(size)),), after=None, cursor="1")
    assert [entry.key async for entry in _entries(store)] == []


async def test_an_end_that_is_told_again_writes_nothing(store: MemoryStore) -> None:
    talk = Conversations(store)
    await talk.open("c", "ann")
    await say(talk, "t1", words(LARGE_BYTES))
    await talk.forget("c", "t1")

    await talk.finish(record("t1", words(LARGE_BYTES)))

    assert await store.keys("blobs.>") == []


class Erased(MemoryStore):
    """A bucket in which somebody erases the conversation.

    Shape:
        after  what is read or written before he does: the beginnings of keys, in order.
    """

    after: tuple[str, ...] = ()

    @override
    async def get(self, key: str) -> Entry | None:
        entry = await super().get(key)
        await self._seen(key)
        return entry

    @override
    async def put(self, key: str, value: bytes) -> int:
        revision = await super().put(key, value)
        await self._seen(key)
        return revision

    async def _seen(self, key: str) -> None:
        if self.after and key.startswith(self.after[0]):
            self.after = self.after[1:]
            if not self.after:
                await Conversations(self).erase("c", "ann")


@pytest.fixture
def erased() -> Erased:
    queue = MemoryQueue(STACK)
    return Erased(queue.buckets, queue.subjects.bucket(Bucket.CONVERSATIONS))


@pytest.mark.parametrize(
    ("after", "size"),
    [
        pytest.param(("heads",), LARGE_BYTES, id="before a large turn is written"),
        pytest.param(("blobs",), 3 * PART_BYTES, id="between its parts"),
        pytest.param(("blobs", "heads"), LARGE_BYTES, id="before the head names it"),
        pytest.param(("chunks",), LARGE_BYTES // 2, id="before the head counts a chunk"),
    ],
)
async def test_what_is_written_while_it_is_erased_goes(
    erased: Erased, after: tuple[str, ...], size: int
) -> None:
    talk = Conversations(erased)
    await talk.open("c", "ann")
    for number in range(3):
        await say(talk, f"t{number}", words(LARGE_BYTES // 2))
    await admit(talk, "t4")
    erased.after = after

    assert await talk.finish(record("t4", words(size))) is None

    assert erased.after == ()
    assert [entry.key async for entry in _entries(erased)] == []


async def test_who_forgets_in_what_is_erased_brings_nothing_back(erased: Erased) -> None:
    talk = Conversations(erased)
    await talk.open("c", "ann")
    for number in range(20):
        await say(talk, f"t{number}", words(LARGE_BYTES // 4))
    assert (await talk.get("c", "ann")).chunks > 0
    chunks = ("chunks",) * (await talk.get("c", "ann")).chunks
    erased.after = (*chunks, "heads", "chunks")

    await talk.forget("c", "t0")

    assert erased.after == ()
    assert [entry.key async for entry in _entries(erased)] == []


async def test_a_run_that_ends_while_its_conversation_is_erased_leaves_nothing() -> None:
    class Late(MemoryStore):
        """A run comes to its end right before the head goes."""

        @override
        async def purge(self, pattern: str) -> None:
            if pattern == conversation_head("c"):
                await Conversations(self).finish(record("t1", words(LARGE_BYTES)))
                assert await self.keys("blobs.>") != []
            await super().purge(pattern)

    queue = MemoryQueue(STACK)
    late = Late(queue.buckets, queue.subjects.bucket(Bucket.CONVERSATIONS))
    talk = Conversations(late)
    await talk.open("c", "ann")
    await admit(talk, "t1")

    await talk.erase("c", "ann")

    assert [entry.key async for entry in _entries(late)] == []


async def _entries(store: MemoryStore) -> AsyncIterator[Entry]:
    async for entry in store.watch():
        if entry is None:
            return
        yield entry


async def _value(store: MemoryStore, key: str) -> bytes:
    entry = await store.get(key)
    assert entry is not None
    return entry.value
