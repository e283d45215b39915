"""What an object waits for although its own workers are fine, and why."""

from collections.abc import Iterator
from typing import Any, Final

from controller.api.conditions import Condition, ConditionStatus, ConditionType, ReadyReason
from controller.api.resource import Status
from controller.model import Health, Key, Reference

PROBLEMS: Final = (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS)
"""What says of an object that is not programmed which problem its spec has."""


def waiting(needed: ConditionType, *references: Reference[Any]) -> Iterator[Health]:
    """Those of the references whose condition `needed` does not hold."""
    for reference in references:
        # One that cannot be used is told by ResolvedRefs.
        if reference.usable is not None:
            status: Status = reference.usable.status
            found = status.condition(needed)
            if found is None or found.status is not ConditionStatus.TRUE:
                yield unmet(reference.key, needed, _first_cause(status, found))


def unmet(key: Key, needed: ConditionType, cause: Condition | None) -> Health:
    """That it has to wait for the object `key`, of which `needed` does not hold.

    Shape:
        cause  the condition that says why; None if the operator has not looked at the object yet.

    Clients hear its reason alone: the message may quote the object's pods.
    """
    lacking = f"{key} is not {needed.lower()}"
    why = cause.message if cause else "the operator has not looked at it yet"
    told = f"{lacking} ({cause.reason})" if cause else None
    return Health(ReadyReason.DEPENDENCY_NOT_READY, f"{lacking}: {why}", told)


def _first_cause(status: Status, found: Condition | None) -> Condition | None:
    """The problem of its spec, if it has one, else what its condition `found` says.

    Such a problem lies in that spec alone, and is no word on what others wait for: so it ends a
    chain of Agents, also one that leads back to where it began.
    """
    if found is None or found.type != ConditionType.PROGRAMMED:
        return found
    problems = (status.condition(kind) for kind in PROBLEMS)
    is_problem = (one for one in problems if one and one.status is ConditionStatus.FALSE)
    return next(is_problem, found)
