"""One Agent, one step towards its spec."""

from datetime import datetime

from controller.api.agent import Agent, AgentStatus
from controller.desired.think import think_agent
from controller.model import Key, Progress, UnreadableView
from controller.reconcile.observe import observe_workload
from controller.reconcile.steps import (
    progress_of,
    reconcile_unreadable,
    report,
    workload_changes,
)
from controller.reconcile.world import World
from controller.status import agent_status


async def reconcile_agent(key: Key, world: World, now: datetime) -> Progress:
    """Move one Agent a step towards its spec. Safe to call at any time."""
    view = await observe_workload(world, key, Agent, now)
    if view is None or isinstance(view, UnreadableView):
        return await reconcile_unreadable(view, world, AgentStatus, now)
    thought = think_agent(view, world.site, now)
    changes = workload_changes(view, thought, world.site)
    outcome = await world.apply(changes)
    status = agent_status(view, thought, outcome, now)
    await report(view, world, status, changes.repairs)
    return progress_of(thought, outcome)
