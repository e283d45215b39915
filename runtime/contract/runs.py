"""The run record: one per task, the single truth about where it stands."""

from collections.abc import Mapping
from enum import StrEnum
from operator import not_
from typing import Final, override

from pydantic import Field

from runtime.contract.approval import MOST_REASON, Approval, Verdict
from runtime.contract.client_calls import ClientCall
from runtime.contract.handover import Handover
from runtime.contract.messages import (
    ApprovalNeeded,
    Cancelled,
    Completed,
    End,
    Failed,
    FailureReason,
    OutputNeeded,
    ResponseOptions,
    Task,
    TokenUsage,
)
from runtime.contract.value import Growing

REVISION = "K8gentai-Run-Revision"
"""Header of a task on the queue: the revision at which its run was accepted.

A worker that begins over exactly this revision needs not read the record before.
"""

RESUMPTION = "K8gentai-Resumption"
"""Header of a task that is queued again after it was parked: `RunRecord.resumptions` by then.

A message that names another one, or none, is from before: its delivery was not acknowledged, or
nobody could know whether the queue had taken it.
"""


def resumption(headers: Mapping[str, str]) -> int:
    """How often the run had been resumed when this message was queued."""
    number = headers.get(RESUMPTION, "")
    return int(number) if number.isdecimal() else 0


LATER_BYTES: Final = 2048
"""What a parked record grows by at most beside decisions: its next worker, times, a failure."""


