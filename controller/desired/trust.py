"""What the trust plane is told: all Stacks, and whose tokens it takes."""

from collections.abc import Iterable
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
from controller.desired.identity import queue_url
from controller.desired.metadata import key_of
from controller.desired.render import manifest
from controller.model import Child, Site
from runtime.contract.trust_config import TrustConfig, TrustedStack

TRUST_NAME: Final = "k8gentai-trust"
TRUST_FILE: Final = "trust.json"


def trust_config(stacks: Iterable[Stack], site: Site) -> TrustConfig:
    """Whom the trust plane serves, by name, so that the order of the answers changes nothing."""
    in_order = sorted(stacks, key=key_of)
    return TrustConfig(
        issuers=site.issuers,
        operator=site.operator,
        account_seed_file=f"{site.seeds_dir}/account.seed",
        user_seed_file=f"{site.seeds_dir}/user.seed",
        stacks=tuple(
            TrustedStack(stack=key_of(stack).object_name, url=queue_url(stack, site))
            for stack in in_order
        ),
    )


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
