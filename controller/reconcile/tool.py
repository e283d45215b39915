"""One Tool, one step towards its spec."""

from datetime import datetime

from controller.api.conditions import GOOD_REASONS, ReadyReason
from controller.api.tool import Tool, ToolStatus
from controller.desired.think import think_tool
from controller.model import Key, Progress, UnreadableView
from controller.reconcile.observe import observe_workload
from controller.reconcile.steps import progress_of, reconcile_unreadable, report, workload_changes
from controller.reconcile.world import World
from controller.status import tool_status


async def reconcile_tool(key: Key, world: World, now: datetime) -> Progress:
    """Move one Tool a step towards its spec. Safe to call at any time."""
    view = await observe_workload(world, key, Tool, now)
    if view is None or isinstance(view, UnreadableView):
        return await reconcile_unreadable(view, world, ToolStatus, now)
    thought = think_tool(view, world.site, now)
    changes = workload_changes(view, thought, world.site)
    outcome = await world.apply(changes)
    status = tool_status(view, thought, outcome, now)
    await report(view, world, status, changes.repairs)
    # What the worker writes into the catalogue wakes nobody.
    is_awaited = thought.desired is not None and thought.functions is None
    is_alive = thought.health.reason in (*GOOD_REASONS, ReadyReason.PROGRESSING)
    return progress_of(thought, outcome, is_awaited=is_awaited and is_alive)
