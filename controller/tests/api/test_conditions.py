from datetime import UTC, datetime, timedelta, timezone

import pytest

from controller.api.conditions import (
    GOOD_REASONS,
    TYPE_BY_REASONS,
    AcceptedReason,
    Condition,
    ConditionStatus,
    ConditionType,
    EnforcedReason,
    IdentityReadyReason,
    ProgrammedReason,
    ReadyReason,
    Reason,
    ResolvedRefsReason,
    abnormal,
    carried_over,
    condition,
    summary,
)

NOW = datetime(2026, 11, 22, 16, 5, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)


def _said(reason: Reason, *, unknown: bool = False, now: datetime = NOW) -> Condition:
    return condition(reason, f"because {reason}", generation=2, now=now, unknown=unknown)


def test_reasons_are_closed_lists() -> None:
    """Whoever waits for a reason relies on these words: they may grow, none may change."""
    words_by_type = {
        kind.value: [reason.value for reason in reasons]
        for reasons, kind in TYPE_BY_REASONS.items()
    }

    assert words_by_type == {
        "Accepted": ["Accepted", "Invalid", "UnsupportedValue", "Conflict"],
        "ResolvedRefs": ["ResolvedRefs", "RefNotFound", "RefNotPermitted", "InvalidKind"],
        "Programmed": ["Programmed", "Pending", "StreamConflict"],
        "IdentityReady": [
            "IdentityReady",
            "SpireMissing",
            "SpireEntryMissing",
            "SvidMissing",
            "AudienceNotAllowed",
            "ClientNotRegistered",
        ],
        "Enforced": ["Enforced", "NotEnforced", "Conflict"],
        "Ready": ["Ready", "ScaledToZero", "DependencyNotReady", "CrashLoop", "Progressing"],
        "SchemaDrifted": ["CompatibleChange", "BreakingChange", "DigestMismatch"],
    }


@pytest.mark.parametrize(
    "reason", [reason for reasons in TYPE_BY_REASONS for reason in reasons], ids=repr
)
def test_the_reason_decides_type_and_status(reason: Reason) -> None:
    is_good = any(reason is good for good in GOOD_REASONS)

    said = _said(reason)

    assert said.type == TYPE_BY_REASONS[type(reason)]
    assert said.status == (ConditionStatus.TRUE if is_good else ConditionStatus.FALSE)
    assert said.observed_generation == 2


def test_what_nobody_can_tell_is_unknown() -> None:
    assert _said(ProgrammedReason.PENDING, unknown=True).status == ConditionStatus.UNKNOWN


def test_good_news_cannot_be_unknown() -> None:
    with pytest.raises(ValueError, match="Accepted says that all is well"):
        _said(AcceptedReason.ACCEPTED, unknown=True)


READY = _said(ReadyReason.READY)
ZERO = _said(ReadyReason.SCALED_TO_ZERO)
CRASHING = _said(ReadyReason.CRASH_LOOP)
STARTING = _said(ReadyReason.PROGRESSING, unknown=True)
ACCEPTED = _said(AcceptedReason.ACCEPTED)
RESOLVED = _said(ResolvedRefsReason.RESOLVED_REFS)
MISSING = _said(ResolvedRefsReason.REF_NOT_FOUND)
PENDING = _said(ProgrammedReason.PENDING, unknown=True)
NAMELESS = _said(IdentityReadyReason.SPIRE_ENTRY_MISSING)
LOOSE = _said(EnforcedReason.NOT_ENFORCED)


@pytest.mark.parametrize(
    ("workload", "others", "reason"),
    [
        pytest.param(READY, (), ReadyReason.READY, id="nothing else to say"),
        pytest.param(READY, (ACCEPTED, RESOLVED), ReadyReason.READY, id="all is well"),
        pytest.param(ZERO, (ACCEPTED,), ReadyReason.SCALED_TO_ZERO, id="zero shows through"),
        pytest.param(
            READY, (ACCEPTED, MISSING), ResolvedRefsReason.REF_NOT_FOUND, id="one is at fault"
        ),
        pytest.param(
            CRASHING, (MISSING,), ReadyReason.CRASH_LOOP, id="among equals the workload speaks"
        ),
        pytest.param(
            READY, (MISSING, NAMELESS), ResolvedRefsReason.REF_NOT_FOUND, id="then the first"
        ),
        pytest.param(STARTING, (MISSING,), ResolvedRefsReason.REF_NOT_FOUND, id="no beats perhaps"),
        pytest.param(READY, (PENDING,), ProgrammedReason.PENDING, id="perhaps beats yes"),
        pytest.param(STARTING, (ACCEPTED,), ReadyReason.PROGRESSING, id="a workload may not know"),
        pytest.param(READY, (LOOSE,), EnforcedReason.NOT_ENFORCED, id="a policy not enforced"),
    ],
)
def test_ready_is_the_worst_of_all(
    workload: Condition, others: tuple[Condition, ...], reason: Reason
) -> None:
    at_fault = next(part for part in (workload, *others) if part.reason == reason)

    ready = summary(workload, others)

    assert ready == at_fault.model_copy(update={"type": "Ready"})


def test_a_status_that_stays_keeps_its_time() -> None:
    before = (_said(ReadyReason.READY, now=EARLIER), _said(AcceptedReason.ACCEPTED, now=EARLIER))

    after = carried_over((ZERO, _said(AcceptedReason.INVALID), RESOLVED), before)

    assert [entry.last_transition_time for entry in after] == [EARLIER, NOW, NOW]
    assert [entry.reason for entry in after] == ["ScaledToZero", "Invalid", "ResolvedRefs"]


def test_an_abnormal_state_is_published_on_account_of_its_cause() -> None:
    stalled = abnormal(ConditionType.STALLED, MISSING)

    assert (stalled.type, stalled.status) == ("Stalled", "True")
    assert (stalled.reason, stalled.message) == (MISSING.reason, MISSING.message)


def test_time_is_written_as_kubernetes_does() -> None:
    moment = datetime(2026, 11, 22, 18, 5, 7, 123456, tzinfo=timezone(timedelta(hours=2)))

    assert _said(ReadyReason.READY, now=moment).dump() == {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "because Ready",
        "lastTransitionTime": "2026-11-22T16:05:07Z",
        "observedGeneration": 2,
    }
