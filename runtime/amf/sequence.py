"""Events of one task, put in order as they come in: attempt by attempt, each once."""

from collections.abc import Iterable

from runtime.contract.handover import Handover
from runtime.contract.messages import (
    ApprovalNeeded,
    Cancelled,
    Completed,
    Event,
    Failed,
    OutputNeeded,
    Started,
)
from runtime.contract.runs import RunRecord

ENDS = (Completed, Failed, Cancelled)  # several times an event, and a union is made each time


class Sequence:
    """What of the events may be told now, and whether one is missing.

    Whoever takes the same events in the same order tells the same, whenever he does it: what is
    held back because something before it is missing is told at the latest when the attempt is over.

    Shape:
        An attempt that was handed back is begun anew under its number by another worker, so a
        beginning is known by attempt and worker. An end is an end whatever its number says: it is
        published only after the run record has it, and told again by workers who saw nothing else.
    """

    def __init__(self) -> None:
        self._attempt = 0
        self._worker: str | None = None
        self._next = 1
        self._early: dict[int, Event] = {}
        self.has_ended = False

    def take(self, event: Event) -> list[Event]:
        """What can be told now that `event` is here."""
        if self.has_ended:
            return []
        if event.attempt < self._attempt:
            return self._told([event]) if is_end(event) else []
        left = self._begin(event) if self._is_another(event) else []
        return left if left and is_end(left[-1]) else [*left, *self._next_after(event)]

    def is_out_of_turn(self, event: Event) -> bool:
        """Whether something before `event` may have been missed that no gap in the numbers shows.

        Another attempt begins, or an end comes that does not know what was said before it.
        """
        if self.has_ended:
            return False
        if event.attempt < self._attempt:
            return is_end(event)
        if self._is_another(event):
            return self._attempt > 0 or event.attempt > 1
        return is_end(event) and event.seq < self._next

    def skip(self) -> list[Event]:
        """What is here beyond what is missing: it will not come any more."""
        ready = [self._early[seq] for seq in sorted(self._early)]
        if ready:
            self._next = ready[-1].seq + 1
        self._early = {}
        return self._told(ready)

    def unknown(self, published: list[Event]) -> list[Event]:
        """Those of all `published` events that are not older than what is being told."""
        for index in reversed(range(len(published))):
            event = published[index]
            if isinstance(event, Started) and self._is_told(event):
                return published[index:]
        return published

    @property
    def has_gap(self) -> bool:
        """Whether later events are here and an earlier one is not."""
        return bool(self._early)

    def _next_after(self, event: Event) -> list[Event]:
        if isinstance(event, Started):
            self._worker = event.worker
        if event.seq < self._next:
            return self._told([event]) if is_end(event) else []
        self._early[event.seq] = event
        ready = []
        while (following := self._early.pop(self._next, None)) is not None:
            ready.append(following)
            self._next += 1
        return self._told(ready)

    def _begin(self, event: Event) -> list[Event]:
        """Turn to the attempt of `event`; gives what was held back of the one before."""
        left = self.skip()
        self._attempt, self._worker, self._next = event.attempt, None, 1
        return left

    def _is_another(self, event: Event) -> bool:
        return event.attempt > self._attempt or self._begins_anew(event)

    def _is_told(self, event: Started) -> bool:
        return (event.attempt, event.worker) == (self._attempt, self._worker)

    def _begins_anew(self, event: Event) -> bool:
        return isinstance(event, Started) and self._worker not in {None, event.worker}

    def _told(self, events: list[Event]) -> list[Event]:
        for number, event in enumerate(events):
            if is_end(event):
                self.has_ended = True
                return events[: number + 1]
        return events


def is_end(event: Event) -> bool:
    """Whether nothing follows it."""
    return isinstance(event, ENDS)


def with_handovers(published: Iterable[Event], record: RunRecord) -> list[Event]:
    """What was published of a run, with all that its record knows of handovers in their places.

    Who is told a later response has to know where the ones before it ended.
    """
    told: list[Event] = []
    left = list(published)
    for place, handover in enumerate(record.handovers):
        behind = (n for n, event in enumerate(left) if _is_behind(event, handover))
        before = next(behind, len(left))
        told += [*left[:before], *record.hands_over(place)]
        left = left[before:]
    return told + left


def _is_behind(event: Event, handover: Handover) -> bool:
    """A run that is parked may be ended without another attempt."""
    return event.attempt > handover.attempt or is_end(event)


def is_pause(event: Event, *, answered: int, part: int) -> bool:
    """Whether nothing follows it until people have decided, or the client has given outputs.

    Shape:
        answered  the last attempt whose approvals are decided.
        part      the response that is told: where it ends, its outputs are given in another one.
    """
    match event:
        case ApprovalNeeded(left=0, attempt=attempt):
            return attempt > answered
        case OutputNeeded(left=0, handover=handover):
            return handover >= part
        case _:
            return False
