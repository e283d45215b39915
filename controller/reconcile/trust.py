"""What the trust plane reads: every Stack there is, in one ConfigMap."""

from collections.abc import Mapping

from controller.api.names import Kind
from controller.api.parse import InvalidSpec, parse
from controller.api.resource import Envelope
from controller.api.stack import Stack
from controller.desired.metadata import key_of
from controller.desired.trust import TRUST_FILE, TRUST_NAME, trust_config, trust_config_map
from controller.model import Key
from controller.reconcile.world import World
from runtime.contract.trust_config import TrustConfig, TrustedStack
from runtime.contract.value import ObjectName


async def reconcile_trust(world: World, *, without: Key | None = None) -> None:
    """Bring the trust plane's configuration in step with the Stacks, one at a time.

    Args:
        world: the outside.
        without: a Stack that is about to be gone.

    Raises:
        ReconcileError: Kubernetes did not do its part.
    """
    async with world.trust_lock:
        namespace = world.site.namespace
        data = await world.cluster.config_map(namespace, TRUST_NAME) or {}
        bodies = await world.cluster.list(Kind.STACK)
        stacks, unreadable = [], set()
        for body in bodies:
            try:
                stacks.append(parse(Stack, body))
            except InvalidSpec:
                metadata = parse(Envelope, body).metadata
                if Key(Kind.STACK, metadata.namespace, metadata.name) != without:
                    unreadable.add((metadata.namespace, metadata.name))
        config = trust_config((one for one in stacks if key_of(one) != without), world.site)
        kept = [one for one in _stacks_in(data) if _pair(one.stack) in unreadable]
        stacks_in_order = sorted((*config.stacks, *kept), key=lambda one: _pair(one.stack))
        config = config.model_copy(update={"stacks": tuple(stacks_in_order)})
        child = trust_config_map(config, world.site)
        if child.manifest["data"] != data:
            await world.make(child, force=True)


def _pair(name: ObjectName) -> tuple[str, str]:
    return name.namespace, name.name


def _stacks_in(data: Mapping[str, str]) -> tuple[TrustedStack, ...]:
    try:
        return TrustConfig.decode(data[TRUST_FILE]).stacks
    except (KeyError, ValueError):
        return ()
