"""One IdentityPolicy: reported; what it comes to, its Agents write to their queues."""

from datetime import datetime

from controller.api.identity_policy import IdentityPolicyStatus
from controller.desired.policy import think_policy
from controller.model import Key, Progress, UnreadableView
from controller.reconcile.observe import observe_policy
from controller.reconcile.steps import AWAITED, reconcile_unreadable, report
from controller.reconcile.world import World
from controller.status import policy_status


async def reconcile_identity_policy(key: Key, world: World, now: datetime) -> Progress:
    """Report on one IdentityPolicy. Safe to call at any time."""
    view = await observe_policy(world, key)
    if view is None or isinstance(view, UnreadableView):
        return await reconcile_unreadable(view, world, IdentityPolicyStatus, now)
    if view.owner.metadata.is_deleting:
        world.forget(key)
        return Progress(finished=True)
    thought = think_policy(view)
    await report(view, world, policy_status(view, thought, now))
    return Progress(again_in=AWAITED if thought.is_awaited else None)
