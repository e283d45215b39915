"""Where a conversation stands, as a value, and everything that can happen to it.

Nothing here reads or writes; `conversations` does, under compare-and-set on the head.
"""

from dataclasses import dataclass
from typing import Self

from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Message, Role
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName, Value, Versioned

LAPSE_SECONDS = 60.0
MAX_WAITING = 1000


class Blob(Value):
    """Where a large turn is kept: `parts` values of raw bytes that join to JSON of its messages."""

    digest: str
    parts: int


class Turn(Value):
    """What one run, or one import, added to a conversation; `messages` is empty beside a `blob`.

    Shape:
        task   whose input and answer these are; null for items that a client put there itself.
    """

    task: str | None = None
    messages: tuple[Message, ...] = ()
    blob: Blob | None = None

    @property
    def size(self) -> int:
        """How many bytes it takes in the head."""
        return len(self.encode())


class Place(Value):
    """A task's place in a conversation.

    Shape:
        released   whether it has been published since its turn came; who is admitted at once is
                   published by whoever asked for it.

    Units:
        since, deadline   seconds since the epoch: when it was admitted, when it has ended.
    """

    agent: ObjectName
    task: str
    sequence: int
    since: float
    deadline: float
    released: bool = False

    def lapsed(self, now: float) -> bool:
        """Whether the task should have ended so long ago that nobody will report its end."""
        return now > self.deadline + LAPSE_SECONDS


@dataclass(frozen=True, slots=True)
class Admitted:
    """The task may run now, as number `sequence`, after what `history` says (oldest first)."""

    sequence: int
    history: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Waits:
    """The task is number `sequence` and runs when its turn comes.

    `interrupts` are the tasks before it that are to be cancelled first, the running one among them.
    """

    sequence: int
    interrupts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Busy:
    """The task was not taken: `running` has not ended and `waiting` tasks wait for it."""

    running: str
    waiting: int


type Admission = Admitted | Waits | Busy


class Head(Versioned):
    """What stands of a conversation; the older turns are in chunks of their own.

    Shape:
        user           whose conversation it is; to everybody else it does not exist.
        next_sequence  the number of the next task that is admitted, from 1.
        running        the task whose turn it is, whether or not a worker has it yet.
        waiting        the tasks that follow, in order.
        turns          the newest turns; `chunks` counts the chunks of those before.
        length         how many turns there are in all.
        imported       up to where the server's own items were taken in: a word of the server's.
        synced         how many turns the server's own items know.
    """

    conversation: str
    user: str
    next_sequence: int = 1
    running: Place | None = None
    waiting: tuple[Place, ...] = ()
    turns: tuple[Turn, ...] = ()
    chunks: int = 0
    length: int = 0
    imported: str | None = None
    synced: int = 0

    def change(self, **fields: object) -> Self:
        """This head with other values in `fields`."""
        return self.model_copy(update=fields)

    def place(self, task: str) -> Place | None:
        """The place of `task`, if it has not ended."""
        places = (self.running, *self.waiting)
        return next((place for place in places if place and place.task == task), None)

    def imports(self, turn: Turn | None, *, after: str | None, cursor: str | None) -> "Head":
        """This head with what follows `after` in the server's items, unless it was taken in."""
        if self.imported != after:
            return self
        return _appending(self, turn).change(imported=cursor)

    def admits(
        self, task: str, *, agent: ObjectName, when_busy: WhenBusy, now: float, deadline: float
    ) -> tuple["Head", Admission]:
        """This head once `task` asked for a place, and which it got; asking again changes nothing.

        A task that should have ended long ago is passed over, so that a crash between a place and
        its run record cannot block a conversation for ever.
        """
        head = _without_lapsed(self, now)
        if place := head.place(task):
            return head, _admission(head, place, when_busy)
        if head.running and (when_busy is WhenBusy.REJECT or len(head.waiting) >= MAX_WAITING):
            return head, Busy(head.running.task, len(head.waiting))
        place = Place(
            agent=agent, task=task, sequence=head.next_sequence, since=now, deadline=deadline
        )
        head = _placing(head, place)
        return head, _admission(head, place, when_busy)

    def ends(self, task: str, turn: Turn | None) -> "Head":
        """This head once `task` has ended, with what it leaves behind.

        Only the task whose turn it is appends; whoever reports its end again changes nothing.
        """
        if self.running and self.running.task == task:
            return _promoting(_appending(self, turn))
        return self.change(waiting=tuple(p for p in self.waiting if p.task != task))

    def forgets(self, task: str) -> "Head":
        """This head once nothing is left of what was said in the turn of `task`, but its place."""
        return self.change(turns=forgetting(self.turns, task))

    def keeps(self, task: str, deadline: float) -> "Head":
        """This head once `task`, whose turn it is, may take until `deadline`, or longer."""
        if self.running is None or self.running.task != task or self.running.deadline >= deadline:
            return self
        return self.change(running=self.running.model_copy(update={"deadline": deadline}))

    def releases(self, task: str) -> "Head":
        """This head once `task`, whose turn it is, has been published."""
        if self.running is None or self.running.task != task:
            return self
        return self.change(running=self.running.model_copy(update={"released": True}))

    def knows(self, turns: int, cursor: str | None) -> Self:
        """This head once the server's own items know the first `turns`, up to their `cursor`."""
        return self.change(synced=max(self.synced, turns), imported=cursor or self.imported)

    def spilled(self, turns: int) -> Self:
        """This head once its oldest `turns` are in one more chunk."""
        return self.change(turns=self.turns[turns:], chunks=self.chunks + 1)


def forgetting(turns: tuple[Turn, ...], task: str) -> tuple[Turn, ...]:
    """Turns of which that of `task` says nothing any more; their number is the same."""
    return tuple(Turn(task=task) if turn.task == task else turn for turn in turns)


def _admission(head: Head, place: Place, when_busy: WhenBusy) -> Admission:
    if head.running and place.task == head.running.task:
        return Admitted(place.sequence)
    if when_busy is not WhenBusy.INTERRUPT:
        return Waits(place.sequence)
    before = (p for p in (head.running, *head.waiting) if p and p.sequence < place.sequence)
    return Waits(place.sequence, interrupts=tuple(p.task for p in before))


def _placing(head: Head, place: Place) -> Head:
    numbered = head.change(next_sequence=place.sequence + 1)
    if head.running is None:
        return numbered.change(running=place).releases(place.task)
    return numbered.change(waiting=(*head.waiting, place))


def _appending(head: Head, turn: Turn | None) -> Head:
    if turn is None:
        return head
    return head.change(turns=(*head.turns, turn), length=head.length + 1)


def _promoting(head: Head) -> Head:
    first, *rest = head.waiting or (None,)
    return head.change(running=first, waiting=tuple(rest))


def _without_lapsed(head: Head, now: float) -> Head:
    head = head.change(waiting=tuple(p for p in head.waiting if not p.lapsed(now)))
    return _promoting(head) if head.running and head.running.lapsed(now) else head


def turn_of(record: RunRecord) -> Turn | None:
    """What a run that has ended leaves in its conversation: its input and its answer.

    A run that failed or was cancelled leaves nothing, so the client may say the same again and it
    stands there once.

    Source:
        OpenAI API reference, Create a model response, `conversation`: items are added to the
        conversation after the response completes.
    """
    if record.state is not RunState.COMPLETED:
        return None
    answer = Message(role=Role.ASSISTANT, text=record.text or "")
    return Turn(task=record.task.id, messages=(*record.task.input, answer))
