"""All that is kept of one user, taken away: `DELETE /v1alpha/k8gentai/users/me`.

Nothing is written down about it: whatever is still there says itself what is left to do. So who is
cut off, or whose server is lost in the middle, asks again, and any server goes on from there.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Protocol

from fastapi import APIRouter
from pydantic import BaseModel

from runtime.amf import sdk
from runtime.amf.desk import Desk
from runtime.amf.errors import Conflict, NotFound, out_of_reach
from runtime.amf.query import ONLY_KNOWN
from runtime.amf.queued import Queued
from runtime.amf.shared import SharedDesk
from runtime.contract.keys import RUN_RECORDS, all_below, legacy_key, vectors_key
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.conversations import NoConversation
from runtime.state.runs import Runs
from runtime.transport.port import TransportError

PATH = "/v1alpha/k8gentai/users/me"
ERASE_SECONDS = 120.0
END_SECONDS = 20.0  # the dispatcher ends a run whose worker is lost after 15
LOOK_SECONDS = 0.1
RETRY_SECONDS = 5
TURNS = 3  # of ending what has begun meanwhile
PLACES = (Stream.TASKS, Stream.CALLS, Stream.ADVISORIES, Stream.DEAD)  # as messages move
PASSES = 5  # over them; one that moves while it is looked for is found by the next


class Belongings(Protocol):
    """What the server itself keeps of whoever asks; see `sdk.Belongings`."""

    @property
    def user(self) -> str:
        """Who asks, as his runs name him."""
        ...

    async def erase(self) -> None:
        """Take it all away.

        Raises:
            DatabaseAway: the database does not answer.
        """
        ...


class Deleted(BaseModel):
    """Nothing is kept of the user any more."""

    object: str = "user"
    id: str
    deleted: bool = True


def router(shared: SharedDesk, belongings: Belongings) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["k8gentai"], dependencies=[ONLY_KNOWN])

    @routes.delete(PATH, operation_id="k8gentai_erase_user")
    async def erase() -> Deleted:
        """Erase all that is kept of whoever asks; runs under way are cancelled first.

        Without authentication everybody is one user, and all that anybody has left goes.
        """
        erasing = Erasing(await shared.get(), belongings.user)
        try:
            async with asyncio.timeout(ERASE_SECONDS):
                await erasing.erase()
                await belongings.erase()
                await erasing.check()
        except TimeoutError as error:
            raise _later(f"Not all could be erased in {ERASE_SECONDS:.0f} s") from error
        return Deleted(id=belongings.user)

    return routes


class Erasing:
    """What the queue keeps of one user."""

    def __init__(self, desk: Desk, user: str) -> None:
        self._desk = desk
        self._user = user
        self._records = desk.store(Bucket.RUNS)
        self._values = desk.store(Bucket.CONVERSATIONS)

    async def erase(self) -> None:
        """Cancel his runs, and take away everything that they and he himself have left.

        Raises:
            Conflict: a run has not ended in time, or his messages come without end.
            OutOfReach: the queue does not answer.
        """
        try:
            await self._end_runs()
            await self._unqueue()  # while records say whose a call is
            for _ in range(TURNS):
                if not await self._end_runs():  # of what had been asked of other agents by then
                    break
                await self._unqueue()
            async for record in self._runs():
                if record.state.is_end:
                    await self._desk.leavings.erase(record.task)
            async for conversation in self._desk.conversations.of(self._user):
                await self._desk.conversations.erase(conversation, self._user)
            for key in (legacy_key(self._user), vectors_key(self._user)):
                for pattern in all_below(key):
                    await self._values.purge(pattern)
        except (TransportError, TimeoutError) as error:
            raise out_of_reach("the queue does not answer") from error

    async def check(self) -> None:
        """Make sure that no run of his has begun since its turn to be erased was over.

        Raises:
            Conflict: one has.
            OutOfReach: the queue does not answer.
        """
        try:
            async with contextlib.aclosing(self._runs()) as runs:
                async for _ in runs:
                    raise _later("Runs of yours have begun meanwhile")
        except TransportError as error:
            raise out_of_reach("the queue does not answer") from error

    async def _unqueue(self) -> None:
        """Take his messages out of the queue, until there are none.

        Raises:
            Conflict: there are ever new ones.
        """
        for _ in range(PASSES):
            if not sum([await self._forget_in(stream) for stream in PLACES]):
                return
        raise _later("Messages of your runs still move in the queue")

    async def _forget_in(self, stream: Stream) -> int:
        return await Queued(stream, self._desk.reader(stream), Runs(self._records)).forget(
            self._user
        )

    async def _end_runs(self) -> bool:
        """Have every run of his ended; whether one had not.

        Raises:
            Conflict: one has not in time.
        """
        left: dict[str, ObjectName] = {}
        async for record in self._runs():
            task = record.task
            # A record that is written comes once more.
            if not record.state.is_end and task.id not in left:
                left[task.id] = task.agent
                if not record.cancel_requested:
                    with contextlib.suppress(NotFound):  # somebody erases beside us
                        await self._desk.cancel(task.agent, task.id)
        if not left:
            return False
        until = time.monotonic() + END_SECONDS
        while left := {
            id_: agent for id_, agent in left.items() if await self._runs_on(agent, id_)
        }:
            if time.monotonic() > until:
                raise _later(f"{len(left)} runs were cancelled and have not ended")
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _runs_on(self, agent: ObjectName, task: str) -> bool:
        record = await self._desk.record(agent, task)
        return record is not None and not record.state.is_end

    async def _runs(self) -> AsyncGenerator[RunRecord]:
        """His runs, one at a time."""
        async for entry in self._records.scan(RUN_RECORDS):
            record = RunRecord.decode(entry.value)
            if record.task.user == self._user:
                yield record


def _later(why: str) -> Conflict:
    return Conflict(f"{why}; ask again in a moment.", retry_after=RETRY_SECONDS)


async def forget_conversation(shared: SharedDesk, conversation: str) -> None:
    """Erase what the queue keeps of a conversation of whoever asks.

    Raises:
        NotFound: the queue has it as somebody else's.
        OutOfReach: the queue does not answer.
    """
    desk = await shared.get()
    try:
        await desk.conversations.erase(conversation, sdk.user_name())
    except NoConversation as error:
        raise NotFound(
            f"There is no conversation {conversation}.", param="conversation_id"
        ) from error
    except (TransportError, TimeoutError) as error:
        raise out_of_reach("the queue does not answer") from error
