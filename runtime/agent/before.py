"""What to do with a task that was delivered, from its run record alone."""

from dataclasses import dataclass

from runtime.contract.agent_config import OnCrash, Retry
from runtime.contract.messages import Cancelled, End, Failed, FailureReason
from runtime.contract.runs import RunRecord, RunState


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the next attempt."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The run has ended; whoever wrote that may not have come so far as to tell it and clean up."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Write this end; there is nothing to run."""

    end: End


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Write this end and put the task with the dead letters."""

    end: Failed


@dataclass(frozen=True, slots=True)
class Outdated:
    """The run was parked or resumed since; another message comes, or has come, for it."""


type Before = Start | Repeat | Refuse | GiveUp | Outdated


def before(record: RunRecord, retry: Retry, now: float, *, resumption: int = 0) -> Before:
    """What comes first for a message that was queued by this `resumption` of the run.

    Units:
        `now` in seconds since the epoch.
    """
    if record.state.is_end:
        return Repeat()
    if not record.takes(resumption):
        return Outdated()
    if record.cancel_requested:
        return Refuse(Cancelled(task=record.task.id, attempt=max(record.attempt, 1), seq=1))
    if now >= record.task.deadline:
        return Refuse(_failed(record, FailureReason.TIMED_OUT, "the task waited past its deadline"))
    crashed = record.state is RunState.RUNNING
    if crashed and retry.on_crash is OnCrash.FAIL:
        message = f"spec.retryPolicy.onCrash is Fail, and {record.losses}"
        return GiveUp(_failed(record, FailureReason.DEAD_LETTERED, message))
    if record.spent >= retry.max_attempts:
        attempts = "1 attempt" if record.spent == 1 else f"{record.spent} attempts"
        losses = f": {record.losses}" if record.losses else ""
        message = f"gave up after {attempts} (spec.retryPolicy.maxAttempts){losses}"
        return GiveUp(_failed(record, FailureReason.DEAD_LETTERED, message))
    return Start()


def _failed(record: RunRecord, reason: FailureReason, message: str) -> Failed:
    return Failed(
        task=record.task.id,
        attempt=max(record.attempt, 1),
        seq=1,
        reason=reason,
        message=message,
    )
