"""Everything that can happen to a conversation, as values."""

import pytest

from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Message, Role
from runtime.contract.value import ObjectName
from runtime.state.conversation_head import (
    LAPSE_SECONDS,
    MAX_WAITING,
    Admission,
    Admitted,
    Busy,
    Head,
    Place,
    Turn,
    Waits,
)

MATH = ObjectName(namespace="ns", name="math")
EMPTY = Head(conversation="c", user="ann")
SAID = Turn(task="t1", messages=(Message(role=Role.USER, text="1 + 1"),))


def place(number: int, *, deadline: float = 600) -> Place:
    return Place(agent=MATH, task=f"t{number}", sequence=number, since=0, deadline=deadline)


def busy(*numbers: int, released: bool = True, **fields: object) -> Head:
    """A conversation in which the first of these tasks runs and the others wait."""
    first, *rest = map(place, numbers)
    first = first.model_copy(update={"released": released})
    head = EMPTY.change(running=first, waiting=tuple(rest), next_sequence=numbers[-1] + 1)
    return head.change(**fields)


def admit(
    head: Head, task: str, when_busy: WhenBusy = WhenBusy.QUEUE, now: float = 0
) -> tuple[Head, Admission]:
    return head.admits(task, agent=MATH, when_busy=when_busy, now=now, deadline=600)


@pytest.mark.parametrize(
    ("head", "when_busy", "admission", "after"),
    [
        pytest.param(EMPTY, WhenBusy.QUEUE, Admitted(1), busy(1), id="the first one runs"),
        pytest.param(EMPTY, WhenBusy.REJECT, Admitted(1), busy(1), id="nobody is there to reject"),
        pytest.param(busy(1), WhenBusy.REJECT, Busy("t1", 0), busy(1), id="a second is rejected"),
        pytest.param(busy(1), WhenBusy.QUEUE, Waits(2), busy(1, 2), id="a second one waits"),
        pytest.param(
            busy(1), WhenBusy.INTERRUPT, Waits(2, ("t1",)), busy(1, 2), id="a second interrupts"
        ),
    ],
)
def test_admission(head: Head, when_busy: WhenBusy, admission: Admission, after: Head) -> None:
    assert admit(head, f"t{head.next_sequence}", when_busy) == (after, admission)


def test_who_interrupts_interrupts_all_before_him() -> None:
    head, admission = admit(busy(1, 2), "t3", WhenBusy.INTERRUPT)

    assert admission == Waits(3, ("t1", "t2"))
    assert head == busy(1, 2, 3)


@pytest.mark.parametrize(
    ("task", "when_busy", "admission"),
    [
        pytest.param("t1", WhenBusy.QUEUE, Admitted(1), id="it runs"),
        pytest.param("t1", WhenBusy.REJECT, Admitted(1), id="it is not busy with itself"),
        pytest.param("t2", WhenBusy.QUEUE, Waits(2), id="it waits"),
        pytest.param("t2", WhenBusy.INTERRUPT, Waits(2, ("t1",)), id="it still interrupts"),
    ],
)
def test_asking_again_changes_nothing(task: str, when_busy: WhenBusy, admission: Admission) -> None:
    assert admit(busy(1, 2, 3), task, when_busy) == (busy(1, 2, 3), admission)


def test_a_line_has_an_end() -> None:
    full = busy(*range(1, MAX_WAITING + 2))

    assert admit(full, "one-more") == (full, Busy("t1", MAX_WAITING))


@pytest.mark.parametrize(
    ("task", "turn", "after"),
    [
        pytest.param(
            "t1", SAID, busy(2, 3, turns=(SAID,), length=1, released=False), id="the running one"
        ),
        pytest.param("t1", None, busy(2, 3, released=False), id="the running one leaves nothing"),
        pytest.param("t2", None, busy(1, 3), id="a waiting one"),
        pytest.param("t2", SAID, busy(1, 3), id="nobody speaks out of turn"),
        pytest.param("t9", SAID, busy(1, 2, 3), id="one that has ended before"),
    ],
)
def test_ends(task: str, turn: Turn | None, after: Head) -> None:
    assert busy(1, 2, 3).ends(task, turn) == after


def test_the_last_one_leaves_nobody_behind() -> None:
    assert busy(1).ends("t1", None).running is None


def test_what_should_have_ended_long_ago_blocks_nobody() -> None:
    late = 600 + LAPSE_SECONDS + 1
    stuck = busy(1, 2).change(running=place(1), waiting=(place(2, deadline=601), place(3)))

    head, admission = stuck.change(next_sequence=4).admits(
        "t4", agent=MATH, when_busy=WhenBusy.QUEUE, now=late, deadline=late + 600
    )

    assert admission == Waits(4)
    assert [p.task for p in (head.running, *head.waiting) if p] == ["t2", "t4"]


def test_items_are_imported_once() -> None:
    once = EMPTY.imports(SAID, after=None, cursor="i1")

    assert once == EMPTY.change(turns=(SAID,), length=1, imported="i1")
    assert once.imports(SAID, after=None, cursor="i1") == once
    assert once.imports(None, after="i1", cursor="i2") == once.change(imported="i2")


def test_the_server_never_knows_less_than_before() -> None:
    assert EMPTY.knows(5, "i5").knows(3, None) == EMPTY.change(synced=5, imported="i5")


@pytest.mark.parametrize(
    ("task", "after"),
    [
        pytest.param("t1", busy(1, 2), id="the one whose turn it is"),
        pytest.param("t2", busy(1, 2, released=False), id="one that waits"),
        pytest.param("t0", busy(1, 2, released=False), id="one that has ended"),
    ],
)
def test_only_whose_turn_it_is_can_be_released(task: str, after: Head) -> None:
    assert busy(1, 2, released=False).releases(task) == after
