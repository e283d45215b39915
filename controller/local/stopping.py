"""In which order everything stops: who works goes before whoever his work needs."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from controller.api.agent import Agent
from controller.api.names import Component
from controller.api.parse import InvalidSpec
from controller.desired.removal import backlog_of
from controller.errors import ReconcileError
from controller.local.programs import ANSWER_SECONDS, DRAIN_SECONDS
from controller.model import Key, UnreadableView
from controller.reconcile.observe import observe_workload
from controller.reconcile.world import World

LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Workloads that stop at the same time.

    Shape:
        component  None: all that are left.

    Units:
        `seconds` after which what has not ended is killed.
    """

    component: Component | None
    seconds: float

    def has(self, component: str) -> bool:
        """Whether a workload of this component belongs to it."""
        return self.component is None or component == self.component


TURNS: Final = (
    Turn(Component.WORKER, DRAIN_SECONDS + 2),
    Turn(Component.TOOL_WORKER, 2),
    Turn(Component.DISPATCHER, 2),
    Turn(Component.SERVER, ANSWER_SECONDS + 2),
    Turn(None, 3),
)
"""Agents ask tools, each other and models, all of it by way of those behind them: the dispatcher,
the API server and at last the queue. It is over within 30 s."""


async def tell_unfinished(world: World, agents: Iterable[Key], say: Callable[[str], None]) -> None:
    """Say whose runs are waited for, now and whenever that changes, until cancelled."""
    told, agents = "", tuple(agents)
    while True:
        left = {key: await _in_hand(world, key) for key in agents}
        if (words := waiting_for(left)) != told and words:
            say(f"stopping: {words}")
        told = words
        await asyncio.sleep(LOOK_SECONDS)


def waiting_for(left: Mapping[Key, int]) -> str:
    """What is waited for, with the number of runs by Agent; "" for nothing."""
    named = [f"{_runs(count)} of {key.name}" for key, count in left.items() if count]
    return f"waiting for {', '.join(named)}" if named else ""


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


async def _in_hand(world: World, agent: Key) -> int:
    """How many runs the workers have under way; 0 where nobody knows."""
    try:
        view = await observe_workload(world, agent, Agent, datetime.now(UTC))
    except (ReconcileError, InvalidSpec):
        return 0
    return 0 if view is None or isinstance(view, UnreadableView) else backlog_of(view).in_flight
