"""Following runs and Agents, and doing what no worker does when its time has come."""

import asyncio
import logging
import time

from runtime.contract.keys import AGENT_ENTRIES, RUN_RECORDS
from runtime.contract.value import ObjectName
from runtime.dispatch.book import (
    RECHECK_SECONDS,
    AnsweredRun,
    Book,
    Conversation,
    EndedRun,
    Matter,
    OpenRun,
    ParkedRun,
)
from runtime.dispatch.decide import Cancel, LookAgain, Resume, Write, due
from runtime.dispatch.ends import Ends
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.parked import Parked
from runtime.dispatch.ports import Ports
from runtime.dispatch.results import Results
from runtime.dispatch.turns import Turns
from runtime.state.checkpoints import forget
from runtime.transport.port import TransportError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
MISSING_SECONDS = 5.0  # for a copy of the bucket that lags to have a record that there is
FAULT_SECONDS = 30.0
LONGEST_SLEEP_SECONDS = 60.0


class Supervision:
    """The runs of a Stack, from the first look at all of them to the end of the leadership."""

    def __init__(self, ports: Ports, ends: Ends, *, event_seconds: float) -> None:
        self._ports = ports
        self._ends = ends
        self._turns = Turns(ports, ends)
        self._results = Results(ports)
        self._parked = Parked(ports, ends)
        self._book = Book(event_seconds)
        self._complete = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Supervise until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="follow the runs")
            group.create_task(self._follow_agents(), name="follow the agents")
            group.create_task(self._work(), name="look at the runs")

    async def _follow(self) -> None:
        async for entry in self._ports.runs.watch(RUN_RECORDS):
            if entry is None:
                self._complete.set()
            else:
                inherited = not self._complete.is_set()
                self._book.note(entry, time.time(), inherited=inherited)
                self._changed.set()

    async def _follow_agents(self) -> None:
        async for entry in self._ports.catalogue.watch(AGENT_ENTRIES):
            if entry is not None:
                self._book.note_agent(entry, time.time())
                self._changed.set()

    async def _work(self) -> None:
        # Until every record was seen, what is open looks like more than it is.
        await self._complete.wait()
        while True:
            self._changed.clear()
            for matter in self._book.take(time.time()):
                await self._look(matter)
            await self._sleep()

    async def _sleep(self) -> None:
        next_time = self._book.next_time
        seconds = LONGEST_SLEEP_SECONDS if next_time is None else next_time - time.time()
        try:
            async with asyncio.timeout(min(seconds, LONGEST_SLEEP_SECONDS)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _look(self, matter: Matter) -> None:
        try:
            await self._settle(matter)
        except TransportError as error:
            log.warning("a run has to wait", extra={"matter": repr(matter), "error": str(error)})
            self._book.put(matter, time.time() + RETRY_SECONDS)
        except LeadershipLost:
            raise
        except Exception:
            # One record that we cannot cope with must not keep the others waiting.
            log.exception("looking at a run failed", extra={"matter": repr(matter)})
            self._book.put(matter, time.time() + FAULT_SECONDS)

    async def _settle(self, matter: Matter) -> None:
        match matter:
            case OpenRun(agent, task):
                await self._end_if_due(agent, task)
            case EndedRun(agent, task):
                await self._close(agent, task)
            case AnsweredRun(agent, task):
                await self._answer(agent, task)
            case ParkedRun():
                await self._parked.look(matter.agent, matter.task, time.time())
            case Conversation(conversation):
                await self._bring_on(conversation)

    async def _end_if_due(self, agent: ObjectName, task: str) -> None:
        held = await self._ends.get(agent, task)
        now, since = time.time(), self._book.cancelled_since(task)
        if held is None:
            # A record that is deleted leaves the book when the deletion is heard of.
            self._book.put(OpenRun(agent, task), now + MISSING_SECONDS)
            return
        unwanted, trouble = self._book.is_unwanted(held.record.task), self._book.trouble(agent)
        match due(
            held.record,
            now=now,
            cancelled_since=since,
            unwanted=unwanted,
            denial=self._book.denial(held.record),
            trouble=trouble,
        ):
            case LookAgain(at):
                self._book.put(OpenRun(agent, task), at)
            case Write(end):
                await self._ends.write(held, end)
            case Cancel(reason):
                await self._ends.cancel(held, reason)
            case Resume():
                await self._parked.resume(held, now)

    async def _close(self, agent: ObjectName, task: str) -> None:
        """Make sure that an end was told, and that nothing is kept any more to go on from."""
        held = await self._ends.get(agent, task)
        if held is not None and held.record.state.is_end:
            await self._ends.tell(held)
        await forget(self._ports.checkpoints, agent, task)

    async def _answer(self, agent: ObjectName, task: str) -> None:
        held = await self._ends.get(agent, task)
        if held is not None and held.record.state.is_end:
            await self._results.end(held.record)

    async def _bring_on(self, conversation: str) -> None:
        now = time.time()
        again = await self._turns.look(conversation, now)
        if again is None and self._book.waits(conversation):
            again = now + RECHECK_SECONDS
        if again is not None:
            self._book.put(Conversation(conversation), again)
