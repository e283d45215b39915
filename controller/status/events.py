"""What is worth a Kubernetes Event."""

from collections.abc import Iterable
from typing import Final, Literal

from controller.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    ProgrammedReason,
    ReadyReason,
    SchemaDriftedReason,
)
from controller.model import Key, KubeEvent

TOLD: Final = (ConditionType.READY, ConditionType.SCHEMA_DRIFTED, ConditionType.DEGRADED)
"""What people hear of when it changes."""

COUNTING: Final = (
    ReadyReason.PROGRESSING,
    ReadyReason.READY,
    ReadyReason.SCALED_TO_ZERO,
    ProgrammedReason.PENDING,
)
"""With these reasons a message may only count on."""


def kube_events(
    key: Key,
    uid: str,
    before: Iterable[Condition],
    after: Iterable[Condition],
    repairs: Iterable[str] = (),
) -> tuple[KubeEvent, ...]:
    """What is worth an Event: one of `TOLD` has changed, or something was repaired.

    The same condition is told once: a message that only counts on is no news.
    """
    was = {one.type: one for one in before}
    events = [
        KubeEvent(about=key, uid=uid, type=_event_type(one), reason=one.reason, message=one.message)
        for one in after
        if one.type in TOLD and _is_news(was.get(one.type), one)
    ]
    repaired = (
        KubeEvent(
            about=key,
            uid=uid,
            type="Normal",
            reason=ProgrammedReason.PROGRAMMED.value,
            message=repair,
        )
        for repair in repairs
    )
    return (*events, *repaired)


def _is_news(was: Condition | None, now: Condition) -> bool:
    if was is None or (was.status, was.reason) != (now.status, now.reason):
        return True
    return was.message != now.message and now.reason not in COUNTING


def _event_type(one: Condition) -> Literal["Normal", "Warning"]:
    match one.type:
        case ConditionType.DEGRADED:
            is_trouble = True
        case ConditionType.SCHEMA_DRIFTED:
            is_trouble = one.reason != SchemaDriftedReason.COMPATIBLE_CHANGE
        case _:
            is_bad = one.status is ConditionStatus.FALSE
            is_trouble = is_bad and one.reason != ReadyReason.PROGRESSING
    return "Warning" if is_trouble else "Normal"
