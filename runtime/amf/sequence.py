"""Events of one task, put in order as they come in: attempt by attempt, each once."""

from runtime.contract.messages import ApprovalNeeded, Cancelled, Completed, Event, Failed, Started


class Sequence:
    """What of the events may be told now, and whether one is missing.

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
        if self.has_ended or not self._is_current(event):
            return []
        if event.seq > self._next:
            self._early[event.seq] = event
            return []
        if event.seq < self._next:
            return self._told([event]) if is_end(event) else []
        self._early[event.seq] = event
        ready = []
        while (following := self._early.pop(self._next, None)) is not None:
            ready.append(following)
            self._next += 1
        return self._told(ready)

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

    def _is_current(self, event: Event) -> bool:
        if event.attempt < self._attempt:
            return is_end(event)
        if event.attempt > self._attempt or self._begins_anew(event):
            self._attempt, self._worker, self._next, self._early = event.attempt, None, 1, {}
        if isinstance(event, Started):
            self._worker = event.worker
        return True

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
    return isinstance(event, Completed | Failed | Cancelled)


def is_pause(event: Event) -> bool:
    """Whether nothing follows it until people have decided."""
    return isinstance(event, ApprovalNeeded) and event.left == 0
