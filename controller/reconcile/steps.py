"""What the reconciles of the kinds share: unreadable objects, plans of workers, what follows."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from controller.api.conditions import ConditionStatus, ConditionType
from controller.api.resource import Resource, Status
from controller.desired.identity import queue_url
from controller.model import (
    Changes,
    DeleteChild,
    Origin,
    Outcome,
    PolicyView,
    Progress,
    Site,
    StackView,
    Stage,
    Thought,
    UnreadableView,
    WorkloadView,
)
from controller.plan import changes as plan_changes
from controller.reconcile.world import World
from controller.status import unreadable_conditions

SOON: Final = 1.0
AWAITED: Final = 2.0
"""Seconds until the next look, where nothing wakes us."""

GOING: Final = (Stage.DRAINING, Stage.CANCELLING, Stage.LEAVING)


async def reconcile_unreadable[S: Status](
    view: UnreadableView | None, world: World, status: type[S], now: datetime
) -> Progress:
    """An object that is not there, or whose spec breaks the schema.

    What runs stays as it is until somebody corrects or deletes the object; what a deleted one has
    of the queue is swept up by its Stack.
    """
    if view is None:
        return Progress(finished=True)
    metadata = view.envelope.metadata
    if metadata.is_deleting:
        steps = tuple(DeleteChild(ref) for ref in view.children)
        outcome = await world.apply(Changes(steps=steps))
        if outcome.failure is not None:
            return Progress(again_in=outcome.failure.retry_after)
        world.forget(view.key)
        return Progress(finished=True)
    before = _reported(view, status)
    conditions = unreadable_conditions(view, now)
    news = {"observed_generation": metadata.generation, "conditions": conditions}
    await world.report(view.key, metadata.uid, before, before.model_copy(update=news))
    return Progress()


def _reported[S: Status](view: UnreadableView, status: type[S]) -> S:
    """What had been reported; nothing if that cannot be read either."""
    try:
        return status.model_validate(view.reported)
    except ValueError:
        return status()


async def report(
    view: WorkloadView[Any] | StackView | PolicyView,
    world: World,
    status: Status,
    repairs: Iterable[str] = (),
) -> None:
    """Write the status and the Events of an object, as far as they say anything new."""
    owner = view.owner
    await world.report(view.key, owner.metadata.uid, owner.status, status, repairs)


def workload_changes(view: WorkloadView[Any], thought: Thought, site: Site) -> Changes:
    """What turns what an Agent or Tool has into what it implies; nothing for a wrong spec."""
    if thought.desired is None:
        return Changes()
    stack = view.stack.target
    return plan_changes(
        thought.desired,
        view.children,
        view.queue if stack is not None and not stack.metadata.is_deleting else None,
        owner=str(view.key),
        url=queue_url(stack, site) if stack is not None else None,
        was_programmed=thought.stage is Stage.STAYING and was_programmed(view.owner),
    )


def was_programmed(owner: Resource) -> bool:
    """Whether everything of this very spec had been written before."""
    programmed = owner.status.condition(ConditionType.PROGRAMMED)
    return (
        programmed is not None
        and programmed.status is ConditionStatus.TRUE
        and programmed.observed_generation == owner.metadata.generation
    )


def progress_of(thought: Thought, outcome: Outcome, *, is_awaited: bool = False) -> Progress:
    """What follows: done for good, another look in so many seconds, or none until woken.

    What an object had of a queue that does not answer does not hold its deletion up.
    """
    failure = outcome.failure
    if thought.stage is Stage.GONE and (failure is None or failure.origin is Origin.QUEUE):
        return Progress(finished=True)
    if failure is not None:
        return Progress(again_in=failure.retry_after)
    if thought.stage in GOING:
        return Progress(again_in=SOON)
    return Progress(again_in=AWAITED if is_awaited else None)
