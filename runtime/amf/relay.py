"""Brings the events of runs to those who wait for them in this process.

One core subscription takes the events of every task that this process accepted. It may miss some,
on a reconnect for instance; so whoever waits looks at the run record and at the stream by himself
when something is missing or nothing is heard for a while.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator

from runtime.amf.errors import NotFound, Overdue
from runtime.amf.sequence import Sequence, is_pause, with_handovers
from runtime.contract.messages import Event, Task, decode_event
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import StackSubjects
from runtime.state.runs import Runs
from runtime.transport.port import OnSignal, Outbox, Reader, TransportError

log = logging.getLogger(__name__)

GAP_SECONDS = 0.3
TURN_SECONDS = 0.05  # by then the stream keeps what was heard before an event that is out of turn
SILENCE_SECONDS = 5.0
READ_SECONDS = 5.0
# A worker may take its time to write the end of a run that was cut off at its deadline.
OVERDUE_SECONDS = 60.0
WHOLE_RUN = 2**31  # the number of no response: who asks for it is told the run to its end


class Kept:
    """The events of a task that its Stack keeps, for an hour after its end by default."""

    def __init__(self, subjects: StackSubjects, reader: Reader) -> None:
        self._subjects = subjects
        self._reader = reader

    async def events(self, task: Task) -> list[Event]:
        """All of them, as they were published.

        Raises:
            TransportError: the queue does not answer.
            TimeoutError: not all of them came within `READ_SECONDS`.
        """
        subject = self._subjects.events_on(task.agent, task.id)
        last = await self._reader.last(subject)
        if last is None:
            return []
        events: list[Event] = []
        stored = self._reader.read(subject)
        try:
            async with asyncio.timeout(READ_SECONDS):
                async for message in stored:
                    events += _decoded(message.data)
                    if message.sequence >= last.sequence:
                        return events
        finally:
            if isinstance(stored, AsyncGenerator):
                await stored.aclose()
        return events


def is_whole(task: Task, published: Iterable[Event]) -> bool:
    """Whether the first event of a task that was begun is among those that are kept."""
    first = min(published, key=lambda event: (event.attempt, event.seq), default=None)
    # An attempt whose client does not read along may have nothing to tell, and another one follows.
    return first is not None and first.seq == 1 and (first.attempt == 1 or not task.options.stream)


class Following:
    """Somebody who waits for the events of one task.

    Whoever follows a run is told the same events in the same order. So an event before which
    something may have been missed is held back until what the stream keeps has been looked at.

    Shape:
        whole  nothing is handed on before the end: nobody reads along.
        part   the response of the run that is to be told.
    """

    def __init__(self, task: Task, runs: Runs, kept: Kept, *, whole: bool, part: int = 0) -> None:
        self.part = part
        self._task = task
        self._runs = runs
        self._kept = kept
        self._whole = whole
        self._sequence = Sequence()
        self._held: list[Event] = []
        self._ready: list[Event] = []
        self._arrived: asyncio.Future[bool] | None = None
        self._missing_since: float | None = None
        self._answered = 0
        self._deadline = task.deadline
        self.is_paused = False

    def recall(self, published: Iterable[Event], *, answered: int) -> None:
        """Begin with what was told before; `answered`: the last attempt that waits for nobody."""
        self._answered = answered
        self._take_in(published)

    def push(self, event: Event) -> None:
        """One more event, as it is heard."""
        if self.is_paused:
            return
        if self._held or self._sequence.is_out_of_turn(event):
            self._held.append(event)
        else:
            self._tell(self._sequence.take(event))
        if not self._is_missing:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = time.monotonic()
            self._wake()
        if self._is_due:
            self._wake()

    async def batches(self) -> AsyncIterator[list[Event]]:
        """The events in order, as many at a time as are there; the last one is the end.

        Or the run is parked: `is_paused` says so.

        Raises:
            NotFound: the run is gone.
            Overdue: it has shown no end long after its deadline.
        """
        while True:
            await self._until_due()
            batch, self._ready = self._ready, []
            yield batch
            # More may have come while the reader was busy with this, the end among it.
            if self._has_stopped and not self._ready:
                return

    @property
    def _has_stopped(self) -> bool:
        return self._sequence.has_ended or self.is_paused

    @property
    def _is_missing(self) -> bool:
        return bool(self._held) or self._sequence.has_gap

    @property
    def _is_due(self) -> bool:
        return bool(self._ready) and (self._has_stopped or not self._whole)

    def _take_in(self, published: Iterable[Event]) -> None:
        """What the stream keeps, and then what was heard beyond it."""
        held, self._held = self._held, []
        for event in (*published, *held):
            self._take(event)
        if not self.is_paused:
            self._tell(self._sequence.skip())
        self._missing_since = None

    def _take(self, event: Event) -> None:
        if not self.is_paused:
            self._tell(self._sequence.take(event))

    def _tell(self, events: list[Event]) -> None:
        self._ready += events
        if any(is_pause(event, answered=self._answered, part=self.part) for event in events):
            self.is_paused = True

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_due:
            self._arrived = loop.create_future()
            # Each request waits here, and this costs half of what an event with a timeout does.
            timer = loop.call_later(self._patience, self._miss)
            try:
                has_arrived = await self._arrived
            finally:
                timer.cancel()
            if not has_arrived:
                await self._look()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(True)

    def _miss(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(False)

    @property
    def _patience(self) -> float:
        """For how long nothing may be heard, in seconds; counted from when something is missing."""
        if self._missing_since is None:
            return SILENCE_SECONDS
        wait = TURN_SECONDS if self._held else GAP_SECONDS
        return max(0, self._missing_since + wait - time.monotonic())

    async def _look(self) -> None:
        """Find out from what is kept what was missed."""
        try:
            await self._catch_up(await self._record())
        except (TransportError, TimeoutError) as error:
            log.warning("cannot look", extra={"task": self._task.id, "error": str(error)})
            if self._missing_since is not None:
                self._missing_since = time.monotonic()  # and try once more as long after
        if not self._has_stopped and time.time() > self._deadline + OVERDUE_SECONDS:
            raise Overdue(
                f"The run {self._task.id} has shown no end, though its deadline has passed."
            )

    async def _record(self) -> RunRecord:
        held = await self._runs.get(self._task.agent, self._task.id)
        if held is None:
            raise NotFound(f"The run {self._task.id} is gone; somebody has deleted it.")
        # The clock of a run stands still while it is parked, and its deadline moves.
        parked = held.record.state is RunState.PARKED
        self._deadline = math.inf if parked else held.record.task.deadline
        return held.record

    async def _catch_up(self, record: RunRecord) -> None:
        asks = record.is_asking and record.attempt > self._answered
        has_handed_over = len(record.handovers) > self.part
        if not (record.state.is_end or self._is_missing or asks or has_handed_over):
            return
        published = with_handovers(await self._kept.events(self._task), record)
        self._take_in(self._sequence.unknown(published))
        if asks and not self.is_paused:
            self._tell(list(record.needs(1)))
        if record.state.is_end:
            self._take(record.end(1))


class Relay:
    """All who wait in this process, by the task they wait for."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._following: dict[str, list[Following]] = {}

    @contextlib.asynccontextmanager
    async def listening(self, subject: str) -> AsyncIterator[None]:
        """Take what is published to `subject` for as long as the body runs."""
        async with _heard(self._outbox, subject, self._on_event):
            yield

    @contextlib.contextmanager
    def open(self, task: str, following: Following) -> Iterator[Following]:
        """Let `following` hear the events of `task` for as long as the body runs."""
        waiting = self._following.setdefault(task, [])
        waiting.append(following)
        try:
            yield following
        finally:
            waiting.remove(following)
            if not waiting:
                del self._following[task]

    @contextlib.asynccontextmanager
    async def joining(self, subject: str, following: Following) -> AsyncIterator[Following]:
        """Let `following` hear one task that this process need not have accepted."""

        def on_event(_subject: str, data: bytes) -> None:
            for event in _decoded(data):
                following.push(event)

        async with _heard(self._outbox, subject, on_event):
            yield following

    def _on_event(self, subject: str, data: bytes) -> None:
        if waiting := self._following.get(subject.rpartition(".")[2]):
            for event in _decoded(data):
                for following in waiting:
                    following.push(event)


@contextlib.asynccontextmanager
async def _heard(outbox: Outbox, subject: str, on_event: OnSignal) -> AsyncIterator[None]:
    subscription = await outbox.listen(subject, on_event)
    try:
        yield
    finally:
        await subscription.close()


def _decoded(data: bytes) -> list[Event]:
    try:
        return [decode_event(data)]
    except ValueError as error:
        log.warning("no event", extra={"error": str(error)})
        return []
