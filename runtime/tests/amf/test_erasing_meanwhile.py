"""What begins or moves while a user is erased: it goes too, or he is told to ask again."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import override

import httpx
import orjson
import pytest
from fastapi import FastAPI

from runtime.amf import erasing
from runtime.amf.desk import Desk
from runtime.amf.erasing import Erasing
from runtime.amf.errors import Conflict
from runtime.amf.shared import SharedDesk
from runtime.contract.agent_config import StackConfig
from runtime.contract.dead_letter import DeadLetter, LastWords
from runtime.contract.keys import RUN_RECORDS
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import ADVISORY, Bucket, Stream
from runtime.state.runs import Runs
from runtime.tests.amf.events import MATH
from runtime.tests.amf.test_erasing_users import (
    CONFIG,
    STACK,
    Ending,
    EndingLink,
    left,
    live,
    task_of,
)
from runtime.transport.memory import MemoryLink, MemoryQueue, MemoryReader
from runtime.transport.port import Entry, Stored


@dataclass
class Kept:
    """What a server keeps of ann; her next run begins while it is erased."""

    queue: MemoryQueue
    begins: bool = False
    hangs: bool = False
    user: str = "ann"

    async def erase(self) -> None:
        if self.begins:
            runs = Runs(self.queue.link().store(Bucket.RUNS))
            await runs.accept(RunRecord(task=task_of("ann", 7)))
        if self.hangs:
            await asyncio.Event().wait()


async def ask_for_erasure(link: MemoryLink, kept: Kept) -> httpx.Response:
    @contextlib.asynccontextmanager
    async def connect(_: StackConfig) -> AsyncIterator[MemoryLink]:
        yield link

    app, shared = FastAPI(), SharedDesk(CONFIG, connect)
    app.include_router(erasing.router(shared, kept))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        try:
            return await client.delete(erasing.PATH)
        finally:
            await shared.close()


async def test_a_run_that_begins_meanwhile_is_told_and_goes_when_asked_again() -> None:
    queue = MemoryQueue(STACK)
    await live(queue, "ann")

    refused = await ask_for_erasure(EndingLink(queue), Kept(queue, begins=True))
    erased = await ask_for_erasure(EndingLink(queue), Kept(queue))

    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "5")
    assert "have begun meanwhile" in refused.text
    assert (erased.status_code, erased.json()["deleted"]) == (200, True)
    assert await left(queue, "ann") == []


async def test_what_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "ERASE_SECONDS", 0.2)
    queue = MemoryQueue(STACK)

    refused = await ask_for_erasure(MemoryLink(queue), Kept(queue, hangs=True))

    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "5")
    assert "Not all could be erased" in refused.text


class Restless(Ending):
    """Such a bucket, in which the next run begins whenever one has ended."""

    @override
    async def get(self, key: str) -> Entry | None:
        ended = await super().get(key)
        if ended is not None and RunRecord.decode(ended.value).state.is_end:
            number = len(await self.keys(RUN_RECORDS))
            await Runs(self).accept(RunRecord(task=task_of("ann", number)))
        return ended


async def test_who_never_stops_to_begin_runs_is_told_so() -> None:
    queue = MemoryQueue(STACK)
    await Runs(queue.link().store(Bucket.RUNS)).accept(RunRecord(task=task_of("ann", 0)))

    async with asyncio.timeout(20):
        refused = await ask_for_erasure(EndingLink(queue, Restless), Kept(queue))

    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "5")


@dataclass
class Moves:
    """A message of ann on its way through the queue; it moves on when a stream has been looked at.

    Shape:
        places  where it comes to in turn, and after a look at which stream.
    """

    queue: MemoryQueue
    places: list[tuple[Stream, Stream]]

    async def looked(self, at: Stream) -> None:
        if not self.places or self.places[0][0] is not at:
            return
        _, to = self.places.pop(0)
        data, outbox = task_of("ann", 5).encode(), self.queue.link().outbox
        subjects = self.queue.subjects
        if to is Stream.DEAD:
            letter = DeadLetter(stream=Stream.TASKS, sequence=7, reason="no", deliveries=1)
            dead = subjects.dead(Stream.TASKS, MATH)
            await outbox.publish(dead, data, headers=letter.headers())
        else:
            reason = LastWords.about("no", "subject", data).spoken()
            name = f"{ADVISORY}.MSG_TERMINATED.{subjects.stream(Stream.TASKS)}.d"
            await outbox.publish(name, orjson.dumps({"stream": "s", "reason": reason}))


class MovingReader(MemoryReader):
    """A stream in which a message moves."""

    def __init__(self, queue: MemoryQueue, stream: Stream, moves: Moves) -> None:
        super().__init__(queue, queue.subjects.stream(stream))
        self._place, self._moves = stream, moves

    @override
    async def scan(self, subject: str) -> AsyncGenerator[Stored]:
        async for message in super().scan(subject):
            yield message
        await self._moves.looked(self._place)


@dataclass(slots=True)
class MovingLink(MemoryLink):
    """A link to such streams."""

    moves: Moves

    @override
    def reader(self, stream: Stream) -> MemoryReader:
        return MovingReader(self.queue, stream, self.moves)


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(Stream.ADVISORIES, Stream.DEAD)], id="buried"),
        pytest.param(
            [(Stream.TASKS, Stream.ADVISORIES), (Stream.DEAD, Stream.DEAD)],
            id="read by the dispatcher before, and buried after",
        ),
    ],
)
async def test_a_message_that_moves_meanwhile_goes_too(
    places: list[tuple[Stream, Stream]],
) -> None:
    queue = MemoryQueue(STACK)
    moves = Moves(queue, places)

    await Erasing(Desk(CONFIG, MovingLink(queue, moves)), "ann").erase()

    assert moves.places == []
    assert await left(queue, "ann") == []


async def test_messages_without_end_are_told() -> None:
    queue = MemoryQueue(STACK)
    moves = Moves(queue, [(Stream.DEAD, Stream.DEAD)] * 100)
    await moves.looked(Stream.DEAD)

    with pytest.raises(Conflict, match="still move") as refused:
        await Erasing(Desk(CONFIG, MovingLink(queue, moves)), "ann").erase()

    assert refused.value.headers == {"Retry-After": "5"}
