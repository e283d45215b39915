"""The dispatcher's book: which runs are open and what has to be looked at, and when.

It is made anew from the run records and the catalogue by every dispatcher that begins to lead, so
it may be lost.
"""

import heapq
import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.contract import access
from runtime.contract.access import Guard, Resource
from runtime.contract.catalogue import AgentEntry, AgentState
from runtime.contract.keys import agent_entry
from runtime.contract.messages import Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.dispatch.chains import Chains
from runtime.dispatch.decide import UNPUBLISHED_SECONDS, LookAgain, due
from runtime.transport.port import Entry

log = logging.getLogger(__name__)

TELLING_SECONDS = 5.0  # for whoever wrote an end to tell it
RECHECK_SECONDS = 5.0  # between looks at a conversation in which somebody waits
SLACK = 1000


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run without an end: does it need one?"""

    agent: ObjectName
    task: str


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that failed or was cancelled: was its end told, and what it has kept removed?"""

    agent: ObjectName
    task: str


@dataclass(frozen=True, slots=True)
class AnsweredRun:
    """A run that an agent has asked for and that has ended: does that agent know?"""

    agent: ObjectName
    task: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Whose turn is it, and does he know?"""

    conversation: str


@dataclass(frozen=True, slots=True)
class ParkedRun:
    """A run that is parked, or goes on: is its place kept, its task published?"""

    agent: ObjectName
    task: str


type Matter = OpenRun | EndedRun | AnsweredRun | Conversation | ParkedRun


class Book:
    """Matters in the order of their time; each stands there once.

    Units:
        Times are seconds since the epoch. The ends of runs older than `event_seconds` are not
        told again: nobody could follow them any more.
    """

    def __init__(self, event_seconds: float) -> None:
        self._event_seconds = event_seconds
        self._times: dict[Matter, float] = {}
        self._heap: list[tuple[float, int, Matter]] = []
        self._numbers = itertools.count()
        self._cancelled_since: dict[str, float] = {}
        self._waiting: dict[str, set[str]] = {}
        self._cancelling: set[str] = set()
        self._trouble: dict[str, str] = {}
        self._access: dict[Resource, Guard] = {}
        self._asker: dict[OpenRun, ObjectName] = {}
        self._chains = Chains()

    def note(self, entry: Entry, now: float, *, inherited: bool = False) -> None:
        """Take in what a run record says now; `inherited` from before this dispatcher led."""
        if entry.deleted:
            self._forget(entry.key, now)
            return
        try:
            record = RunRecord.decode(entry.value)
        except ValueError as error:
            log.warning("no run record", extra={"key": entry.key, "error": str(error)})
            return
        if record.state.is_end:
            self._close(record, now, inherited=inherited)
        else:
            self._open(record, now, inherited=inherited)

    def note_agent(self, entry: Entry, now: float) -> None:
        """Take in what the catalogue says of an Agent now."""
        told = _told(entry)
        self._trouble.pop(entry.key, None)
        if told is not None or entry.deleted:  # else nobody can read what it says of rules
            self._note_guard(entry.key, told, now)
        if told is not None and told.state is AgentState.UNAVAILABLE:
            self._trouble[entry.key] = told.message
        if told is None or not told.cancelling:
            self._cancelling.discard(entry.key)
            return
        self._cancelling.add(entry.key)
        runs = [matter for matter in self._times if isinstance(matter, OpenRun)]
        for run in runs:
            if self.is_cancelling(run.agent):
                self.put(run, now)

    def _note_guard(self, key: str, told: AgentEntry | None, now: float) -> None:
        """Look at all that has to do with an Agent once other rules are about it."""
        agent = told.agent if told is not None else _agent_of(key)
        if agent is None:
            return
        guarded, guard = access.agent(agent), told.guard if told is not None else None
        if guard == self._access.get(guarded):
            return
        self._access.pop(guarded, None)
        if guard is not None:
            self._access[guarded] = guard
        runs = [matter for matter in self._times if isinstance(matter, OpenRun)]
        for run in runs:
            if agent in (run.agent, self._asker.get(run)):
                self.put(run, now)

    def denial(self, record: RunRecord) -> str:
        """Why who has asked for this run may not do so (any more), a sentence; "" if he may."""
        verdict = access.decide(self._access, record.caller, access.agent(record.task.agent))
        if verdict.allowed:
            return ""
        caller = verdict.caller
        who = f"the agent {caller.name.name}" if isinstance(caller, Resource) else str(caller)
        return f"{who} may not call the agent {record.task.agent.name} any more."

    def put(self, matter: Matter, at: float) -> None:
        """Look at `matter` at `at`, and at no other time."""
        self._times[matter] = at
        heapq.heappush(self._heap, (at, next(self._numbers), matter))
        if len(self._heap) > 2 * len(self._times) + SLACK:
            # Most runs end long before their deadline; what was to be done then is forgotten here.
            self._heap = [item for item in self._heap if self._times.get(item[2]) == item[0]]
            heapq.heapify(self._heap)

    def take(self, now: float) -> list[Matter]:
        """Everything whose time has come, in order; it stands here no longer."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            at, _, matter = heapq.heappop(self._heap)
            if self._times.get(matter) == at:
                del self._times[matter]
                taken.append(matter)
        return taken

    @property
    def next_time(self) -> float | None:
        """When something has to be looked at again."""
        return self._heap[0][0] if self._heap else None

    def cancelled_since(self, task: str) -> float | None:
        """When it was first seen that somebody wants this run to end."""
        return self._cancelled_since.get(task)

    def is_cancelling(self, agent: ObjectName) -> bool:
        """Whether every open run of `agent` is to end."""
        return agent_entry(agent) in self._cancelling

    def trouble(self, agent: ObjectName) -> str:
        """Why no worker of `agent` can start, as the catalogue tells it; empty if one can."""
        return self._trouble.get(agent_entry(agent), "")

    def is_unwanted(self, task: Task) -> bool:
        """Whether a run is to end: its agent's runs all are, or nobody waits for it any more."""
        return self.is_cancelling(task.agent) or self._chains.is_orphan(task)

    def waits(self, conversation: str) -> bool:
        """Whether a run waits for its turn there."""
        return conversation in self._waiting

    def _open(self, record: RunRecord, now: float, *, inherited: bool) -> None:
        task, conversation = record.task.id, record.task.conversation
        self._chains.open(record)
        if record.cancel_requested:
            self._cancelled_since.setdefault(task, now)
            self._put_open(self._chains.unwanted(task), now)
        if record.state is RunState.WAITING and conversation is not None:
            self._waiting.setdefault(conversation, set()).add(task)
            self.put(Conversation(conversation), now)
        else:
            self._waits_no_more(record)
            if inherited and conversation is not None:
                # Whoever led before may have died before he published it.
                self.put(Conversation(conversation), now)
            elif conversation is not None and record.state is RunState.QUEUED:
                self._put_by(Conversation(conversation), record.task.created + UNPUBLISHED_SECONDS)
        agent = record.task.agent
        if record.task.asked is not None:
            self._asker[OpenRun(agent, task)] = record.task.asked.chain[-1]
        if record.state is RunState.PARKED and conversation is not None:
            self.put(ParkedRun(agent, task), now)
        elif record.is_resumed:
            self.put(ParkedRun(agent, task), (record.resumed or now) + UNPUBLISHED_SECONDS)
        else:
            self._times.pop(ParkedRun(agent, task), None)
        needed = due(
            record,
            now=now,
            cancelled_since=self._cancelled_since.get(task),
            unwanted=self.is_unwanted(record.task),
            denial=self.denial(record),
        )
        at = needed.at if isinstance(needed, LookAgain) else now
        self.put(OpenRun(agent, task), at)

    def _put_by(self, matter: Matter, at: float) -> None:
        if self._times.get(matter, at + 1) > at:
            self.put(matter, at)

    def _close(self, record: RunRecord, now: float, *, inherited: bool) -> None:
        agent, task, conversation = record.task.agent, record.task.id, record.task.conversation
        self._cancelled_since.pop(task, None)
        self._times.pop(OpenRun(agent, task), None)
        self._asker.pop(OpenRun(agent, task), None)
        self._times.pop(ParkedRun(agent, task), None)
        self._waits_no_more(record)
        self._put_open(self._chains.close(task), now)
        ended = now if record.ended is None else record.ended
        asked = record.task.asked
        # Who asked may wait longer than it said then: its clock stands still while it is parked.
        if asked is not None and now < max(asked.deadline, ended + self._event_seconds):
            self.put(AnsweredRun(agent, task), now)
        if conversation is not None:
            self.put(Conversation(conversation), now)
        if record.state is not RunState.COMPLETED and ended > now - self._event_seconds:
            self.put(EndedRun(agent, task), now + (0 if inherited else TELLING_SECONDS))

    def _put_open(self, runs: Iterable[tuple[ObjectName, str]], now: float) -> None:
        for agent, task in runs:
            self.put(OpenRun(agent, task), now)

    def _forget(self, key: str, now: float) -> None:
        match key.split("."):
            case [namespace, name, task]:
                agent = ObjectName(namespace=namespace, name=name)
                self._times.pop(OpenRun(agent, task), None)
                self._asker.pop(OpenRun(agent, task), None)
                self._put_open(self._chains.close(task), now)
                self._times.pop(ParkedRun(agent, task), None)

    def _waits_no_more(self, record: RunRecord) -> None:
        conversation = record.task.conversation
        if conversation is None or conversation not in self._waiting:
            return
        self._waiting[conversation].discard(record.task.id)
        if not self._waiting[conversation]:
            del self._waiting[conversation]


def _agent_of(key: str) -> ObjectName | None:
    """The Agent of whom an entry of the catalogue is."""
    match key.split("."):
        case [_, namespace, name]:
            return ObjectName(namespace=namespace, name=name)
        case _:
            return None


def _told(entry: Entry) -> AgentEntry | None:
    """What the catalogue says of an Agent, None if there is none any more."""
    if entry.deleted:
        return None
    try:
        return AgentEntry.decode(entry.value)
    except ValueError as error:
        log.warning("no agent", extra={"key": entry.key, "error": str(error)})
        return None
