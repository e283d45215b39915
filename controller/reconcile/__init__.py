"""Observe, think, plan, apply, report: one object, one step, safe at any time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from controller.api.names import Kind
from controller.api.parse import InvalidSpec, model_of, parse
from controller.desired.references import policies
from controller.desired.references import references as references_of
from controller.model import ChildRef, Key, Manifest, Progress
from controller.reconcile.agent import reconcile_agent
from controller.reconcile.identity_policy import reconcile_identity_policy
from controller.reconcile.stack import reconcile_stack
from controller.reconcile.tool import reconcile_tool
from controller.reconcile.trust import reconcile_trust
from controller.reconcile.world import World

__all__ = ["World", "policies", "reconcile", "reconcile_trust", "references"]

type Reconcile = Callable[[Key, World, datetime], Awaitable[Progress]]

RECONCILE_BY_KIND: Final[Mapping[Kind, Reconcile]] = MappingProxyType(
    {
        Kind.STACK: reconcile_stack,
        Kind.AGENT: reconcile_agent,
        Kind.TOOL: reconcile_tool,
        Kind.IDENTITY_POLICY: reconcile_identity_policy,
    }
)


async def reconcile(key: Key, world: World, now: datetime) -> Progress:
    """Move one object a step towards its spec. Safe to call at any time, also twice at once.

    Args:
        key: which object; it need not be there any more.
        world: the outside.
        now: the moment, with its zone.

    Raises:
        ReconcileError: the world could not be read, or the status not be written; nothing is lost,
            and it is to be tried again after its `retry_after`.
    """
    return await RECONCILE_BY_KIND[key.kind](key, world, now)


def references(body: Manifest) -> frozenset[ChildRef]:
    """Everything whose change has to wake this object; empty for one that cannot be read.

    Its own children are not among them: their labels name it.
    """
    try:
        model = model_of(body)
        return frozenset() if model is None else references_of(parse(model, body))
    except InvalidSpec:
        return frozenset()
