"""What the trust plane is told: all Stacks, and whose tokens it takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.api.names import (
    CATEGORY,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_PART_OF,
    Component,
)
from controller.api.stack import Stack
from controller.desired.claims import holders, servers
from controller.desired.render import manifest
from controller.model import Child, Claim, Key, Site
from runtime.contract.messages import LONGEST_CHAIN
from runtime.contract.trust_config import (
    Issuer,
    TokenRules,
    TokenService,
    TrustConfig,
    TrustedStack,
    UserIssuer,
)
from runtime.contract.txn_token import ASSERTION_AUDIENCE

TRUST_NAME: Final = "k8gentai-trust"
TRUST_FILE: Final = "trust.json"
SIGNING_KEYS: Final = "signing.json"


def trust_config(
    claims: Sequence[Claim], told: Mapping[Key, TrustedStack], site: Site
) -> TrustConfig:
    """Whom the trust plane serves, by name, so that the order of the answers changes nothing.

    Args:
        claims: of all Stacks.
        told: what the trust plane was told last of each Stack.
        site: where the workloads run.
    """

    def name(one: TrustedStack) -> tuple[str, str]:
        return one.stack.namespace, one.stack.name

    return TrustConfig(
        issuers=site.issuers,
        operator=site.operator,
        account_seed_file=f"{site.seeds_dir}/account.seed",
        user_seed_file=f"{site.seeds_dir}/user.seed",
        xkey_seed_file=f"{site.seeds_dir}/xkey.seed",
        tokens=token_service(site),
        stacks=tuple(sorted(_trusted(claims, told), key=name)),
    )


def token_service(site: Site) -> TokenService:
    """The transaction token service of an installation."""
    return TokenService(
        port=site.tokens_port,
        rules=TokenRules(
            service=f"spiffe://{site.trust_domain}/tokens",
            trust_domain=site.trust_domain,
            max_hops=LONGEST_CHAIN,
        ),
        audience=ASSERTION_AUDIENCE,
        signing_keys_file=f"{site.seeds_dir}/{SIGNING_KEYS}",
    )


def users_of(stack: Stack) -> UserIssuer | None:
    """Whose users a Stack lets in, and so may be acted for; None if everybody is."""
    auth = stack.spec.auth
    if auth is None:
        return None
    issuer = Issuer(issuer=auth.issuer, ca=auth.ca_bundle)
    return UserIssuer(issuer=issuer, audience=auth.audience)


def _trusted(claims: Sequence[Claim], told: Mapping[Key, TrustedStack]) -> Iterator[TrustedStack]:
    """Each Stack with its NATS: two that answered for one NATS would refuse each other's workloads.

    What runs of one that is refused stays where it was before, unless another one has that.
    """
    refused = holders(claims)
    held: set[str] = set()
    for claim in claims:
        if claim.key not in refused:
            held |= servers(claim.url)
            yield TrustedStack(stack=claim.key.object_name, url=claim.url, users=claim.users)
    for key in refused.keys() & told.keys():
        if not servers(told[key].url) & held:
            yield told[key]


def trust_config_map(config: TrustConfig, site: Site) -> Child:
    """The ConfigMap that the trust plane reads; it belongs to the installation, not to a Stack."""
    metadata = {
        "name": TRUST_NAME,
        "namespace": site.namespace,
        "labels": {
            LABEL_NAME: TRUST_NAME,
            LABEL_COMPONENT: Component.TRUST.value,
            LABEL_PART_OF: CATEGORY,
            LABEL_MANAGED_BY: FIELD_MANAGER,
        },
    }
    text = config.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    return Child(manifest("config_map.yaml.j2", metadata=metadata, data={TRUST_FILE: text}))
