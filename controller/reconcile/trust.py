"""What the trust plane reads: every Stack there is, in one ConfigMap."""

from controller.api.names import Kind
from controller.desired.trust import TRUST_NAME, trust_config, trust_config_map
from controller.model import Key
from controller.reconcile.claims import claims_of, told_in
from controller.reconcile.world import World


async def reconcile_trust(world: World, *, without: Key | None = None) -> None:
    """Bring the trust plane's configuration in step with the Stacks, one at a time.

    Args:
        world: the outside.
        without: a Stack that is about to be gone.

    Raises:
        ReconcileError: Kubernetes did not do its part.
    """
    async with world.trust_lock:
        data = await world.cluster.config_map(world.site.namespace, TRUST_NAME) or {}
        told = told_in(data)
        claims = claims_of(await world.cluster.list(Kind.STACK), told, world.site)
        there = tuple(claim for claim in claims if claim.key != without)
        child = trust_config_map(trust_config(there, told, world.site), world.site)
        if child.manifest["data"] != data:
            await world.make(child, force=True)
