"""Whether an Agent can work, as whoever asks it is told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from controller.api.conditions import (
    GOOD_REASONS,
    ConditionStatus,
    ConditionType,
    ReadyReason,
)
from controller.api.tool import Tool
from controller.desired.waiting import unmet
from controller.model import AgentView, Health, Key, Problem, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How an Agent is, in words for clients; its condition Ready has the same reason.

    Shape:
        is_ready      the status of that condition.
        is_programmed false for one with a problem in its spec: nothing is made of it.
        is_available  false while no worker of it can start, as far as is known. One that starts is
                      available, and so is one that is scaled to zero: what it is asked waits.
    """

    is_ready: bool
    is_programmed: bool = True
    is_available: bool = True
    reason: str
    message: str


def availability(
    view: AgentView, workers: Health, health: Health, problems: Sequence[Problem]
) -> Availability:
    """How the Agent is.

    Args:
        view: of the Agent.
        workers: how its own workers are.
        health: the same with what they depend on.
        problems: what is wrong with its spec.
    """
    if problems:
        return Availability(
            is_ready=False,
            is_programmed=False,
            is_available=False,
            reason=problems[0].reason,
            message="; ".join(problem.message for problem in problems),
        )
    return _availability(view, health, _why_not(workers, view.tools))


def of_what_runs(view: AgentView, workers: Health) -> Availability:
    """How an Agent is whose spec has a problem by now, and whose workers are of an earlier one.

    What the spec refers to by now is nothing to them.
    """
    return _availability(view, workers, _why_not(workers, ()))


def _availability(view: AgentView, health: Health, why_not: Health | None) -> Availability:
    return Availability(
        is_ready=health.reason in GOOD_REASONS,
        is_available=why_not is None,
        reason=health.reason,
        message=told_to_clients(view.key, why_not or health),
    )


def told_to_clients(key: Key, health: Health) -> str:
    """How the object `key` is, without what its pods say."""
    if health.told is None:
        return health.message
    return f"{health.told}; the status of {key} says why"


def _why_not(workers: Health, tools: Iterable[Reference[Tool]]) -> Health | None:
    """Why no worker can start; one that was ready once does without what it waited for then."""
    if workers.ready or workers.reason in GOOD_REASONS:
        return None
    if workers.is_stuck:
        return workers
    return next(_in_trouble(tools), None)


def _in_trouble(tools: Iterable[Reference[Tool]]) -> Iterator[Health]:
    """What a worker waits for in vain: Tools that were never known to have functions."""
    for reference in tools:
        target = reference.usable
        if target is None or target.status.schema_digest is not None:
            continue
        found = target.status.condition(ConditionType.READY)
        is_starting = found is None or found.reason == ReadyReason.PROGRESSING
        if found is not None and found.status is ConditionStatus.FALSE and not is_starting:
            yield unmet(reference.key, ConditionType.READY, found)
