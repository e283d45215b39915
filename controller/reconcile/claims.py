"""Reading which Stack takes which NATS for its own."""

from collections.abc import Mapping

from controller.api.names import Kind
from controller.api.parse import InvalidSpec, parse
from controller.api.resource import Envelope
from controller.api.stack import Stack
from controller.desired.claims import claim_of
from controller.desired.identity import queue_url
from controller.desired.trust import TRUST_FILE, TRUST_NAME, users_of
from controller.model import Claim, Key, Manifest, Site
from controller.reconcile.world import World
from runtime.contract.trust_config import TrustConfig, TrustedStack

type Told = Mapping[Key, TrustedStack]
"""What the trust plane was told last of each Stack."""


async def read_claims(world: World) -> tuple[Claim, ...]:
    """What every Stack takes for its own."""
    data = await world.cluster.config_map(world.site.namespace, TRUST_NAME) or {}
    return claims_of(await world.cluster.list(Kind.STACK), told_in(data), world.site)


def claims_of(bodies: tuple[Manifest, ...], told: Told, site: Site) -> tuple[Claim, ...]:
    """The claim of each Stack; whoever cannot be read keeps what the trust plane was told."""
    found = (_claim(body, told, site) for body in bodies)
    return tuple(claim for claim in found if claim is not None)


def _claim(body: Manifest, told: Told, site: Site) -> Claim | None:
    metadata = parse(Envelope, body).metadata
    try:
        stack = parse(Stack, body)
    except InvalidSpec:
        before = told.get(Key(Kind.STACK, metadata.namespace, metadata.name))
        return None if before is None else claim_of(metadata, before.url, site, before.users)
    return claim_of(metadata, queue_url(stack, site), site, users_of(stack))


def told_in(data: Mapping[str, str]) -> Told:
    """What the ConfigMap of the trust plane says; nothing if nobody can read it."""
    try:
        stacks = TrustConfig.decode(data[TRUST_FILE]).stacks
    except (KeyError, ValueError):
        return {}
    return {Key(Kind.STACK, one.stack.namespace, one.stack.name): one for one in stacks}
