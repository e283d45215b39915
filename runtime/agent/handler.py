"""What the worker of an Agent does with a task: check, begin, run, end, tell."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from runtime.adapters.port import Adapter, AgentFailure, Answer, BudgetExceeded, Run, Text, Used
from runtime.agent.before import GiveUp, Outdated, Refuse, Repeat, Start, before
from runtime.agent.deferred import Deferred
from runtime.agent.emitter import Emitter
from runtime.agent.outside import Outside
from runtime.contract.agent_config import AgentConfig, OnCrash
from runtime.contract.messages import (
    Cancelled,
    Completed,
    End,
    Failed,
    FailureReason,
    Task,
    TokenUsage,
)
from runtime.contract.runs import REVISION, RunRecord, RunState, resumption
from runtime.state.checkpoints import BadCheckpoint, Checkpoint, Checkpoints
from runtime.state.runs import Held, Runs, StaleAttempt
from runtime.tools.numbering import Numbering
from runtime.tools.port import Toolbox
from runtime.transport.port import Delivery, Outbox, PayloadTooLarge, TransportError
from runtime.worker.outcomes import Again, Done, GivenUp, Later, Lost, Malformed, Outcome
from runtime.worker.slots import Places
from runtime.worker.stopping import is_stopping
from runtime.worker.suspects import Busy

log = logging.getLogger(__name__)

# How long past its deadline a run may take to write its end before another worker may try.
GRACE_SECONDS = 30.0
# Between two looks at the record of a run that is under way: a signal to cancel it can get lost.
WATCH_SECONDS = 5.0
# After a call that needs a person, for those that the model asked for together with it.
GATHER_SECONDS = 0.1
# How often a task without a record is looked at again before it is let go.
LOOKS = 3
# How often a run is handed back because the Stack's server takes no connections. Between two times
# a second passes, later more: a minute or so, in which a server that was stopped is there again.
TIMES_AWAY = 30


@dataclass(slots=True)
class TaskHandler:
    """The `Handler` of an Agent's worker."""

    config: AgentConfig
    worker: str
    adapter: Adapter
    toolbox: Toolbox
    runs: Runs
    checkpoints: Checkpoints
    outbox: Outbox
    places: Places
    _taken: set[str] = field(default_factory=set)
    _under_way: dict[str, asyncio.Task[End]] = field(default_factory=dict)

    async def handle(self, delivery: Delivery) -> Outcome:
        """Bring one task to its end, unless it has one or is not ours."""
        try:
            task = Task.decode(delivery.data)
        except ValueError as error:
            return Malformed(f"no task: {_first_line(error)}")
        if task.agent != self.config.agent or (self.config.require_grant and task.grant is None):
            log.warning("unsigned", extra={"subject": delivery.subject, "task": task.id})
            return Malformed("unsigned")
        if task.id in self._taken:
            return Lost()  # our signs of life came late; the attempt that is under way goes on
        slots = self.places.of(task)
        if not slots.admits(_depth(task)):
            return Later(delivery.number)  # whoever is deeper in a chain goes first
        self._taken.add(task.id)
        try:
            with slots.hold():
                return await self._take(task, delivery)
        finally:
            self._taken.discard(task.id)

    def cancel(self, task: str) -> None:
        """End the run of `task`, if it is under way here."""
        if (running := self._under_way.get(task)) is not None:
            running.cancel()

    async def _take(self, task: Task, delivery: Delivery) -> Outcome:
        delivery.hold_until(task.deadline + GRACE_SECONDS)
        try:
            return await self._begin(task, delivery)
        except Busy:
            return Later(delivery.number)  # nothing was begun
        except StaleAttempt:
            return self._stale(task)
        except TransportError as error:
            log.warning("out of reach", extra={"task": task.id, "error": str(error)})
            return Lost()

    async def _begin(self, task: Task, delivery: Delivery) -> Outcome:
        if (accepted := _as_accepted(task, delivery)) is not None:
            with contextlib.suppress(StaleAttempt):  # somebody has asked for its end meanwhile
                return await self._with_record(task, accepted, delivery)
        held = await self.runs.get(task.agent, task.id)
        if held is None:
            # Of several servers the one that answered may lag behind; else nobody waits for it.
            return Later(delivery.number) if delivery.number <= LOOKS else Done()
        if held.record.state is RunState.RUNNING and delivery.number == 1:
            # Whoever has begun it got it later than we did: it was delivered again meanwhile.
            return self._stale(task)
        return await self._with_record(task, held, delivery)

    async def _with_record(self, task: Task, held: Held, delivery: Delivery) -> Outcome:
        emitter = Emitter(self.outbox, task, held.record.attempt)
        number = resumption(delivery.headers)
        match before(held.record, self.config.retry, time.time(), resumption=number):
            case Outdated():
                return Done()
            case Repeat():
                await emitter.end(held.record.end(emitter.next_seq))
                await self.checkpoints.forget(task.agent, task.id)
                return _repeated(held.record)
            case Refuse(end):
                await self._end(held, emitter, end)
                return Done()
            case GiveUp(end):
                await self._end(held, emitter, end)
                return GivenUp(end.message)
            case Start():
                lost = held.record.spent if held.record.state is RunState.RUNNING else 0
                most = self.config.retry.max_attempts
                async with self.places.suspects.apart(task.id, lost, most):
                    return await self._attempt(task, await self.runs.begin(held, self.worker))

    async def _attempt(self, task: Task, held: Held) -> Outcome:
        try:
            return await self._to_its_end(task, held)
        except StaleAttempt:
            return self._stale(task)

    async def _to_its_end(self, task: Task, held: Held) -> Outcome:
        emitter = Emitter(self.outbox, task, held.record.attempt)
        checkpoint = await self._checkpoint(held.record)
        outside = Outside.of(held.record, self._may_wait_seconds(held.record))
        try:
            end = await self._run(task, held.record, emitter, checkpoint, outside)
            if end is None:
                return await self._park(held, emitter, outside)
        except asyncio.CancelledError:
            # The worker stops, not the task: another one goes on, or begins anew.
            with contextlib.suppress(TransportError, StaleAttempt):
                await self.runs.hand_back(held, counts=False)
            raise
        except AgentFailure as failure:
            if not failure.counts and held.record.returned < TIMES_AWAY:
                await self.runs.hand_back(held, counts=False)
                log.warning("model away", extra={"task": task.id, "error": str(failure)})
                return Later(held.record.returned + 1)
            if failure.retryable and held.record.spent < self.config.retry.max_attempts:
                await self.runs.hand_back(held, counts=True)
                return Again(held.record.spent)
            seen = {"task": task.id, "error": str(failure)}
            log.warning("failed", extra=seen, exc_info=failure.__cause__)
            end = self._failed(held.record, emitter, failure.reason, str(failure))
        await self._end(held, emitter, end)
        if checkpoint is not None:
            await checkpoint.drop()
        return Done()

    async def _park(self, held: Held, emitter: Emitter, outside: Outside) -> Outcome:
        """Let the run wait for what it needs from outside; what it has kept so far stays."""
        try:
            parked = await self._parked(held, emitter, outside)
        except StaleAttempt:
            # Somebody wants it to end; if it was anything else, this is refused, too.
            await self._end(held, emitter, self._cancelled(held.record, emitter))
            return Done()
        except PayloadTooLarge:
            message = (
                "the run cannot wait for a person or its client: its record, with the calls and "
                "room for what is decided on them, is larger than the queue takes; let the agent "
                "ask for less at once, or begin with a shorter history"
            )
            end = self._failed(held.record, emitter, FailureReason.RESULT_TOO_LARGE, message)
            await self._end(held, emitter, end)
            return Done()
        await emitter.needs(parked.record)
        log.info("parked", extra={"task": held.record.task.id})
        return Done()

    async def _parked(self, held: Held, emitter: Emitter, outside: Outside) -> Held:
        until = time.time() + self._may_wait_seconds(held.record)
        if outside.approvals.needed:
            return await self.runs.park(held, outside.approvals.needed, stands_until=until)
        return await self.runs.hand_over(
            held,
            tuple(outside.calls.needed),
            seq=emitter.next_seq,
            used=outside.used,
            expires=outside.waiting.expires(self.config.client_seconds),
            stands_until=until,
        )

    def _may_wait_seconds(self, record: RunRecord) -> float:
        """For how long it may yet be parked: longer than that no result is sure to last."""
        return max(0.0, self.config.task_seconds - record.waited)

    async def _checkpoint(self, record: RunRecord) -> Checkpoint | None:
        """Where the attempt goes on from; None, and nothing of earlier ones, if it begins anew.

        To be parked is no crash, nor is a worker that stops afterwards: whatever `onCrash`
        says, such a run goes on, and makes the very call that it was parked for.
        """
        names = (record.task.agent, record.task.id, record.attempt)
        checkpoint = self.checkpoints.of(*names)
        if self.config.retry.on_crash is OnCrash.RESUME:
            return checkpoint
        if not record.goes_on:  # what was kept before a crash, or while the Agent still said Resume
            with contextlib.suppress(BadCheckpoint):
                await checkpoint.load()
            await checkpoint.drop()
            checkpoint = self.checkpoints.of(*names)
        asks = any(tool.approval_required for tool in self.config.tools)
        may_park = asks or bool(record.task.options.functions)
        return checkpoint if may_park else None

    async def _run(
        self,
        task: Task,
        record: RunRecord,
        emitter: Emitter,
        checkpoint: Checkpoint | None,
        outside: Outside,
    ) -> End | None:
        """The agent's own end, a timeout or a cancellation; None if the run has to be parked.

        What stops the worker goes through.
        """
        # Known before anything is said of it: who hears that it has begun may cancel it at once.
        answering = self._answer(task, record, emitter, checkpoint, outside)
        running = asyncio.create_task(answering, name=task.id)
        loop = asyncio.get_running_loop()
        outside.waiting.on_needed = lambda: loop.call_later(GATHER_SECONDS, running.cancel)
        self._under_way[task.id] = running
        watching = Deferred(WATCH_SECONDS, lambda: self._watch(record, running))
        try:
            async with asyncio.timeout(max(0, task.deadline - time.time())):
                return await running
        except TimeoutError:
            message = f"the run did not end within spec.execution.timeoutSeconds of {task.agent}"
            return self._failed(record, emitter, FailureReason.TIMED_OUT, message)
        except asyncio.CancelledError:
            # Of the two, only the run was cancelled: it is to be parked, a client wants it to end,
            # or it has moved on.
            if running.cancelled() and not is_stopping():
                return None if outside.waiting.is_needed else self._cancelled(record, emitter)
            raise
        finally:
            self._under_way.pop(task.id, None)
            watching.cancel()
            running.cancel()

    async def _watch(self, record: RunRecord, running: asyncio.Task[End]) -> None:
        """Cancel a run whose record asks for it, or is not this attempt's any more."""
        while True:
            # Whatever comes in the way of one look must not end the others.
            with contextlib.suppress(TransportError, ValueError):
                held = await self.runs.get(record.task.agent, record.task.id)
                if held is not None and not _goes_on(record, held.record):
                    running.cancel()
                    return
            await asyncio.sleep(WATCH_SECONDS)

    async def _answer(
        self,
        task: Task,
        record: RunRecord,
        emitter: Emitter,
        checkpoint: Checkpoint | None,
        outside: Outside,
    ) -> End:
        await emitter.started(self.worker)
        numbering = Numbering()
        functions = outside.calls.bind(
            task.options.functions,
            numbering,
            owner=task.agent,
            budget=self.config.budget.tool_calls,
        )
        tools = self.toolbox.bind(task, emitter.call, numbering, outside.approvals)
        run = Run(
            task=task.id,
            attempt=record.attempt,
            input=task.input,
            history=task.history,
            options=task.options,
            user=task.user,
            tools=(*tools, *functions),
            checkpoint=checkpoint,
            numbering=numbering,
        )
        async with _closing(self.adapter.run(run)) as steps:
            async for step in steps:
                match step:
                    case Text(text):
                        await emitter.text(text)
                    case Used(usage):
                        outside.used += usage
                        self._check_budget(outside.used)
                        await emitter.usage(usage)
                    case Answer(text):
                        return Completed(
                            task=task.id,
                            attempt=record.attempt,
                            seq=emitter.next_seq,
                            text=text,
                            usage=outside.used,
                        )
        raise AgentFailure("the agent ended without an answer")

    def _check_budget(self, used: TokenUsage) -> None:
        limit = self.config.budget.tokens
        if limit is not None and used.input_tokens + used.output_tokens > limit:
            raise BudgetExceeded(f"the task used more than spec.budget.tokens allows ({limit})")

    async def _end(self, held: Held, emitter: Emitter, end: End) -> None:
        try:
            await self.runs.end(held, end)
        except PayloadTooLarge:
            message = "the answer is larger than the queue takes; let the agent say less"
            end = self._failed(held.record, emitter, FailureReason.RESULT_TOO_LARGE, message)
            await self.runs.end(held, end)
        await emitter.end(end)

    def _stale(self, task: Task) -> Outcome:
        log.warning("stale attempt", extra={"task": task.id, "worker": self.worker})
        return Lost()

    def _cancelled(self, record: RunRecord, emitter: Emitter) -> Cancelled:
        return Cancelled(task=record.task.id, attempt=record.attempt, seq=emitter.next_seq)

    def _failed(
        self, record: RunRecord, emitter: Emitter, reason: FailureReason, message: str
    ) -> Failed:
        return Failed(
            task=record.task.id,
            attempt=max(record.attempt, 1),
            seq=emitter.next_seq,
            reason=reason,
            message=message,
        )


def _depth(task: Task) -> int:
    """How many agents wait for this task."""
    return 0 if task.asked is None else len(task.asked.chain)


def _as_accepted(task: Task, delivery: Delivery) -> Held | None:
    """The record of a task as its server has written it, if the message names its revision."""
    revision = delivery.headers.get(REVISION, "")
    return Held(RunRecord(task=task), int(revision)) if revision.isdecimal() else None


def _goes_on(begun: RunRecord, now: RunRecord) -> bool:
    """Whether an attempt still holds its run and nobody wants that to end."""
    return (now.attempt, now.state) == (begun.attempt, begun.state) and not now.cancel_requested


def _repeated(record: RunRecord) -> Outcome:
    """An end that was told again; a worker may have died before the task became a dead letter."""
    if record.reason is FailureReason.DEAD_LETTERED:
        return GivenUp(record.message or "")
    return Done()


@contextlib.asynccontextmanager
async def _closing[T](steps: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Let a generator clean up here and now, not whenever it is collected."""
    try:
        yield steps
    finally:
        close = getattr(steps, "aclose", None)
        if close is not None:
            await close()


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0]
