"""Run records as tables write them."""

from typing import Any

from runtime.contract.approval import Approval, Verdict
from runtime.contract.messages import FailureReason, Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.tests.amf.events import MATH, TASK

STACK = ObjectName(namespace="team", name="default")
CONTEXT = "c1"


def record(state: RunState, **facts: Any) -> RunRecord:
    """A run of ann's that asks for 2+3, begun at 1 s after the epoch."""
    task = Task(
        id=TASK,
        stack=STACK,
        agent=MATH,
        origin="elsewhere",
        user="ann",
        conversation=CONTEXT,
        input=(Message(role=Role.USER, text="2+3?"),),
        created=1,
        deadline=2,
    )
    return RunRecord(task=task, state=state, **facts)


def completed_record(text: str = "It is 5") -> RunRecord:
    return record(RunState.COMPLETED, attempt=1, text=text, ended=5)


def failed_record(message: str = "The model is away.") -> RunRecord:
    reason = FailureReason.MODEL_ERROR
    return record(RunState.FAILED, attempt=1, reason=reason, message=message, ended=5)


def parked_record(*verdicts: Verdict | None) -> RunRecord:
    """It has asked for a person as often as there are verdicts; None: nobody has decided."""
    approvals = tuple(
        Approval(
            call=f"c{number}",
            function="plus",
            arguments='{"a":2}',
            expires=2e9,
            verdict=verdict,
            by=verdict and "ann",
        )
        for number, verdict in enumerate(verdicts)
    )
    return record(
        RunState.PARKED, attempt=1, returned=1, parked_attempt=1, parked=4, approvals=approvals
    )
