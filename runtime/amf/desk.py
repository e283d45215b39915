"""The desk of one API process: takes requests in as runs, and hears what becomes of them."""

import asyncio
import contextlib
import contextvars
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from runtime.amf.decisions import Decisions, decided
from runtime.amf.errors import Full, NotFound, OutOfReach, TooLarge
from runtime.amf.known import KnownAgents, KnownTools
from runtime.amf.relay import Following, Kept, Relay
from runtime.contract.agent_config import StackConfig
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Cancelled, Task
from runtime.contract.runs import REVISION, RunRecord, RunState
from runtime.contract.subjects import Bucket, StackSubjects, Stream, run_key
from runtime.contract.value import ObjectName
from runtime.state.conversations import Conversations
from runtime.state.runs import Runs, StaleAttempt
from runtime.transport.port import (
    Outbox,
    PayloadTooLarge,
    QueueFull,
    Reader,
    RevisionConflict,
    TransportError,
    WatchableStore,
)

log = logging.getLogger(__name__)

QUEUE_SECONDS = 4.0
CATALOGUE_SECONDS = 2.0
RETRY_SECONDS = 2


class Link(Protocol):
    """What the desk does with the queue; `transport.jetstream` and `.memory` have it."""

    @property
    def outbox(self) -> Outbox:
        """Publishing and signalling."""
        ...

    def store(self, bucket: Bucket) -> WatchableStore:
        """One of the Stack's buckets."""
        ...

    def reader(self, stream: Stream) -> Reader:
        """One of the Stack's streams."""
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
        self._catalogue = link.store(Bucket.CATALOGUE)
        self._records = link.store(Bucket.RUNS)
        self._runs = Runs(self._records)
        self._outbox = link.outbox
        self._relay = Relay()
        self._beside: set[asyncio.Task[None]] = set()
        self.kept = Kept(self.subjects, link.reader(Stream.EVENTS))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Desk"]:
        """Follow catalogue and events for as long as the body runs."""
        async with self._relay.listening(self._outbox, self.subjects.events_for(self.origin)):
            self.beside(self.agents.watch(self._catalogue))
            self.beside(self.tools.watch(self._catalogue))
            try:
                yield self
            finally:
                for task in self._beside:
                    task.cancel()
                await asyncio.gather(*self._beside, return_exceptions=True)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run on its own, as nobody: without the user of the request it comes from."""
        task = asyncio.create_task(_logged(work), context=contextvars.Context())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def agent(self, model: str) -> AgentEntry | None:
        """The agent that a client calls `model`, None if there is none.

        Raises:
            OutOfReach: the catalogue has not been read, so nobody can say.
        """
        if (found := self.agents.find(model)) is not None or self.agents.read.is_set():
            return found
        try:
            async with asyncio.timeout(CATALOGUE_SECONDS):
                await self.agents.read.wait()
        except TimeoutError as error:
            raise out_of_reach("the agents are not known yet") from error
        return self.agents.find(model)

    def follow(self, task: Task, *, whole: bool) -> AbstractContextManager[Following]:
        """Hear the events of `task`; begin before it is accepted, so that none is missed."""
        return self._relay.open(task.id, Following(task, self._runs, self.kept, whole=whole))

    @contextlib.asynccontextmanager
    async def rejoin(self, record: RunRecord, *, whole: bool) -> AsyncIterator[Following]:
        """Hear a run from its beginning, whichever process of the Stack has accepted it.

        Raises:
            OutOfReach: the queue does not answer.
        """
        task, relay = record.task, Relay()
        following = Following(task, self._runs, self.kept, whole=whole)
        answered = record.parked_attempt - 1 if record.is_asking else record.parked_attempt
        subject = self.subjects.events_on(task.agent, task.id)
        with relay.open(task.id, following):
            async with relay.listening(self._outbox, subject):
                try:
                    following.recall(await self.kept.events(task), answered=answered)
                except (TransportError, TimeoutError) as error:
                    raise out_of_reach("the queue does not answer") from error
                yield following

    async def accept(self, record: RunRecord) -> None:
        """Take a run in: once this returns, the run will have an end.

        A run that waits for its turn in a conversation is published by the dispatcher.

        Raises:
            Full, TooLarge, OutOfReach: it was not taken in.
        """
        task = record.task
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                held = await self._runs.accept(record)
                if record.state is RunState.QUEUED:
                    await self._outbox.publish(
                        self.subjects.tasks(task.agent),
                        task.encode(),
                        msg_id=task.id,
                        headers={REVISION: str(held.revision)},
                    )
        except QueueFull as error:
            self.beside(self.withdraw(task))
            raise Full(
                f"The queue of {task.agent.name} is full; ask again in a while.",
                retry_after=RETRY_SECONDS,
            ) from error
        except PayloadTooLarge as error:
            self.beside(self.withdraw(task))
            raise TooLarge(
                "Input and history together are larger than the queue takes.", param="input"
            ) from error
        except (TransportError, TimeoutError) as error:
            self.beside(self.withdraw(task))
            raise out_of_reach("the queue does not answer") from error

    async def withdraw(self, task: Task) -> None:
        """Take back a run that nobody was told of, as far as the queue can be reached.

        A worker may have it already, since what was not confirmed may be kept all the same.
        """
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

    async def decide(self, made: Decisions, user: str) -> RunRecord:
        """Write what `user` decides into the record of a run of his, and follow it from here on.

        That works also for one whose response was not to be stored: nobody else could decide.

        Raises:
            NotFound: there is no such run of his.
            BadRequest, Conflict: see `decided`.
            OutOfReach: the queue does not answer.
        """
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                while True:
                    with contextlib.suppress(RevisionConflict):  # somebody decides beside him
                        return await self._decide(made, user)
        except (TransportError, TimeoutError) as error:
            raise out_of_reach("the queue does not answer") from error

    async def _decide(self, made: Decisions, user: str) -> RunRecord:
        entry = await self._records.find(f"*.*.{made.task}")
        found = None if entry is None else RunRecord.decode(entry.value)
        if entry is None or found is None or found.task.user != user:
            raise NotFound(
                f"There is no response resp_{made.task} that asks for an approval.",
                param="previous_response_id",
            )
        record = decided(found, made, by=user, now=time.time())
        task = made.followed(record.task, self.origin)
        record = record.model_copy(update={"task": task})
        await self._records.update(entry.key, record.encode(), entry.revision)
        return record

    async def find(self, task: str) -> RunRecord | None:
        """The record of a run of whichever agent.

        Raises:
            TransportError: the queue does not answer.
        """
        entry = await self._records.find(f"*.*.{task}")
        return None if entry is None else RunRecord.decode(entry.value)

    async def forget(self, record: RunRecord) -> None:
        """Delete the record of a run.

        Raises:
            TransportError: the queue does not answer.
        """
        await self._records.delete(run_key(record.task.agent, record.task.id))

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


@contextlib.asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """What the body asks of the queue is answered within `QUEUE_SECONDS`.

    Raises:
        OutOfReach: it is not.
    """
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            yield
    except (TransportError, TimeoutError) as error:
        raise out_of_reach("the queue does not answer") from error


def out_of_reach(why: str) -> OutOfReach:
    """It cannot be done because of `why`, half a sentence."""
    return OutOfReach(
        f"{why[0].upper()}{why[1:]}; ask again in a while.", retry_after=RETRY_SECONDS
    )


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        # Whoever asked has his answer already; what is left undone here, others repair.
        log.exception("work beside a request failed")
