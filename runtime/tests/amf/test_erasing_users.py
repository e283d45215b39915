"""Nothing is left of a user who wants it so, wherever he is cut off, and all is left of others."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, override

import orjson
import pytest

from runtime.amf import erasing
from runtime.amf.desk import Desk
from runtime.amf.erasing import Erasing
from runtime.amf.errors import Conflict, NotFound, OutOfReach
from runtime.amf.legacy.kept import Shelf
from runtime.amf.queued import work_of
from runtime.amf.shared import SharedDesk
from runtime.contract.agent_config import Queue, StackConfig
from runtime.contract.dead_letter import DeadLetter, LastWords
from runtime.contract.keys import (
    checkpoint_key,
    claim_key,
    effect_key,
    run_key,
    vectors_key,
)
from runtime.contract.messages import Call, CallResult, Message, Outcome, Role, Started, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import ADVISORY, Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.conversation_turns import LARGE_BYTES
from runtime.state.runs import Runs
from runtime.tests.amf.events import ADD, MATH
from runtime.transport.memory import MemoryLink, MemoryQueue, MemoryReader
from runtime.transport.memory_store import MemoryStore
from runtime.transport.port import Entry, Unavailable

STACK = ObjectName(namespace="team", name="default")
BUCKETS = (Bucket.RUNS, Bucket.CONVERSATIONS, Bucket.CHECKPOINTS, Bucket.EFFECTS)


@dataclass
class Wire:
    """The way to the queue: it breaks at write number `breaks_at`, the first being number 0."""

    breaks_at: int | None = None
    writes: int = 0

    def write(self) -> None:
        self.writes += 1
        if self.breaks_at is not None and self.writes > self.breaks_at:
            raise Unavailable("the way to the queue is cut")


class FarStore(MemoryStore):
    """A bucket behind a wire."""

    def __init__(self, queue: MemoryQueue, bucket: Bucket, wire: Wire) -> None:
        super().__init__(queue.buckets, queue.subjects.bucket(bucket))
        self._wire = wire

    @override
    async def put(self, key: str, value: bytes) -> int:
        self._wire.write()
        return await super().put(key, value)

    @override
    async def delete(self, key: str) -> None:
        self._wire.write()
        await super().delete(key)

    @override
    async def purge(self, pattern: str) -> None:
        self._wire.write()
        await super().purge(pattern)


class FarReader(MemoryReader):
    """A stream behind a wire."""

    def __init__(self, queue: MemoryQueue, stream: Stream, wire: Wire) -> None:
        super().__init__(queue, queue.subjects.stream(stream))
        self._wire = wire

    @override
    async def remove(self, sequence: int) -> None:
        self._wire.write()
        await super().remove(sequence)

    @override
    async def purge(self, subject: str) -> None:
        self._wire.write()
        await super().purge(subject)


@dataclass(slots=True)
class FarLink(MemoryLink):
    """A link whose wire may be cut."""

    wire: Wire

    @override
    def store(self, bucket: Bucket) -> MemoryStore:
        return FarStore(self.queue, bucket, self.wire)

    @override
    def reader(self, stream: Stream) -> MemoryReader:
        return FarReader(self.queue, stream, self.wire)


CONFIG = StackConfig(
    queue=Queue(stack=STACK, url="nats://nowhere", token_file="none", service_account=STACK)
)


def desk_at(queue: MemoryQueue, wire: Wire | None = None) -> Desk:
    return Desk(CONFIG, FarLink(queue, wire or Wire()))


def task_of(user: str, number: int, **about: Any) -> Task:
    return Task(
        id=f"{user}-{number}",
        stack=STACK,
        agent=MATH,
        origin="here",
        user=user,
        input=(Message(role=Role.USER, text=f"words of {user}"),),
        created=0,
        deadline=60,
        **about,
    )


def call_of(task: Task) -> Call:
    key = effect_key(ADD, MATH, task.id, 1, 0)
    return Call(
        id=key,
        task=task.id,
        step=1,
        index=0,
        caller=MATH,
        tool=ADD,
        function="add",
        arguments={"said": f"words of {task.user}"},
        worker="w1",
        deadline=60,
    )


async def live(queue: MemoryQueue, user: str) -> None:
    """Leave words in every place of the queue where a user may leave them."""
    link, subjects = queue.link(), queue.subjects
    talk, claim = f"conv_{user}", claim_key(user, "key")
    task = task_of(user, 1, conversation=talk, response={"claim": claim})
    words, call = f"words of {user}", call_of(task)
    desk = desk_at(queue)
    await Runs(link.store(Bucket.RUNS)).accept(
        RunRecord(task=task, state=RunState.COMPLETED, text=words)
    )
    await link.store(Bucket.RUNS).put(claim, b"words of a claim")
    await link.store(Bucket.CHECKPOINTS).put(checkpoint_key(MATH, task.id), words.encode())
    result = CallResult(call=call.id, outcome=Outcome.SUCCEEDED, value=words)
    await link.store(Bucket.EFFECTS).put(call.id, result.encode())
    for number in range(30):
        many = LARGE_BYTES // 8 if number == 0 else 300
        items = (Message(role=Role.USER, text=words * many),)
        await desk.conversations.open(talk, user)
        after = str(number - 1) if number else None
        await desk.conversations.import_items(talk, user, items, after=after, cursor=str(number))
    shelf = Shelf(link.store(Bucket.CONVERSATIONS), user)
    await shelf.create_session(await shelf.create_agent({"instructions": words}), words)
    await link.store(Bucket.CONVERSATIONS).put(vectors_key(user, "db"), words.encode())
    event = Started(task=task.id, attempt=1, seq=1, worker=words)
    await link.outbox.signal(subjects.events(MATH, "here", task.id), event.encode())
    await link.outbox.publish(subjects.tasks(MATH), task.encode())
    await link.outbox.publish(subjects.calls(ADD, MATH), call.encode())
    for dead, stream in ((task, Stream.TASKS), (call, Stream.CALLS)):
        letter = DeadLetter(stream=stream, sequence=7, reason="no", deliveries=1)
        owner = MATH if stream is Stream.TASKS else ADD
        await link.outbox.publish(
            subjects.dead(stream, owner), dead.encode(), headers=letter.headers()
        )
        last = LastWords.about("no", "subject", dead.encode())
        advisory = orjson.dumps({"stream": "s", "reason": last.spoken()})
        name = f"{ADVISORY}.MSG_TERMINATED.{subjects.stream(stream)}.d"
        await link.outbox.publish(name, advisory)


async def left(queue: MemoryQueue, user: str) -> list[str]:
    """Where something of a user still stands."""
    found = []
    said = f"words of {user}".encode()
    found = [
        stored.subject
        for stream in Stream
        for stored in queue.messages(stream)
        if said in stored.data or said in _last_words(stored.data)
    ]
    for bucket in BUCKETS:
        entries = [entry async for entry in queue.link().store(bucket).scan(">")]
        claim = claim_key(user, "key")
        found += [one.key for one in entries if said in one.value or one.key == claim]
    return found


def _last_words(data: bytes) -> bytes:
    return LastWords.heard(orjson.loads(data).get("reason", "")).data or b""


async def test_a_user_leaves_nothing_and_takes_nothing_of_others() -> None:
    queue = MemoryQueue(STACK)
    for user in ("ann", "bob"):
        await live(queue, user)
    others = await left(queue, "bob")

    await Erasing(desk_at(queue), "ann").erase()

    assert len(others) > 12
    assert await left(queue, "ann") == []
    assert await left(queue, "bob") == others
    talks = desk_at(queue).conversations
    assert [one async for one in talks.of("bob")] == ["conv_bob"]
    assert await talks.history("conv_bob") != ()


async def test_who_is_cut_off_anywhere_asks_again_and_nothing_is_left() -> None:
    for breaks_at in itertools.count():
        queue, wire = MemoryQueue(STACK), Wire(breaks_at)
        await live(queue, "ann")
        try:
            await Erasing(desk_at(queue, wire), "ann").erase()
        except OutOfReach:
            assert await left(queue, "ann") != []
            await Erasing(desk_at(queue), "ann").erase()
        assert await left(queue, "ann") == []
        if wire.writes <= breaks_at:  # it was not cut off at all
            assert breaks_at > 10
            return


class Ending(MemoryStore):
    """A bucket of runs in which somebody ends whatever is to end, at the next look."""

    @override
    async def get(self, key: str) -> Entry | None:
        entry = await super().get(key)
        if entry is not None:
            record = RunRecord.decode(entry.value)
            if record.cancel_requested and not record.state.is_end:
                ended = record.model_copy(update={"state": RunState.CANCELLED})
                await self.put(key, ended.encode())
                return await super().get(key)
        return entry


class Asking(Ending):
    """Such a bucket, into which comes what a run has asked of another agent before its end."""

    @override
    async def get(self, key: str) -> Entry | None:
        asked = RunRecord(task=task_of("ann", 99))
        ended = await super().get(key)
        if key == run_key(MATH, "ann-0") and await self.find(f"*.*.{asked.task.id}") is None:
            await Runs(self).accept(asked)
        return ended


@dataclass(slots=True)
class EndingLink(MemoryLink):
    """A link to such a bucket."""

    runs: type[MemoryStore] = Ending

    @override
    def store(self, bucket: Bucket) -> MemoryStore:
        kind = self.runs if bucket is Bucket.RUNS else MemoryStore
        return kind(self.queue.buckets, self.queue.subjects.bucket(bucket))


async def test_what_runs_is_cancelled_first() -> None:
    queue, heard = MemoryQueue(STACK), []
    runs = Runs(queue.link().store(Bucket.RUNS))
    states = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.PARKED)
    for number, state in enumerate(states):
        await runs.accept(RunRecord(task=task_of("ann", number), state=state))
        await runs.accept(RunRecord(task=task_of("bob", number), state=state))

    def on_cancel(subject: str, _data: bytes) -> None:
        heard.append(subject.rpartition(".")[2])

    await queue.link().outbox.listen(queue.subjects.cancels(MATH), on_cancel)
    desk = Desk(CONFIG, EndingLink(queue))

    await Erasing(desk, "ann").erase()

    assert sorted(heard) == [f"ann-{number}" for number in range(len(states))]
    assert await left(queue, "ann") == []
    kept = [RunRecord.decode(e.value) async for e in queue.link().store(Bucket.RUNS).scan("*.*.*")]
    assert [record.state for record in kept] == list(states)


async def test_what_another_agent_was_asked_for_meanwhile_goes_too() -> None:
    queue = MemoryQueue(STACK)
    record = RunRecord(task=task_of("ann", 0), state=RunState.RUNNING)
    await Runs(queue.link().store(Bucket.RUNS)).accept(record)

    await Erasing(Desk(CONFIG, EndingLink(queue, Asking)), "ann").erase()

    assert await left(queue, "ann") == []


async def test_what_does_not_end_is_told_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "END_SECONDS", 0.0)
    queue = MemoryQueue(STACK)
    await live(queue, "ann")
    record = RunRecord(task=task_of("ann", 2), state=RunState.RUNNING)
    await Runs(queue.link().store(Bucket.RUNS)).accept(record)
    before = await left(queue, "ann")

    with pytest.raises(Conflict, match="1 runs were cancelled") as refused:
        await Erasing(desk_at(queue), "ann").erase()

    assert refused.value.headers == {"Retry-After": "5"}
    assert sorted(await left(queue, "ann")) == sorted(before)


async def test_a_conversation_that_is_somebody_elses_on_the_queue_is_not_there() -> None:
    queue = MemoryQueue(STACK)
    await live(queue, "bob")
    before = await left(queue, "bob")

    @contextlib.asynccontextmanager
    async def connect(_: StackConfig) -> AsyncIterator[MemoryLink]:
        yield queue.link()

    shared = SharedDesk(CONFIG, connect)
    with pytest.raises(NotFound, match=r"There is no conversation conv_bob\."):
        await erasing.forget_conversation(shared, "conv_bob")
    await shared.close()

    assert await left(queue, "bob") == before


TASK = task_of("ann", 1)
SPOKEN = orjson.dumps({"reason": LastWords.about("no", "s", TASK.encode()).spoken()})


@pytest.mark.parametrize(
    ("stream", "data", "work"),
    [
        pytest.param(Stream.TASKS, TASK.encode(), TASK, id="a task"),
        pytest.param(Stream.CALLS, call_of(TASK).encode(), call_of(TASK), id="a call"),
        pytest.param(Stream.DEAD, TASK.encode(), TASK, id="a dead task"),
        pytest.param(Stream.DEAD, b"", None, id="a letter without its message"),
        pytest.param(Stream.TASKS, b"\xff", None, id="what nobody can read"),
        pytest.param(Stream.ADVISORIES, SPOKEN, TASK, id="last words"),
        pytest.param(Stream.ADVISORIES, b'{"reason": "no"}', None, id="last words of others"),
        pytest.param(Stream.ADVISORIES, b"{}", None, id="too many deliveries"),
        pytest.param(Stream.ADVISORIES, b"[1]", None, id="no advisory"),
    ],
)
def test_what_a_message_is_about(stream: Stream, data: bytes, work: Task | Call | None) -> None:
    assert work_of(stream, data) == work
