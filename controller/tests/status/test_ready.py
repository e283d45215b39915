from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.api.conditions import (
    AcceptedReason,
    ConditionType,
    ProgrammedReason,
    ReadyReason,
    ResolvedRefsReason,
)
from controller.model import (
    ApplyChild,
    Child,
    Desired,
    Failure,
    Health,
    Origin,
    Outcome,
    Problem,
    Thought,
)
from controller.status import agent_status
from controller.tests.desired.views import agent_view

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WELL = Health(ReadyReason.READY, "1 of 1 worker ready")
ZERO = Health(ReadyReason.SCALED_TO_ZERO, "none is wanted")
NONE = Health(ReadyReason.PROGRESSING, "there is no worker yet", unknown=True)
LOOP = Health(ReadyReason.CRASH_LOOP, "worker stopped", stalled=True)
MISSING = Problem(ResolvedRefsReason.REF_NOT_FOUND, "spec.stackRef: …")
FORBIDDEN = Problem(ResolvedRefsReason.REF_NOT_PERMITTED, "spec.stackRef: …")
UNSUPPORTED = Problem(AcceptedReason.UNSUPPORTED_VALUE, "spec.agents: …")


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "team", "name": "agent-math"},
}


def failure(reason: ProgrammedReason, *, unknown: bool = False) -> Outcome:
    found = Failure(
        origin=Origin.QUEUE, reason=reason, message="NATS …", unknown=unknown, retry_after=2
    )
    return Outcome(failure=found)


DONE = Outcome()
WRITTEN = Outcome(done=(ApplyChild(Child(DEPLOYMENT), force=True),))
DOWN = failure(ProgrammedReason.PENDING, unknown=True)
CONFLICT = failure(ProgrammedReason.STREAM_CONFLICT)

CASES = [
    pytest.param((), WELL, DONE, ("True", "Ready"), None, id="all is well"),
    pytest.param((), ZERO, DONE, ("True", "ScaledToZero"), None, id="zero shows through"),
    pytest.param((), NONE, DONE, ("False", "Progressing"), "Reconciling", id="just applied"),
    pytest.param((), WELL, DOWN, ("Unknown", "Pending"), "Reconciling", id="NATS is down"),
    pytest.param(
        (), WELL, WRITTEN, ("False", "Progressing"), "Reconciling", id="of what was there before"
    ),
    pytest.param((), ZERO, WRITTEN, ("False", "Progressing"), "Reconciling", id="scaled up"),
    pytest.param((), LOOP, WRITTEN, ("False", "CrashLoop"), "Stalled", id="it could not start"),
    pytest.param((), NONE, DOWN, ("Unknown", "Pending"), "Reconciling", id="… from the start"),
    pytest.param((), WELL, CONFLICT, ("False", "StreamConflict"), "Stalled", id="not our stream"),
    pytest.param((), LOOP, DONE, ("False", "CrashLoop"), "Stalled", id="it cannot start"),
    pytest.param(
        (MISSING,), WELL, DONE, ("False", "RefNotFound"), "Reconciling", id="it may still come"
    ),
    pytest.param(
        (FORBIDDEN,), NONE, DONE, ("False", "RefNotPermitted"), "Stalled", id="not permitted"
    ),
    pytest.param(
        (MISSING, UNSUPPORTED),
        NONE,
        DONE,
        ("False", "UnsupportedValue"),
        "Stalled",
        id="what the spec asks for comes before what it refers to",
    ),
    pytest.param(
        (UNSUPPORTED,), LOOP, DONE, ("False", "CrashLoop"), "Stalled", id="the workload first"
    ),
]


@pytest.mark.parametrize(("problems", "health", "outcome", "ready", "abnormal"), CASES)
def test_ready_is_the_worst_of_all(
    problems: tuple[Problem, ...],
    health: Health,
    outcome: Outcome,
    ready: tuple[str, str],
    abnormal: str | None,
) -> None:
    desired = None if problems else Desired()
    thought = Thought(problems=problems, health=health, desired=desired)

    status = agent_status(agent_view(), thought, outcome, NOW)

    found = status.condition(ConditionType.READY)
    assert found is not None
    assert (found.status, found.reason) == ready
    shown = {one.type for one in status.conditions} & {"Stalled", "Reconciling", "Degraded"}
    assert shown == ({abnormal} if abnormal else set())
    assert {one.observed_generation for one in status.conditions} == {1}


def test_since_when_it_holds_is_carried_over() -> None:
    view = agent_view()
    thought = Thought(health=WELL, desired=Desired())
    before = agent_status(view, thought, DONE, NOW)
    reported = replace(view, owner=view.owner.model_copy(update={"status": before}))
    later = datetime(2026, 11, 23, tzinfo=UTC)

    after = agent_status(reported, thought, DOWN, later)

    since = {one.type: one.last_transition_time for one in after.conditions}
    assert since["Accepted"] == NOW
    assert since["Programmed"] == later
