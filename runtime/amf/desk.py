"""The desk of one API process: takes requests in as runs, and hears what becomes of them."""

import asyncio
import contextlib
import contextvars
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from runtime.amf import leavings
from runtime.amf.beside import logged
from runtime.amf.errors import (
    RETRY_SECONDS,
    ApiError,
    Full,
    Gone,
    NotFound,
    TooLarge,
    out_of_reach,
)
from runtime.amf.granting import Granting
from runtime.amf.known import KnownAgents, KnownTools
from runtime.amf.relay import Following, Kept, Relay, is_whole
from runtime.amf.response_id import ResponseId
from runtime.amf.sequence import with_handovers
from runtime.amf.visible import may_call
from runtime.contract.access import User
from runtime.contract.agent_config import StackConfig
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import RUN_RECORDS, run_key, runs_of
from runtime.contract.messages import Cancelled, Task
from runtime.contract.runs import LATER_BYTES, REVISION, RunRecord, RunState
from runtime.contract.subjects import Bucket, StackSubjects, Stream
from runtime.contract.value import ObjectName
from runtime.state.claims import Claim, Claims
from runtime.state.conversations import Conversations
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.transport.port import (
    KeyExists,
    Outbox,
    PayloadTooLarge,
    QueueFull,
    RevisionConflict,
    TransportError,
)

QUEUE_SECONDS = 4.0
CATALOGUE_SECONDS = 2.0


class Link(leavings.Link, Protocol):
    """What the desk does with the queue; `transport.jetstream` and `.memory` have it."""

    @property
    def outbox(self) -> Outbox:
        """Publishing and signalling."""
        ...


