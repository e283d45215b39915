"""What comes first for a delivered task, from its run record alone."""

from typing import Any

import pytest

from runtime.agent.before import GiveUp, Outdated, Refuse, Repeat, Start, before
from runtime.contract.agent_config import OnCrash, Retry
from runtime.contract.messages import Cancelled, FailureReason, Message, Role, Task
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


def record(**facts: Any) -> RunRecord:
    return RunRecord(task=TASK, **facts)


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED])
@pytest.mark.fault(9)
def test_an_ended_run_never_runs_again(state: RunState) -> None:
    assert before(record(state=state, attempt=1), Retry(), now=50) == Repeat()


@pytest.mark.parametrize(
    ("attempt", "state"), [(0, RunState.QUEUED), (1, RunState.RUNNING), (4, RunState.QUEUED)]
)
def test_a_run_without_an_end_starts_again(attempt: int, state: RunState) -> None:
    assert before(record(state=state, attempt=attempt), Retry(), now=50) == Start()


@pytest.mark.parametrize(
    ("resumptions", "state", "message", "decision"),
    [
        pytest.param(0, RunState.PARKED, 0, Outdated(), id="its ack was lost when it was parked"),
        pytest.param(1, RunState.QUEUED, 0, Outdated(), id="it goes on by a newer message"),
        pytest.param(1, RunState.RUNNING, 0, Outdated(), id="it went on by a newer message"),
        pytest.param(1, RunState.QUEUED, 1, Start(), id="the newer message"),
        pytest.param(1, RunState.PARKED, 1, Outdated(), id="parked once more"),
        pytest.param(2, RunState.QUEUED, 1, Outdated(), id="queued again by one that is newer yet"),
    ],
)
@pytest.mark.fault(9)
def test_a_message_from_before_a_run_was_parked_begins_nothing(
    resumptions: int, state: RunState, message: int, decision: object
) -> None:
    parked = record(attempt=1, parked_attempt=1, resumptions=resumptions, state=state)
    assert before(parked, Retry(), 50, resumption=message) == decision


def test_a_cancelled_run_does_not_start() -> None:
    decision = before(record(cancel_requested=True), Retry(), now=50)
    assert isinstance(decision, Refuse)
    assert isinstance(decision.end, Cancelled)


def test_a_run_past_its_deadline_does_not_start() -> None:
    decision = before(record(), Retry(), now=100)
    assert isinstance(decision, Refuse)
    assert decision.end.reason is FailureReason.TIMED_OUT  # type: ignore[union-attr]  # a timeout


GAVE_UP = "gave up after 5 attempts (spec.retryPolicy.maxAttempts)"
SEE = "see the status of Agent ns/math, and the logs of its workers"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param(
            {"attempt": 5, "state": RunState.RUNNING},
            f"{GAVE_UP}: 5 workers were lost over it; {SEE}",
            id="it takes workers down",
        ),
        pytest.param(
            {"attempt": 7, "returned": 2, "failed": 4, "state": RunState.RUNNING},
            f"{GAVE_UP}: 1 worker was lost over it; {SEE}",
            id="most of them failed",
        ),
        pytest.param(
            {"attempt": 5, "failed": 5, "state": RunState.QUEUED},
            GAVE_UP,
            id="all of them failed, and then spec.retryPolicy allowed no more",
        ),
    ],
)
@pytest.mark.fault(5)
def test_the_sixth_attempt_is_not_started(facts: dict[str, Any], message: str) -> None:
    decision = before(record(**facts), Retry(max_attempts=5), now=50)
    assert isinstance(decision, GiveUp)
    assert decision.end.reason is FailureReason.DEAD_LETTERED
    assert decision.end.message == message


def test_a_lost_worker_fails_visibly_where_the_user_wants_it() -> None:
    retry = Retry(on_crash=OnCrash.FAIL)
    lost = before(record(attempt=1, state=RunState.RUNNING), retry, 50)
    assert isinstance(lost, GiveUp)
    assert lost.end.message == (
        f"spec.retryPolicy.onCrash is Fail, and 1 worker was lost over it; {SEE}"
    )
    assert before(record(attempt=1, state=RunState.QUEUED), retry, 50) == Start()
