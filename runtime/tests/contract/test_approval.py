"""What a run record says while people are asked, and afterwards."""

from typing import Any

import pytest

from runtime.contract.approval import Approval, Verdict
from runtime.contract.messages import Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName

NAME = ObjectName(namespace="ns", name="math")
TASK = Task(
    id="t1",
    stack=NAME,
    agent=NAME,
    origin="o",
    input=(Message(role=Role.USER, text="hi"),),
    created=1,
    deadline=100,
)


def approval(call: str = "c1", expires: float = 80, **facts: Any) -> Approval:
    return Approval(call=call, function="add", arguments="{}", expires=expires, **facts)


def running(**facts: Any) -> RunRecord:
    fields: dict[str, Any] = {"state": RunState.RUNNING, "attempt": 1, "worker": "w1"}
    return RunRecord(task=TASK, **fields | facts)


def test_an_attempt_that_parks_its_run_does_not_count_and_holds_no_worker() -> None:
    parked = running().parking((approval(), approval("c2", 70)), now=30)
    assert (parked.state, parked.worker, parked.parked) == (RunState.PARKED, None, 30)
    assert (parked.attempt, parked.spent, parked.parked_attempt) == (1, 0, 1)
    assert parked.waits_until == 70
    assert not parked.is_resumed


def test_a_run_goes_on_until_an_attempt_since_it_was_parked_counts() -> None:
    lost = running(attempt=3, returned=1)
    assert lost.goes_on is False
    begun = lost.parking((approval(),), now=30).resuming(75).beginning("w2", 76)
    handed_back = begun.model_copy(update={"returned": begun.returned + 1})
    again = handed_back.beginning("w3", 77)
    assert (begun.goes_on, again.goes_on) == (True, True)
    assert again.beginning("w4", 78).goes_on is False


def test_a_second_parking_keeps_what_was_decided_before() -> None:
    decided = approval(verdict=Verdict.APPROVED, by="ann")
    parked = running(attempt=2, approvals=(decided,)).parking((approval("c2"),), now=30)
    assert parked.approvals == (decided, approval("c2"))
    assert [event.number for event in parked.needs(4)] == [1]


def test_each_open_approval_is_told_and_the_last_one_says_that_it_is() -> None:
    parked = running().parking((approval(), approval("c2"), approval("c3")), now=30)
    parked = parked.deciding(1, Verdict.DENIED, by="ann", reason=None, now=31)
    told = [(event.seq, event.call, event.number, event.left) for event in parked.needs(5)]
    assert told == [(5, "c1", 0, 1), (6, "c3", 2, 0)]


def test_a_decision_says_who_and_why_and_leaves_the_others_open() -> None:
    parked = running().parking((approval(), approval("c2", 90)), now=30)
    decided = parked.deciding(0, Verdict.DENIED, by="ann", reason="too much", now=40)
    assert decided.approvals == (
        approval(verdict=Verdict.DENIED, by="ann", reason="too much", decided=40),
        approval("c2", 90),
    )
    assert decided.waits_until == 90


@pytest.mark.parametrize(
    ("now", "verdicts"),
    [
        pytest.param(69.9, [None, None], id="too early"),
        pytest.param(70, [None, Verdict.EXPIRED], id="one"),
        pytest.param(80, [Verdict.EXPIRED, Verdict.EXPIRED], id="both"),
    ],
)
def test_what_nobody_has_given_in_time_expires(now: float, verdicts: list[Verdict | None]) -> None:
    parked = running().parking((approval(), approval("c2", 70)), now=30).expiring(now)
    assert [one.verdict for one in parked.approvals] == verdicts


def test_what_was_decided_does_not_expire() -> None:
    parked = running().parking((approval(),), now=30)
    decided = parked.deciding(0, Verdict.APPROVED, by="ann", reason=None, now=40)
    assert decided.expiring(1000) == decided
    assert decided.waits_until is None


def test_the_clock_of_a_run_stands_still_while_it_is_parked() -> None:
    resumed = running().parking((approval(),), now=30).resuming(75)
    assert (resumed.state, resumed.task.deadline, resumed.resumed) == (RunState.QUEUED, 145, 75)
    assert resumed.is_resumed
    assert [resumed.takes(number) for number in (0, 1, 2)] == [False, True, False]
    begun = resumed.beginning("w2", 76)
    assert (begun.attempt, begun.is_resumed) == (2, False)
    assert begun.model_copy(update={"state": RunState.QUEUED}).is_resumed is False


def test_a_run_that_is_queued_once_more_takes_the_last_message_and_its_clock_goes_on() -> None:
    resumed = running().parking((approval(),), now=30).resuming(75)
    again = resumed.resuming(90)
    assert (again.task.deadline, again.resumed, again.is_resumed) == (145, 90, True)
    assert [again.takes(number) for number in (1, 2)] == [False, True]


@pytest.mark.parametrize(
    ("stands_until", "resumed", "stood"),
    [
        pytest.param(None, 75, 45, id="without a bound"),
        pytest.param(80, 75, 45, id="before its bound"),
        pytest.param(60, 75, 30, id="nobody was there to resume it at its bound"),
        pytest.param(20, 75, 0, id="past its bound when it was parked"),
    ],
)
def test_the_clock_stands_still_up_to_a_bound_and_how_long_is_counted(
    stands_until: float | None, resumed: float, stood: float
) -> None:
    parked = running(waited=7).parking((approval(),), now=30, stands_until=stands_until)
    again = parked.resuming(resumed)
    assert (again.task.deadline, again.waited) == (100 + stood, 7 + stood)
