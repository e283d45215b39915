"""One Stack, one step towards its spec."""

from datetime import datetime, timedelta
from typing import Final

from controller.api.conditions import GOOD_REASONS
from controller.api.stack import StackStatus
from controller.desired.orphans import own_parts
from controller.desired.think import think_stack
from controller.model import (
    Changes,
    Key,
    Origin,
    Outcome,
    Progress,
    StackView,
    Stage,
    Thought,
    UnreadableView,
)
from controller.plan import changes as plan_changes
from controller.reconcile.observe import observe_stack
from controller.reconcile.steps import progress_of, reconcile_unreadable, report, was_programmed
from controller.reconcile.trust import reconcile_trust
from controller.reconcile.world import World
from controller.status import stack_status

PATIENCE: Final = timedelta(seconds=60)
"""How long the deletion of a Stack waits for a NATS of somebody else's that does not answer."""


async def reconcile_stack(key: Key, world: World, now: datetime) -> Progress:
    """Move one Stack a step towards its spec. Safe to call at any time."""
    await reconcile_trust(world)  # before anything: without it nobody is let in to the queue
    view = await observe_stack(world, key, now)
    if view is None or isinstance(view, UnreadableView):
        progress = await reconcile_unreadable(view, world, StackStatus, now)
        if progress.finished:
            await reconcile_trust(world, without=key)
        return progress
    thought = think_stack(view, world.site)
    changes = stack_changes(view, thought)
    outcome = await world.apply(changes)
    status = stack_status(view, thought, outcome, now, version=world.version)
    await report(view, world, status, changes.repairs)
    if thought.stage is Stage.GONE:
        return await _leave(view, world, outcome, now)
    return progress_of(thought, outcome, is_awaited=_is_server_awaited(view, thought))


def stack_changes(view: StackView, thought: Thought) -> Changes:
    """What turns what a Stack has into what it implies; nothing while its spec is wrong."""
    if thought.desired is None:
        return Changes()
    # A managed queue goes with its volume, all at once.
    is_gone_with_it = thought.stage is Stage.GONE and view.owner.spec.messaging.managed is not None
    return plan_changes(
        thought.desired,
        view.children,
        None if is_gone_with_it else own_parts(view),
        owner=str(view.key),
        url=view.url,
        was_programmed=was_programmed(view.owner),
    )


def _is_server_awaited(view: StackView, thought: Thought) -> bool:
    """The server is ready and has not spoken yet: nothing else would make us listen again."""
    is_silent = view.server is None and view.owner.spec.server.replicas > 0
    return is_silent and thought.health.reason in GOOD_REASONS


async def _leave(view: StackView, world: World, outcome: Outcome, now: datetime) -> Progress:
    failure, deleted = outcome.failure, view.owner.metadata.deletion_timestamp
    is_queue = failure is not None and failure.origin is Origin.QUEUE
    if is_queue and deleted is not None and now - deleted >= PATIENCE:
        failure = None  # what is left there has to be removed by whoever runs that NATS
    if failure is not None:
        return Progress(again_in=failure.retry_after)
    await reconcile_trust(world, without=view.key)
    await world.streams.forget(view.url)
    world.forget(view.key)
    return Progress(finished=True)
