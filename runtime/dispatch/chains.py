"""Runs that wait for each other: what one agent asks of another, judged and remembered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.contract.access import Guard, agent, decide
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import ask_key, asked_task
from runtime.contract.messages import (
    LONGEST_CHAIN,
    Asked,
    Call,
    CallResult,
    Message,
    Outcome,
    Role,
    Task,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import StackSubjects
from runtime.contract.value import ObjectName, Value
from runtime.tools.calls import step_of

ORIGIN = "dispatcher"  # of tasks that agents ask for: no API process follows their events


class Said(Value):
    """The arguments of a call of an agent."""

    input: str


@dataclass(frozen=True, slots=True)
class Take:
    """The call becomes this task."""

    task: Task


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call fails; the sentence is for the model that has asked."""

    sentence: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The run that asks is not seen to have begun: a copy of its record may lag behind."""


type Judgement = Take | Refuse | NotYet


def genuine_ask(subjects: StackSubjects, subject: str, data: bytes) -> Call:
    """The call in a message, if it is what its subject says: nobody but the caller publishes there.

    Raises:
        ValueError: it is not, or no call of an agent at all.
    """
    call = Call.decode(data)
    subjects.wake(call.caller, call.worker)  # it is used once the call has ended
    if (
        subject != subjects.asks(call.tool, call.caller)
        or call.id != ask_key(call.tool, call.caller, call.task, call.step, call.index)
        or call.step != step_of(call.function, call.arguments)
    ):
        raise ValueError(f"a call of {call.caller} under {subject}")
    Said.model_validate(call.arguments)
    return call


def judged(
    call: Call,
    parent: RunRecord | None,
    entry: AgentEntry | None,
    now: float,
    *,
    asking: Guard | None = None,
) -> Judgement:
    """What becomes of a genuine call.

    Shape:
        parent  the record of the run that asks. One that was handed back waits for its next
                attempt, which asks the same again.
        entry   the agent that is asked, as the catalogue has it.
        asking  the policy that counts for the one that asks.

    Units:
        `now` in seconds since the epoch.
    """
    if parent is None or parent.attempt == 0:
        return NotYet()
    asked, name = parent.task.asked, call.tool.name
    chain = (*(asked.chain if asked else ()), call.caller)
    said = Said.model_validate(call.arguments).input
    if parent.state.is_end or parent.cancel_requested:
        return Refuse(f"{name} was not asked: the run that asks is at its end")
    if now >= call.deadline:
        return Refuse(f"{name} was not asked: the deadline had passed before its turn came")
    if call.tool in chain:
        return Refuse(
            f"{name} cannot be asked: it waits for this answer itself "
            f"({_path((*chain, call.tool))}); find the answer without it"
        )
    if len(chain) >= LONGEST_CHAIN:
        return Refuse(
            f"{name} cannot be asked: {len(chain)} agents wait for each other already "
            f"({_path(chain)}), and no more than {LONGEST_CHAIN} may; find the answer without it"
        )
    if entry is None:
        return Refuse(f"there is no agent {name}; find the answer without it")
    if not _permitted(call, entry, asking):
        return Refuse(f"the agent {name} may not be asked; find the answer without it")
    if not entry.accepting:
        return Refuse(f"the agent {name} takes no work at the moment; find the answer without it")
    if (size := len(said.encode())) > entry.max_input_bytes:
        return Refuse(
            f"the input for {name} has {size} bytes, and it takes {entry.max_input_bytes}; say less"
        )
    deadline = min(call.deadline, parent.task.deadline)
    waits = Asked(call=call.id, task=call.task, worker=call.worker, chain=chain, deadline=deadline)
    return Take(
        Task(
            id=asked_task(call.id),
            stack=parent.task.stack,
            agent=call.tool,
            origin=ORIGIN,
            user=parent.task.user,
            input=(Message(role=Role.USER, text=said),),
            asked=waits,
            created=now,
            deadline=min(deadline, now + entry.timeout_seconds),
            grant=call.grant,
            traceparent=call.traceparent,
        )
    )


def _permitted(call: Call, entry: AgentEntry, asking: Guard | None) -> bool:
    """Whether policies allow it: the connection over which it came may be older than they are."""
    asked, asks = agent(call.tool), agent(call.caller)
    guards = {asked: entry.guard, asks: asking}
    access = {one: guard for one, guard in guards.items() if guard is not None}
    return decide(access, asks, asked).allowed


def _path(chain: Iterable[ObjectName]) -> str:
    return " → ".join(agent.name for agent in chain)


def result_of(record: RunRecord, asked: Asked) -> CallResult:
    """The end of a run as the result of the call that asked for it."""
    name = record.task.agent.name
    match record.state:
        case RunState.COMPLETED:
            return CallResult(call=asked.call, outcome=Outcome.SUCCEEDED, value=record.text or "")
        case RunState.FAILED:
            error = f"the agent {name} failed ({record.reason}): {record.message}"
        case RunState.CANCELLED:
            error = f"the run of the agent {name} was cancelled"
        case _:
            raise ValueError(f"run {record.task.id} has not ended: it is {record.state}")
    return CallResult(call=asked.call, outcome=Outcome.FAILED, error=error)


class Chains:
    """Which open runs wait for which others, and which have nobody any more who waits for them."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()
        self._asker: dict[str, str] = {}
        self._asked_by: dict[str, dict[str, ObjectName]] = {}

    def open(self, record: RunRecord) -> None:
        """Take in a run without an end."""
        task = record.task
        if not record.cancel_requested:
            self._wanted.add(task.id)
        if task.asked is not None:
            self._asker[task.id] = task.asked.task
            self._asked_by.setdefault(task.asked.task, {})[task.id] = task.agent

    def unwanted(self, task: str) -> list[tuple[ObjectName, str]]:
        """Nobody wants this run any more; gives the open runs that it has asked for."""
        self._wanted.discard(task)
        return [(agent, child) for child, agent in self._asked_by.get(task, {}).items()]

    def close(self, task: str) -> list[tuple[ObjectName, str]]:
        """A run has ended, or its record is gone; gives the open runs that it has asked for."""
        asker = self._asker.pop(task, None)
        if asker is not None:
            del self._asked_by[asker][task]
            if not self._asked_by[asker]:
                del self._asked_by[asker]
        return self.unwanted(task)

    def is_orphan(self, task: Task) -> bool:
        """Whether the run that has asked for this one does not wait any more."""
        return task.asked is not None and task.asked.task not in self._wanted
