"""What the dispatcher has to do, as tables."""

import pytest

from runtime.contract.approval import Approval, Verdict
from runtime.contract.client_calls import ClientCall
from runtime.contract.messages import (
    CallResult,
    Cancelled,
    Failed,
    FailureReason,
    Message,
    Outcome,
    ResponseOptions,
    Role,
    Task,
    TokenUsage,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.dispatch.decide import (
    CANCEL_SECONDS,
    GRACE_SECONDS,
    PHANTOM_SECONDS,
    Abandon,
    Cancel,
    Finish,
    LookAgain,
    NextInLine,
    Release,
    Repeat,
    Rest,
    Resume,
    Write,
    due,
    gave_up,
    lost_call,
    next_in_line,
)
from runtime.state.conversation_head import Place

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")
DEADLINE = 600.0


def record(
    state: RunState, *, cancel: bool = False, attempt: int = 0, failed: int = 0
) -> RunRecord:
    task = Task(
        id="t1",
        stack=STACK,
        agent=MATH,
        origin="api",
        input=(Message(role=Role.USER, text="1 + 1"),),
        created=0,
        deadline=DEADLINE,
    )
    return RunRecord(
        task=task,
        state=state,
        cancel_requested=cancel,
        attempt=attempt,
        failed=failed,
        worker="w",
    )


def timed_out(why: str, attempt: int = 1) -> Write:
    return timed_out_by(f"the task did not end within 600 s: {why}", attempt)


def timed_out_by(message: str, attempt: int = 1) -> Write:
    return Write(
        Failed(
            task="t1",
            attempt=attempt,
            seq=1,
            reason=FailureReason.TIMED_OUT,
            message=message,
        )
    )


def cancelled(attempt: int = 1) -> Write:
    return Write(Cancelled(task="t1", attempt=attempt, seq=1))


BUSY = "its conversation was busy all the time"
NOBODY = "no worker of ns/math took it"
SILENT = "its worker w was not heard of again"
WAITING, QUEUED, RUNNING = RunState.WAITING, RunState.QUEUED, RunState.RUNNING
LAST = DEADLINE + GRACE_SECONDS


def parked(*expires: float, decided: int = 0, cancel: bool = False) -> RunRecord:
    """Parked long after its deadline; the first `decided` approvals are."""
    approvals = tuple(
        Approval(
            call=f"c{number}",
            function="add",
            arguments="{}",
            expires=at,
            verdict=Verdict.APPROVED if number < decided else None,
        )
        for number, at in enumerate(expires)
    )
    run = record(RunState.PARKED, cancel=cancel, attempt=1)
    return run.model_copy(update={"approvals": approvals, "parked": DEADLINE})


@pytest.mark.parametrize(
    ("run", "unwanted", "outcome"),
    [
        pytest.param(parked(901, 902), False, LookAgain(901), id="nobody has decided"),
        pytest.param(parked(901, 902, decided=1), False, LookAgain(902), id="one is decided"),
        pytest.param(parked(899, 902), False, LookAgain(902), id="one has expired"),
        pytest.param(parked(901, 902, decided=2), False, Resume(), id="both are decided"),
        pytest.param(parked(899, 900), False, Resume(), id="both have expired"),
        pytest.param(parked(899, 902, decided=1), True, Cancel(), id="its Agent is deleted"),
        pytest.param(parked(901, cancel=True), False, cancelled(), id="cancelled"),
        pytest.param(parked(901, cancel=True), True, cancelled(), id="cancelled by deletion"),
    ],
)
def test_a_parked_run_waits_for_people_alone(
    run: RunRecord, *, unwanted: bool, outcome: object
) -> None:
    assert due(run, now=900, cancelled_since=None, unwanted=unwanted) == outcome


def handed_over(*, is_open: bool = True, cancel: bool = False) -> RunRecord:
    """Parked for its client until 901, long after its deadline."""
    call = ClientCall(key="c", function="add", arguments="{}")
    running = record(RunState.RUNNING, cancel=cancel, attempt=1)
    run = running.handing_over((call,), DEADLINE, seq=1, used=TokenUsage(), expires=901)
    given = run.handovers[0].giving(["5"], 800, ResponseOptions())
    return run if is_open else run.model_copy(update={"handovers": (given,)})


LEFT = (
    "the client gave no output of add within 301 s (spec.execution.clientTimeoutSeconds of its "
    "Agent)"
)


@pytest.mark.parametrize(
    ("run", "now", "unwanted", "outcome"),
    [
        pytest.param(handed_over(), 900, False, LookAgain(901), id="nothing is given"),
        pytest.param(handed_over(), 901, False, timed_out_by(LEFT), id="nothing came in time"),
        pytest.param(handed_over(is_open=False), 900, False, Resume(), id="it is given"),
        pytest.param(handed_over(is_open=False), 902, False, Resume(), id="given, seen late"),
        pytest.param(handed_over(), 900, True, Cancel(), id="its Agent is deleted"),
        pytest.param(handed_over(cancel=True), 900, False, cancelled(), id="cancelled"),
    ],
)
def test_a_run_waits_for_its_client_until_a_limit(
    run: RunRecord, now: float, *, unwanted: bool, outcome: object
) -> None:
    assert due(run, now=now, cancelled_since=None, unwanted=unwanted) == outcome


def test_who_timed_out_is_told_how_long_it_worked_and_not_how_long_it_waited_for_people() -> None:
    """Its deadline has moved by the time for which it was parked."""
    run = record(QUEUED, attempt=1).model_copy(update={"waited": DEADLINE - 60})
    outcome = due(run, now=DEADLINE, cancelled_since=None)
    assert isinstance(outcome, Write)
    assert isinstance(outcome.end, Failed)
    assert outcome.end.message == f"the task did not end within 60 s: {NOBODY}"


@pytest.mark.parametrize(
    ("run", "now", "since", "outcome"),
    [
        pytest.param(record(WAITING), 0, None, LookAgain(DEADLINE), id="it waits"),
        pytest.param(record(QUEUED), 0, None, LookAgain(DEADLINE), id="it is queued"),
        pytest.param(record(RUNNING), 0, None, LookAgain(LAST), id="it runs"),
        pytest.param(record(WAITING), DEADLINE, None, timed_out(BUSY), id="waits in vain"),
        pytest.param(record(QUEUED), DEADLINE, None, timed_out(NOBODY), id="queued in vain"),
        pytest.param(record(RUNNING), DEADLINE, None, LookAgain(LAST), id="the worker's time"),
        pytest.param(
            record(RUNNING, attempt=3), LAST, None, timed_out(SILENT, 3), id="runs in vain"
        ),
        pytest.param(record(WAITING, cancel=True), 5, 5, cancelled(), id="cancelled in line"),
        pytest.param(record(QUEUED, cancel=True), 5, 5, cancelled(), id="cancelled in queue"),
        pytest.param(
            record(RUNNING, cancel=True), 5, 5, LookAgain(5 + CANCEL_SECONDS), id="worker cancels"
        ),
        pytest.param(
            record(RUNNING, cancel=True, attempt=2),
            5 + CANCEL_SECONDS,
            5,
            cancelled(2),
            id="no worker cancels it",
        ),
        pytest.param(
            record(RUNNING, cancel=True), LAST, None, cancelled(), id="cancelled and too late"
        ),
        pytest.param(record(RunState.COMPLETED), 9999, None, None, id="completed"),
        pytest.param(record(RunState.FAILED), 9999, None, None, id="failed"),
        pytest.param(record(RunState.CANCELLED, cancel=True), 9999, 5, None, id="cancelled"),
    ],
)
def test_due(
    run: RunRecord, now: float, since: float | None, outcome: LookAgain | Write | None
) -> None:
    assert due(run, now=now, cancelled_since=since) == outcome


def test_who_waited_for_workers_that_cannot_start_is_told_why() -> None:
    why = "worker stopped: no module"
    outcome = due(record(QUEUED), now=DEADLINE, cancelled_since=None, trouble=why)
    assert outcome == timed_out(f"{NOBODY}, and none can start: {why}")


@pytest.mark.parametrize(
    ("run", "now", "outcome"),
    [
        pytest.param(record(WAITING), 0, Cancel(), id="it waits"),
        pytest.param(record(QUEUED), 0, Cancel(), id="it is queued"),
        pytest.param(record(RUNNING), 0, Cancel(), id="it runs"),
        pytest.param(record(RUNNING), LAST, timed_out(SILENT), id="it is too late"),
        pytest.param(
            record(RUNNING, cancel=True), 0, LookAgain(CANCEL_SECONDS), id="it was asked for"
        ),
        pytest.param(record(RunState.COMPLETED), 0, None, id="it has ended"),
    ],
)
def test_due_of_an_agent_that_is_to_have_no_runs(
    run: RunRecord, now: float, outcome: Cancel | LookAgain | Write | None
) -> None:
    since = 0 if run.cancel_requested else None
    assert due(run, now=now, cancelled_since=since, unwanted=True) == outcome


@pytest.mark.parametrize(
    ("run", "now", "unreleased", "released"),
    [
        pytest.param(None, 100, LookAgain(90 + PHANTOM_SECONDS), None, id="a record will come"),
        pytest.param(None, 90 + PHANTOM_SECONDS, Abandon(), None, id="no record came"),
        pytest.param(record(WAITING), 100, Release(), Rest(), id="its turn"),
        pytest.param(record(WAITING, cancel=True), 100, Rest(), Rest(), id="but cancelled"),
        pytest.param(record(WAITING), DEADLINE, Rest(), Rest(), id="but too late"),
        pytest.param(record(QUEUED), 100, Release(), Repeat(), id="it is queued"),
        pytest.param(record(QUEUED), 4, Release(), LookAgain(5), id="it is just being queued"),
        pytest.param(record(QUEUED, cancel=True), 100, Rest(), Rest(), id="but unwanted"),
        pytest.param(record(QUEUED, attempt=1), 100, Rest(), Rest(), id="it is queued again"),
        pytest.param(record(RUNNING), 100, Rest(), Rest(), id="it runs"),
        pytest.param(record(RunState.COMPLETED), 100, Finish(), Finish(), id="it has completed"),
        pytest.param(record(RunState.FAILED), 100, Finish(), Finish(), id="it has failed"),
    ],
)
def test_next_in_line(
    run: RunRecord | None, now: float, unreleased: NextInLine, released: NextInLine | None
) -> None:
    place = Place(agent=MATH, task="t1", sequence=1, since=90, deadline=DEADLINE)

    assert next_in_line(place, run, now) == unreleased
    place = place.model_copy(update={"released": True})
    assert next_in_line(place, run, now) == (released or unreleased)


def test_a_task_that_is_delivered_no_more_says_how_often_it_was() -> None:
    end = gave_up(record(RUNNING, attempt=3, failed=1), 7)

    assert (end.reason, end.attempt) == (FailureReason.DEAD_LETTERED, 3)
    assert end.message == (
        "the task was delivered 7 times and no worker brought it to an end: 2 workers were lost "
        f"over it; see the status of Agent {MATH}, and the logs of its workers"
    )


def test_a_task_that_no_worker_has_begun_lost_none() -> None:
    end = gave_up(record(QUEUED), 7)

    assert end.message == "the task was delivered 7 times and no worker brought it to an end"


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        pytest.param(None, Outcome.FAILED, "the tool never began it", id="never begun"),
        pytest.param(
            CallResult(call="k", outcome=Outcome.RESERVED, attempt=2),
            Outcome.UNKNOWN,
            "whether it took effect is not known",
            id="begun",
        ),
    ],
)
def test_a_lost_call_tells_what_is_known(
    found: CallResult | None, outcome: Outcome, words: str
) -> None:
    end = lost_call("k", found, 3)

    assert end.outcome is outcome
    assert words in (end.error or "")
    assert end.attempt == (2 if found else 1)
