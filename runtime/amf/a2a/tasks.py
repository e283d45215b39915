"""A run as a task of A2A, from its record alone. Pure.

Source:
    A2A protocol specification 1.0, "Task", "TaskStatus", "TaskState", "Artifact".
"""

import datetime as dt
from typing import Final

from a2a.helpers import new_data_part
from a2a.types import Artifact, Message, Part, Role, Task, TaskState, TaskStatus

from runtime.contract import messages
from runtime.contract.runs import RunRecord, RunState

ANSWER = "answer"  # the one artifact of a task: what the agent has answered
STATES: Final = {
    RunState.WAITING: TaskState.TASK_STATE_SUBMITTED,
    RunState.QUEUED: TaskState.TASK_STATE_SUBMITTED,
    RunState.RUNNING: TaskState.TASK_STATE_WORKING,
    RunState.PARKED: TaskState.TASK_STATE_WORKING,
    RunState.COMPLETED: TaskState.TASK_STATE_COMPLETED,
    RunState.FAILED: TaskState.TASK_STATE_FAILED,
    RunState.CANCELLED: TaskState.TASK_STATE_CANCELED,
}


def state_of(record: RunRecord) -> TaskState:
    """Where a run stands, in A2A's words.

    A parked run whose approvals are all decided is about to go on, and so is one that is queued
    again after that: for the client it is at work.
    """
    if record.is_asking:
        return TaskState.TASK_STATE_INPUT_REQUIRED
    if record.is_resumed:
        return TaskState.TASK_STATE_WORKING
    return STATES[record.state]


def task_of(record: RunRecord) -> Task:
    """The whole task: status, what was asked, and the answer if there is one."""
    task = record.task
    return Task(
        id=task.id,
        context_id=task.conversation or "",
        status=status_of(record),
        artifacts=[artifact(record.text)] if record.text else [],
        history=[_said(record, number, said) for number, said in enumerate(task.input)],
    )


def artifact(text: str) -> Artifact:
    """The answer, or a piece of it."""
    return Artifact(artifact_id=ANSWER, name=ANSWER, parts=[Part(text=text)])


def status_of(record: RunRecord) -> TaskStatus:
    """Where the run stands, since when, and what there is to say of it."""
    return status(state_of(record), changed(record), _message(record))


def changed(record: RunRecord) -> float:
    """Since when the run stands where it does, in seconds since the epoch."""
    times = (record.started, record.parked, record.resumed)
    return record.ended or max(record.task.created, *(time or 0 for time in times))


def status(state: TaskState, now: float, message: Message | None = None) -> TaskStatus:
    """A status that holds since `now`, in seconds since the epoch."""
    timestamp = dt.datetime.fromtimestamp(now, dt.UTC)
    return TaskStatus(state=state, timestamp=timestamp, message=message)


def from_agent(task: messages.Task, name: str, *parts: Part) -> Message:
    """Something the agent says beside its answer; `name` tells it from the task's others."""
    return Message(
        message_id=f"{task.id}-{name}",
        role=Role.ROLE_AGENT,
        task_id=task.id,
        context_id=task.conversation or "",
        parts=parts,
    )


def _message(record: RunRecord) -> Message | None:
    if record.is_asking:
        return _approvals(record)
    if record.state is RunState.FAILED:
        return from_agent(record.task, "failed", Part(text=record.message or ""))
    return None


def _approvals(record: RunRecord) -> Message:
    """Which calls need a person, in words and as data for a program."""
    needed = record.needs(1)
    calls = ", ".join(f"{one.tool} with {one.arguments}" for one in needed)
    words = (
        f"A person has to approve the call of {calls}. Answer on this task with the text `approve` "
        'or `deny`, or for each with data: {"id": …, "approve": true or false, "reason": …}.'
    )
    data = [
        {
            "id": f"mcpr_{record.task.id}_{one.number}",
            "name": one.tool,
            "arguments": one.arguments,
            "expires": one.expires,
        }
        for one in needed
    ]
    asked = new_data_part({"approvals": data})
    return from_agent(record.task, f"asks-{record.parked_attempt}", Part(text=words), asked)


def _said(record: RunRecord, number: int, said: messages.Message) -> Message:
    role = Role.ROLE_AGENT if said.role is messages.Role.ASSISTANT else Role.ROLE_USER
    return Message(
        message_id=f"{record.task.id}-{number}",
        role=role,
        task_id=record.task.id,
        context_id=record.task.conversation or "",
        parts=[Part(text=said.text)],
    )