class RunState(StrEnum):
    """Where a task stands; the last three are ends and never change again.

    A parked one waits for a person, or for outputs of its client: no worker has it, and the queue
    holds nothing of it.
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


class RunRecord(Growing):
    """Everything a client may ask about a task, and what fences a stale attempt.

    Shape:
        task             the task as accepted (the input is needed to show it and to release it).
        attempt          started attempts so far; a worker adds one by compare-and-set, and no two
                         attempts of a task ever share a number.
        returned         of these, how many a stopping worker handed back, or parked; they count
                         for nothing. `failed`: how many failed in a way that is tried again.
        worker           the process that holds the current attempt.
        cancel_requested a client wants it to end, or its Agent is deleted; a worker or the
                         dispatcher writes that end.
        approvals        every call of the run that needs a person, in the order of asking.
        handovers        what its client was to call, in the order of asking; each ends a response.
        parked_attempt   the attempt that parked the run last, 0 if none has; `parked_spent`: what
                         counted by then.
        resumptions      how often it was queued again since it was parked, over all times.
        stands_until     its clock stands still until then, however long it is parked.
        text, usage      of a Completed run. `reason`, `message`: of a Failed one.

    Units:
        started, ended   seconds since the epoch; `parked`, `resumed`: when that happened last.
        waited           seconds for which its clock stood still, over all times it was parked.
    """

    task: Task
    state: RunState = RunState.QUEUED
    attempt: int = 0
    returned: int = 0
    failed: int = Field(default=0, exclude_if=not_)
    worker: str | None = None
    cancel_requested: bool = False
    started: float | None = None
    ended: float | None = None
    approvals: tuple[Approval, ...] = ()
    handovers: tuple[Handover, ...] = ()
    parked_attempt: int = 0
    parked_spent: int = 0
    resumptions: int = 0
    parked: float | None = None
    stands_until: float | None = None
    waited: float = 0.0
    resumed: float | None = None
    text: str | None = None
    usage: TokenUsage = TokenUsage()
    reason: FailureReason | None = None
    message: str | None = None

    @property
    @override
    def calls_client(self) -> bool:
        return self.task.calls_client or bool(self.handovers)

    @property
    def spent(self) -> int:
        """Started attempts that count towards `retryPolicy.maxAttempts`."""
        return self.attempt - self.returned

    @property
    def losses(self) -> str:
        """Of a run that no worker has: how many it has lost, and where to look; "" if none."""
        lost = self.spent - self.failed
        if lost < 1:
            return ""
        workers = "1 worker was" if lost == 1 else f"{lost} workers were"
        where = f"see the status of Agent {self.task.agent}, and the logs of its workers"
        return f"{workers} lost over it; {where}"

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
    def open_handover(self) -> Handover | None:
        """What it waits for from its client, None if it waits for nothing of him."""
        last = self.handovers[-1] if self.state is RunState.PARKED and self.handovers else None
        return last if last is not None and last.is_open else None

    @property
    def part(self) -> int:
        """The number of its newest response, from 0: the outputs of a handover begin another."""
        return sum(not one.is_open for one in self.handovers)

    def response_of(self, part: int) -> ResponseOptions:
        """What the client asked of the response number `part`."""
        asked = self.handovers[part - 1].response if part else None
        return self.task.response if asked is None else asked

    def may_be_asked_again(self, part: int) -> bool:
        """Whether the same request gets the response number `part` again: by its claim or outputs.

        Who goes away from such a response may come back for it.
        """
        return part > 0 or self.task.response.claim is not None

    def began(self, part: int) -> float:
        """When the response number `part` was asked for, in seconds since the epoch."""
        given = self.handovers[part - 1].given if part else None
        return self.task.created if given is None else given

    @property
    def answered_attempt(self) -> int:
        """The last attempt that waits for nobody any more, 0 if none ever did."""
        return self.parked_attempt - 1 if self.is_asking else self.parked_attempt

    @property
    def is_resumed(self) -> bool:
        """Whether it goes on after it was parked, and no worker has begun that."""
        return self.state is RunState.QUEUED and 0 < self.parked_attempt == self.attempt

    @property
    def goes_on(self) -> bool:
        """Whether the attempt under way is the first that counts since the run was parked.

        Those between were handed back by workers that stopped: none was lost, and none failed.
        """
        return self.parked_attempt > 0 and self.spent == self.parked_spent + 1

    def takes(self, resumption: int) -> bool:
        """Whether a message with this number may begin an attempt, if the run has no end."""
        return self.state is not RunState.PARKED and self.resumptions == resumption

    def parking(
        self, needed: tuple[Approval, ...], now: float, *, stands_until: float | None = None
    ) -> "RunRecord":
        """This record once its attempt is over because these calls need a person."""
        update = {"approvals": (*self.approvals, *needed)}
        return self._parking(now, stands_until).model_copy(update=update)

    def handing_over(
        self,
        calls: tuple[ClientCall, ...],
        now: float,
        *,
        seq: int,
        used: TokenUsage,
        expires: float,
        stands_until: float | None = None,
    ) -> "RunRecord":
        """This record once its attempt is over because its client is to make these calls.

        Shape:
            seq  the place of the first event that tells of it.
        """
        handover = Handover(
            calls=calls,
            first=sum(len(one.calls) for one in self.handovers),
            attempt=self.attempt,
            seq=seq,
            used=used,
            asked=now,
            expires=expires,
        )
        update = {"handovers": (*self.handovers, handover)}
        return self._parking(now, stands_until).model_copy(update=update)

    def _parking(self, now: float, stands_until: float | None) -> "RunRecord":
        return self.model_copy(
            update={
                "state": RunState.PARKED,
                "returned": self.returned + 1,
                "worker": None,
                "parked_attempt": self.attempt,
                "parked_spent": self.spent - 1,
                "parked": now,
                "stands_until": stands_until,
            }
        )

    @property
    def room_bytes(self) -> int:
        """What it may yet grow by, whatever the user of the run decides on what is open."""
        longest = "\0" * MOST_REASON  # no character takes more than six bytes in JSON
        decided = self
        for number, one in enumerate(self.approvals):
            if one.is_open:
                decided = decided.deciding(
                    number, Verdict.APPROVED, by=self.task.user, reason=longest, now=one.expires
                )
        return len(decided.encode()) - len(self.encode()) + LATER_BYTES

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
        """This record once it is queued again, by a message that is the only good one.

        Its clock stood still while it was parked.
        """
        stood = self._stood(now) if self.state is RunState.PARKED else 0
        task = self.task.model_copy(update={"deadline": self.task.deadline + stood})
        return self.model_copy(
            update={
                "state": RunState.QUEUED,
                "task": task,
                "waited": self.waited + stood,
                "resumptions": self.resumptions + 1,
                "resumed": now,
            }
        )

    def _stood(self, now: float) -> float:
        until = now if self.stands_until is None else min(now, self.stands_until)
        return 0 if self.parked is None else max(0, until - self.parked)

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

    def hands_over(self, place: int) -> list[OutputNeeded]:
        """The events that tell of the handover number `place`, the same as were published."""
        return self.handovers[place].events(self.task.id, place)

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
