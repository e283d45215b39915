"""What is said of an object that another one waits for."""

from datetime import UTC, datetime

import pytest

from controller.api.agent import AgentStatus
from controller.api.conditions import (
    AcceptedReason,
    Condition,
    ConditionType,
    ProgrammedReason,
    ReadyReason,
    Reason,
    ResolvedRefsReason,
    condition,
)
from controller.api.names import Kind
from controller.desired.waiting import waiting
from controller.model import Health, Key, Reference
from controller.tests.desired.views import an_agent

POET = Key(Kind.AGENT, "team", "poet")
PROGRAMMED, READY = ConditionType.PROGRAMMED, ConditionType.READY


def said(reason: Reason, message: str) -> Condition:
    return condition(reason, message, generation=1, now=datetime(2026, 1, 1, tzinfo=UTC))


ACCEPTED = said(AcceptedReason.ACCEPTED, "the spec is valid")
NO_MODEL = said(ResolvedRefsReason.REF_NOT_FOUND, "spec.modelRef: there is no such model")
NO_TRIGGER = said(AcceptedReason.UNSUPPORTED_VALUE, "spec.triggers: not yet")
PENDING = said(ProgrammedReason.PENDING, "nothing is changed until the spec is put right")
LEAVING = said(ProgrammedReason.PENDING, "it is being deleted")
CRASHING = said(ReadyReason.CRASH_LOOP, "worker stopped: the password is 1234")


@pytest.mark.parametrize(
    ("needed", "conditions", "message", "told"),
    [
        pytest.param(
            PROGRAMMED,
            (ACCEPTED, NO_MODEL, PENDING),
            "Agent team/poet is not programmed: spec.modelRef: there is no such model",
            "Agent team/poet is not programmed (RefNotFound)",
            id="what it refers to is not there",
        ),
        pytest.param(
            PROGRAMMED,
            (NO_MODEL, NO_TRIGGER, PENDING),
            "Agent team/poet is not programmed: spec.triggers: not yet",
            "Agent team/poet is not programmed (UnsupportedValue)",
            id="its own spec is first",
        ),
        pytest.param(
            PROGRAMMED,
            (ACCEPTED, LEAVING),
            "Agent team/poet is not programmed: it is being deleted",
            "Agent team/poet is not programmed (Pending)",
            id="nothing is wrong with its spec",
        ),
        pytest.param(
            PROGRAMMED,
            (),
            "Agent team/poet is not programmed: the operator has not looked at it yet",
            None,
            id="nobody knows yet",
        ),
        pytest.param(
            READY,
            (NO_MODEL, CRASHING),
            "Agent team/poet is not ready: worker stopped: the password is 1234",
            "Agent team/poet is not ready (CrashLoop)",
            id="what runs is of an earlier spec",
        ),
    ],
)
def test_the_first_cause_is_told(
    needed: ConditionType, conditions: tuple[Condition, ...], message: str, told: str | None
) -> None:
    status = AgentStatus(conditions=conditions)
    poet = an_agent("poet").model_copy(update={"status": status})

    assert list(waiting(needed, Reference(POET, poet))) == [
        Health(ReadyReason.DEPENDENCY_NOT_READY, message, told)
    ]


def test_what_holds_is_not_waited_for() -> None:
    done = said(ProgrammedReason.PROGRAMMED, "all is written")
    status = AgentStatus(conditions=(done,))
    poet = an_agent("poet").model_copy(update={"status": status})

    assert list(waiting(PROGRAMMED, Reference(POET, poet))) == []
