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
from controller.model import AgentView, Health, Problem, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How an Agent is, in words of its condition Ready.

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
    return _availability(health, _why_not(workers, view.tools))


def of_what_runs(workers: Health) -> Availability:
    """How an Agent is whose spec has a problem by now, and whose workers are of an earlier one.

    What the spec refers to by now is nothing to them.
    """
    return _availability(workers, _why_not(workers, ()))


def _availability(health: Health, why_not: str | None) -> Availability:
    return Availability(
        is_ready=health.reason in GOOD_REASONS,
        is_available=why_not is None,
        reason=health.reason,
        message=health.message if why_not is None else why_not,
    )


def _why_not(workers: Health, tools: Iterable[Reference[Tool]]) -> str | None:
    """Why no worker can start; one that was ready once does without what it waited for then."""
    if workers.ready or workers.reason in GOOD_REASONS:
        return None
    if workers.is_stuck:
        return workers.message
    return next(_in_trouble(tools), None)


def _in_trouble(tools: Iterable[Reference[Tool]]) -> Iterator[str]:
    """What a worker waits for in vain: Tools that were never known to have functions."""
    for reference in tools:
        target = reference.usable
        if target is None or target.status.schema_digest is not None:
            continue
        found = target.status.condition(ConditionType.READY)
        is_starting = found is None or found.reason == ReadyReason.PROGRESSING
        if found is not None and found.status is ConditionStatus.FALSE and not is_starting:
            yield f"{reference.key} is not ready: {found.message}"
