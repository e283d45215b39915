"""The run record: one per task, the single truth about where it stands."""

from enum import StrEnum

from runtime.contract.messages import (
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


class RunState(StrEnum):
    """Where a task stands; the last three are ends and never change again."""

    WAITING = "Waiting"
    QUEUED = "Queued"
    RUNNING = "Running"
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
        returned         of these, how many a stopping worker handed back; they count for nothing.
        worker           the process that holds the current attempt.
        cancel_requested a client wants it to end, or its Agent is deleted; a worker or the
                         dispatcher writes that end.
        text, usage      of a Completed run. `reason`, `message`: of a Failed one.

    Units:
        started, ended   seconds since the epoch.
    """

    task: Task
    state: RunState = RunState.QUEUED
    attempt: int = 0
    returned: int = 0
    worker: str | None = None
    cancel_requested: bool = False
    started: float | None = None
    ended: float | None = None
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