class Desk:
    """One API process of a Stack; `running` once, then everything else.

    Shape:
        origin  DNS label of this process: the events of its tasks are published under it.
    """

    def __init__(self, config: StackConfig, link: Link) -> None:
        self.stack = config.queue.stack
        self.subjects = StackSubjects(self.stack)
        self.origin = secrets.token_hex(6)
        self.agents = KnownAgents()
        self.tools = KnownTools()
        self.conversations = Conversations(link.store(Bucket.CONVERSATIONS))
        self.store = link.store
        self._catalogue = link.store(Bucket.CATALOGUE)
        self._records = link.store(Bucket.RUNS)
        self._runs = Runs(self._records)
        self._claims = Claims(self._records)
        self._outbox = link.outbox
        self._granting = Granting(config.tokens)
        self._relay = Relay(link.outbox)
        self._beside: set[asyncio.Task[None]] = set()
        self.kept = Kept(self.subjects, link.reader(Stream.EVENTS))
        self.reader = link.reader
        self.leavings = leavings.Leavings(self.subjects, link, self.kept)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Desk"]:
        """Follow catalogue and events for as long as the body runs."""
        async with self._relay.listening(self.subjects.events_for(self.origin)):
            self.beside(self.agents.watch(self._catalogue))
            self.beside(self.tools.watch(self._catalogue))
            try:
                yield self
            finally:
                self._granting.close()
                for task in self._beside:
                    task.cancel()
                await asyncio.gather(*self._beside, return_exceptions=True)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run on its own, as nobody: without the user of the request it comes from."""
        task = asyncio.create_task(logged(work), context=contextvars.Context())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def agent(self, model: str, caller: User) -> AgentEntry | None:
        """The agent that `caller` calls `model`, None if there is none, or not for him.

        Raises:
            OutOfReach: the catalogue has not been read, so nobody can say.
        """
        if self.agents.find(model) is None and not self.agents.read.is_set():
            try:
                async with asyncio.timeout(CATALOGUE_SECONDS):
                    await self.agents.read.wait()
            except TimeoutError as error:
                raise out_of_reach("the agents are not known yet") from error
        found = self.agents.find(model)
        return found if found is not None and may_call(found, caller) else None

    def follow(
        self, task: Task, *, whole: bool, part: int = 0
    ) -> AbstractContextManager[Following]:
        """Hear the events of `task`; begin before it is accepted, so that none is missed."""
        following = Following(task, self._runs, self.kept, whole=whole, part=part)
        return self._relay.open(task.id, following)

    @contextlib.asynccontextmanager
    async def accepting(self, record: RunRecord, *, whole: bool) -> AsyncIterator[Following]:
        """Take a run in and hear it, from its first event on.

        Raises:
            Full, TooLarge, OutOfReach: see `accept`.
        """
        if record.task.response.claim is not None:
            await self.accept(record)  # another process may have been quicker, and hear the events
            async with self.rejoin(record, whole=whole) as following:
                yield following
            return
        with self.follow(record.task, whole=whole) as following:
            await self.accept(record)
            yield following

    @contextlib.asynccontextmanager
    async def rejoin(
        self, record: RunRecord, *, whole: bool, part: int = 0, after: int = -1
    ) -> AsyncIterator[Following]:
        """Hear a run from its beginning, whichever process of the Stack has accepted it.

        Shape:
            part   the response that is to be told.
            after  the number of the last streaming event of it that is known.

        Raises:
            Gone: its first events are not kept, so nobody can say which one follows `after`.
            OutOfReach: the queue does not answer.
        """
        task = record.task
        following = Following(task, self._runs, self.kept, whole=whole, part=part)
        subject = self.subjects.events_on(task.agent, task.id)
        async with contextlib.AsyncExitStack() as stack:
            async with in_time():
                await stack.enter_async_context(self._relay.joining(subject, following))
                published = await self.kept.events(task)
            if after >= 0 and record.state.is_end and not is_whole(task, published):
                raise Gone(
                    f"The events of {ResponseId(task.id, part)} are not kept any more; retrieve "
                    "the response without stream.",
                    param="starting_after",
                )
            if record.state.is_end:  # it knows the end, should the event that told it be lost
                published.append(record.end(1))
            told = with_handovers(published, record)
            following.recall(told, answered=record.answered_attempt)
            yield following

    async def claim(self, key: str, claim: Claim) -> Claim:
        """The claim that stands under `key`: this one, or that of the request which came first.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            return await self._claims.make(key, claim)

    async def release(self, key: str) -> None:
        """Let the `key` of a claim be used for another request.

        Raises:
            TransportError: the queue does not answer.
        """
        await self._claims.release(key)

    async def accept(self, record: RunRecord) -> None:
        """Take a run in: once this returns, the run will have an end.

        A run that waits for its turn in a conversation is published by the dispatcher. One that has
        a claim may be taken in twice: whoever asks again cannot know how far the first one came.

        Raises:
            Full, TooLarge, OutOfReach, Forbidden: it was not taken in.
        """
        task = record.task
        may_come_again = task.response.claim is not None
        try:
            record = await self._granting.granted(record)
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._publish(await self._accepted(record))
        except (TransportError, TimeoutError) as error:
            if not may_come_again or isinstance(error, QueueFull | PayloadTooLarge):
                self.beside(self.withdraw(task))
            raise _not_accepted(task, error) from error
        except ApiError:
            if not may_come_again:  # else it may be there by then
                self.beside(self.withdraw(task))
            raise

    async def earlier(self, agent: ObjectName, task: str) -> RunRecord | None:
        """The run that somebody has accepted before, None if nobody has.

        It is published once more if no worker has begun it: its server may have been lost before.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            held = await self._runs.get(agent, task)
            if held is None:
                return None
            with contextlib.suppress(QueueFull):  # then it is there, or its turn has not come
                await self._publish(held)
            return held.record

    async def _accepted(self, record: RunRecord) -> Held:
        try:
            return await self._runs.accept(record)
        except KeyExists:
            held = await self._runs.get(record.task.agent, record.task.id)
            if held is None:
                raise
            return held

    async def _publish(self, held: Held) -> None:
        task = held.record.task
        if held.record.state is not RunState.QUEUED or held.record.attempt > 0:
            return
        await self._outbox.publish(
            self.subjects.tasks(task.agent),
            task.encode(),
            msg_id=task.id,
            headers={REVISION: str(held.revision)},
        )

    async def withdraw(self, task: Task) -> None:
        """Take back a run that nobody was told of, as far as the queue can be reached.

        A worker may have it already, since what was not confirmed may be kept all the same.
        """
        if task.response.claim is not None:  # first, or who asks again would find what is cancelled
            await self.release(task.response.claim)
        held = await self._runs.get(task.agent, task.id)
        if held is not None and held.record.attempt > 0:
            await self.cancel(task.agent, task.id)
        elif held is not None:
            end = Cancelled(task=task.id, attempt=1, seq=1, by="the server")
            with contextlib.suppress(StaleAttempt):
                await self._runs.end(held, end)
        if task.conversation is not None:
            await self.conversations.abandon(task.conversation, task.id)

    async def record(self, agent: ObjectName, task: str) -> RunRecord | None:
        """The record of a run.

        Raises:
            TransportError: the queue does not answer.
        """
        held = await self._runs.get(agent, task)
        return None if held is None else held.record

    async def change(
        self, task: str, change: Callable[[RunRecord | None], RunRecord], *, where: str
    ) -> RunRecord:
        """Write what `change` makes of the record of a run, or of None if there is none.

        Shape:
            where  the field of the request that the change comes from.

        Raises:
            ApiError: whatever `change` raises.
            TooLarge, OutOfReach: the queue does not take it, or does not answer.
        """
        async with in_time():
            while True:
                entry = await self._records.find(f"*.*.{task}")
                found = None if entry is None else RunRecord.decode(entry.value)
                record = change(found)
                if entry is None or record == found:
                    return record
                # With room for what comes later, or the run could not be ended any more.
                value = record.encode() + b" " * LATER_BYTES
                try:
                    with contextlib.suppress(RevisionConflict):  # somebody changes it beside him
                        await self._records.update(entry.key, value, entry.revision)
                        return record
                except PayloadTooLarge as error:
                    raise TooLarge(
                        f"The run and what is given to it are {len(value)} bytes, and the queue "
                        "does not take that; give less.",
                        param=where,
                    ) from error

    async def find(self, task: str) -> RunRecord | None:
        """The record of a run of whichever agent.

        Raises:
            TransportError: the queue does not answer.
        """
        entry = await self._records.find(f"*.*.{task}")
        return None if entry is None else RunRecord.decode(entry.value)

    async def runs(self, agent: ObjectName | None = None) -> AsyncGenerator[RunRecord]:
        """The records of all runs of one agent, or of every one, as they stand."""
        pattern = RUN_RECORDS if agent is None else runs_of(agent)
        async with contextlib.aclosing(self._records.watch(pattern)) as entries:
            async for entry in entries:
                if entry is None:
                    return
                if not entry.deleted:
                    yield RunRecord.decode(entry.value)

    async def forget(self, record: RunRecord) -> None:
        """Erase a run that has ended, and those of agents that it has asked; see `Leavings`."""
        await self.leavings.forget(record)

    async def cancel(self, agent: ObjectName, task: str) -> None:
        """Ask for the end of a run: its worker writes it, or else the dispatcher.

        Raises:
            NotFound: there is no such run.
            TransportError: the queue does not answer.
        """
        while True:
            held = await self._runs.get(agent, task)
            if held is None:
                raise NotFound(f"There is no run {task}.")
            if held.record.state.is_end:
                return
            asked = held.record.model_copy(update={"cancel_requested": True})
            try:
                await self._records.update(run_key(agent, task), asked.encode(), held.revision)
            except RevisionConflict:  # it has moved on in the meantime
                continue
            await self._outbox.signal(self.subjects.cancel(agent, task))
            return


def _not_accepted(task: Task, error: Exception) -> ApiError:
    match error:
        case QueueFull():
            why = f"The queue of {task.agent.name} is full; ask again in a while."
            return Full(why, retry_after=RETRY_SECONDS)
        case PayloadTooLarge():
            why = "Input and history together are larger than the queue takes."
            return TooLarge(why, param="input")
        case _:
            return out_of_reach("the queue does not answer")


@contextlib.asynccontextmanager
async def in_time(seconds: float = QUEUE_SECONDS) -> AsyncIterator[None]:
    """What is asked of the queue in the body has an answer in so many seconds.

    Raises:
        OutOfReach: it has not.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TransportError, TimeoutError) as error:
        raise out_of_reach("the queue does not answer") from error
