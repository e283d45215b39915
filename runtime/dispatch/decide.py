"""What the dispatcher has to do, from a record and the time alone. Pure."""

from dataclasses import dataclass
from typing import Any

from runtime.contract.dead_letter import times
from runtime.contract.messages import (
    CallResult,
    Cancelled,
    End,
    Failed,
    FailureReason,
    Outcome,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.state.conversation_head import Place

GRACE_SECONDS = 10.0  # past its deadline, for a worker to write the end itself
CANCEL_SECONDS = 15.0  # after a cancellation, for the worker that has it or gets it next
PHANTOM_SECONDS = 30.0  # for a run record to appear behind a place in a conversation

UNPUBLISHED_SECONDS = 5.0  # from a run record to its task in the queue


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing to do before `at` (seconds since the epoch)."""

    at: float


@dataclass(frozen=True, slots=True)
class Write:
    """Write this end: no worker will."""

    end: End


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask for the end of this run, as a client may; whoever has it writes that end."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Whatever this run was parked for is decided, or given: let it go on."""


def due(
    record: RunRecord,
    *,
    now: float,
    cancelled_since: float | None,
    unwanted: bool = False,
    trouble: str = "",
) -> LookAgain | Write | Cancel | Resume | None:
    """What an open run needs: an end, another look, or None if it has its end.

    A worker writes the ends of what it runs, so a running one gets time for that; `cancelled_since`
    is when the cancellation of it was first seen. `unwanted`: its Agent is to have no runs any
    more; `trouble` says why no worker of that can start, if none can. A parked one has no deadline
    but those of its approvals.
    """
    if record.state.is_end:
        return None
    if record.state is RunState.PARKED and not record.cancel_requested:
        return Cancel() if unwanted else _parked(record, now)
    last = record.task.deadline
    if record.state is RunState.RUNNING:
        last += GRACE_SECONDS
        if cancelled_since is not None:
            last = min(last, cancelled_since + CANCEL_SECONDS)
    elif record.cancel_requested:
        last = now
    if now >= last:
        return Write(_cancelled(record) if record.cancel_requested else _timed_out(record, trouble))
    return Cancel() if unwanted and not record.cancel_requested else LookAgain(last)


def _parked(record: RunRecord, now: float) -> LookAgain | Resume | Write:
    if (handover := record.open_handover) is not None:
        return LookAgain(handover.expires) if now < handover.expires else Write(_left(record))
    undecided = record.expiring(now).waits_until
    return Resume() if undecided is None else LookAgain(undecided)


@dataclass(frozen=True, slots=True)
class Finish:
    """The run has ended: append what it leaves and go on to the next."""


@dataclass(frozen=True, slots=True)
class Release:
    """It is this run's turn: publish its task, if that has not been done."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """It was to be published and no worker has begun it: who was to do it may have died."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody will ever run here: whoever was admitted has vanished without a run record."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The run goes its way; its end is what comes next."""


type NextInLine = Finish | Release | Repeat | Abandon | Rest | LookAgain


def next_in_line(place: Place, record: RunRecord | None, now: float) -> NextInLine:
    """What the place whose turn it is in a conversation needs."""
    if record is None:
        appears = place.since + PHANTOM_SECONDS
        return LookAgain(appears) if now < appears else Abandon()
    if record.state.is_end:
        return Finish()
    begun = record.state is RunState.RUNNING or record.attempt > 0
    ending = isinstance(due(record, now=now, cancelled_since=None), Write)
    if begun or ending:
        return Rest()
    if not place.released:
        return Release()
    if record.state is not RunState.QUEUED:
        return Rest()
    appears = record.task.created + UNPUBLISHED_SECONDS
    return LookAgain(appears) if now < appears else Repeat()


def gave_up(record: RunRecord, deliveries: int) -> Failed:
    """The end of a task that the queue delivers no more."""
    losses = f": {record.losses}" if record.losses else ""
    return Failed(
        **_place(record),
        reason=FailureReason.DEAD_LETTERED,
        message=f"the task was delivered {times(deliveries)} and no worker brought it to an end"
        f"{losses}",
    )


def lost_call(call: str, found: CallResult | None, deliveries: int) -> CallResult:
    """The end of a call that the queue delivers no more.

    A tool that had begun may have taken effect, so nobody can say whether it did.
    """
    told = f"the call was delivered {times(deliveries)} without an answer"
    if found is None:
        never = f"{told}, and the tool never began it"
        return CallResult(call=call, outcome=Outcome.FAILED, error=never)
    doubt = f"{told}; whether it took effect is not known"
    return found.model_copy(update={"outcome": Outcome.UNKNOWN, "error": doubt})


def _timed_out(record: RunRecord, trouble: str) -> Failed:
    seconds = round(record.task.deadline - record.task.created - record.waited)
    why = {
        RunState.WAITING: "its conversation was busy all the time",
        RunState.QUEUED: f"no worker of {record.task.agent} took it"
        + (f", and none can start: {trouble}" if trouble else ""),
        RunState.RUNNING: f"its worker {record.worker} was not heard of again",
    }.get(record.state, "")
    return Failed(
        **_place(record),
        reason=FailureReason.TIMED_OUT,
        message=f"the task did not end within {seconds} s: {why}",
    )


def _left(record: RunRecord) -> Failed:
    handover = record.handovers[-1]
    waited = round(handover.expires - handover.asked)
    return Failed(
        **_place(record),
        reason=FailureReason.TIMED_OUT,
        message=f"the client gave no output of {handover.functions} within {waited} s "
        "(spec.execution.clientTimeoutSeconds of its Agent)",
    )


def _cancelled(record: RunRecord) -> Cancelled:
    return Cancelled(**_place(record))


def _place(record: RunRecord) -> dict[str, Any]:
    return {"task": record.task.id, "attempt": max(record.attempt, 1), "seq": 1}
