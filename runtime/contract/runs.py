"""The run record: one per task, the single truth about where it stands."""

from collections.abc import Mapping
from enum import StrEnum

from runtime.contract.approval import Approval, Verdict
from runtime.contract.messages import (
    ApprovalNeeded,
    Cancelled,
    Completed,
    End,
    Failed,
    FailureReason,
    Task,
    TokenUsage,
    Versioned,
)

REVISION = "K8gentai-Run-Revision"
"""Header of a task on the queue: the revision at which its run was accepted.

A worker that begins over exactly this revision needs not read the record before.
"""

PARKED_ATTEMPT = "K8gentai-Parked-Attempt"
"""Header of a task that is queued again after it was parked: `RunRecord.parked_attempt` by then.

A message that names another one, or none, is from before: its delivery was not acknowledged.
"""


def parked_attempt(headers: Mapping[str, str]) -> int:
    """Which attempt had parked the run last when this message was queued, 0 if none had."""
    attempt = headers.get(PARKED_ATTEMPT, "")
    return int(attempt) if attempt.isdecimal() else 0


class RunState(StrEnum):
    """Where a task stands; the last three are ends and never change again.

    A parked one waits for a person: no worker has it, and the queue holds nothing of it.
    """

    WAITING = "Waiting"
    QUEUED = "Queued"
    RUNNING = "Running"
    PARKED = "Parked"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing can follow."""
        return self in {RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED}


class RunRecord(Versioned):
    """Everything a client may ask about a task, and what fences a stale attempt.

    Shape:
        task             the task as accepted (the input is needed to show it and to release it).
        attempt          started attempts so far; a worker adds one by compare-and-set, and no two
                         attempts of a task ever share a number.
        returned         of these, how many a stopping worker handed back, or parked; they count
                         for nothing.
        worker           the process that holds the current attempt.
        cancel_requested a client wants it to end, or its Agent is deleted; a worker or the
                         dispatcher writes that end.
        approvals        every call of the run that needs a person, in the order of asking.
        parked_attempt   the attempt that parked the run last, 0 if none has.
        text, usage      of a Completed run. `reason`, `message`: of a Failed one.

    Units:
        started, ended   seconds since the epoch; `parked`, `resumed`: when that happened last.
    """

    task: Task
    state: RunState = RunState.QUEUED
    attempt: int = 0
    returned: int = 0
    worker: str | None = None
    cancel_requested: bool = False
    started: float | None = None
    ended: float | None = None
    approvals: tuple[Approval, ...] = ()
    parked_attempt: int = 0
    parked: float | None = None
    resumed: float | None = None
    text: str | None = None
    usage: TokenUsage = TokenUsage()
    reason: FailureReason | None = None
    message: str | None = None

    @property
    def spent(self) -> int:
        """Started attempts that count towards `retryPolicy.maxAttempts`."""
        return self.attempt - self.returned

    def beginning(self, worker: str, now: float) -> "RunRecord":
        """This record once `worker` has begun the next attempt."""
        return self.model_copy(
            update={
                "state": RunState.RUNNING,
                "attempt": self.attempt + 1,
                "worker": worker,
                "started": self.started or now,
            }
        )

    @property
    def waits_until(self) -> float | None:
        """When an approval that is open expires first; None if all are decided."""
        return min((one.expires for one in self.approvals if one.is_open), default=None)

    @property
    def is_asking(self) -> bool:
        """Whether it waits for people."""
        return self.state is RunState.PARKED and self.waits_until is not None

    @property
    def answered_attempt(self) -> int:
        """The last attempt that waits for nobody any more, 0 if none ever did."""
        return self.parked_attempt - 1 if self.is_asking else self.parked_attempt

    @property
    def is_resumed(self) -> bool:
        """Whether it goes on after it was parked, and no worker has begun that."""
        return self.state is RunState.QUEUED and 0 < self.parked_attempt == self.attempt

    def parking(self, needed: tuple[Approval, ...], now: float) -> "RunRecord":
        """This record once its attempt is over because these calls need a person."""
        return self.model_copy(
            update={
                "state": RunState.PARKED,
                "returned": self.returned + 1,
                "worker": None,
                "approvals": (*self.approvals, *needed),
                "parked_attempt": self.attempt,
                "parked": now,
            }
        )

    def deciding(
        self, number: int, verdict: Verdict, *, by: str, reason: str | None, now: float
    ) -> "RunRecord":
        """This record once `by` has decided on the approval at place `number`."""
        said = {"verdict": verdict, "by": by, "reason": reason, "decided": now}
        decided = self.approvals[number].model_copy(update=said)
        return self.model_copy(
            update={"approvals": (*self.approvals[:number], decided, *self.approvals[number + 1 :])}
        )

    def expiring(self, now: float) -> "RunRecord":
        """This record once approvals that nobody gave in time have expired."""
        expired = {"verdict": Verdict.EXPIRED, "decided": now}
        return self.model_copy(
            update={
                "approvals": tuple(
                    one.model_copy(update=expired) if one.is_open and one.expires <= now else one
                    for one in self.approvals
                )
            }
        )

    def resuming(self, now: float) -> "RunRecord":
        """This record once it is queued again; its clock stood still while it was parked."""
        stood = now - (now if self.parked is None else self.parked)
        task = self.task.model_copy(update={"deadline": self.task.deadline + stood})
        return self.model_copy(update={"state": RunState.QUEUED, "task": task, "resumed": now})

    def needs(self, seq: int) -> list[ApprovalNeeded]:
        """The events that tell which approvals are open; the first is number `seq`."""
        still = [(number, one) for number, one in enumerate(self.approvals) if one.is_open]
        return [
            ApprovalNeeded(
                task=self.task.id,
                attempt=self.attempt,
                seq=seq + place,
                call=one.call,
                tool=one.function,
                arguments=one.arguments,
                expires=one.expires,
                number=number,
                left=len(still) - place - 1,
            )
            for place, (number, one) in enumerate(still)
        ]

    def ending(self, end: End, now: float) -> "RunRecord":
        """This record once the run has ended with `end`."""
        return self.model_copy(update={"ended": now, **_facts(end)})

    def end(self, seq: int) -> End:
        """The event that tells the end in this record; `seq` is its place in the attempt."""
        at = {"task": self.task.id, "attempt": max(self.attempt, 1), "seq": seq}
        match self.state:
            case RunState.COMPLETED:
                return Completed.model_validate(at | {"text": self.text or "", "usage": self.usage})
            case RunState.CANCELLED:
                return Cancelled.model_validate(at)
            case RunState.FAILED:
                return Failed.model_validate(at | {"reason": self.reason, "message": self.message})
            case _:
                raise ValueError(f"run {self.task.id} has not ended: it is {self.state}")


def _facts(end: End) -> dict[str, object]:
    match end:
        case Completed():
            return {"state": RunState.COMPLETED, "text": end.text, "usage": end.usage}
        case Failed():
            return {"state": RunState.FAILED, "reason": end.reason, "message": end.message}
        case Cancelled():
            return {"state": RunState.CANCELLED}
