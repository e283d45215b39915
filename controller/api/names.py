"""Every fixed word of the API: group, kinds, labels, annotations. Nothing here is ever renamed."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

GROUP: Final = "k8gentai.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "k8gentai"

FINALIZER: Final = f"{GROUP}/cleanup"
FIELD_MANAGER: Final = "k8gentai"
CONTROLLER_NAME: Final = f"{GROUP}/operator"
"""Who wrote an ancestor's status, as Gateway API policies say it."""


class Kind(StrEnum):
    """The four kinds a user applies."""

    STACK = "Stack"
    AGENT = "Agent"
    TOOL = "Tool"
    IDENTITY_POLICY = "IdentityPolicy"


PLURAL_BY_KIND: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.STACK: "stacks",
        Kind.AGENT: "agents",
        Kind.TOOL: "tools",
        Kind.IDENTITY_POLICY: "identitypolicies",
    }
)
# Free in Kubernetes itself, and in the charts one finds beside us (Istio, KEDA, Knative, SPIRE).
SHORT_NAMES_BY_KIND: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.STACK: ("stk",),
        Kind.AGENT: ("ag",),
        Kind.TOOL: ("tl",),
        Kind.IDENTITY_POLICY: ("idp",),
    }
)

# The recommended labels of Kubernetes, on every child.
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"

# Ours: which object a child belongs to. Cluster-scoped children have no owner but these.
LABEL_OWNER_KIND: Final = f"{GROUP}/owner-kind"
LABEL_OWNER_NAME: Final = f"{GROUP}/owner-name"
LABEL_OWNER_NAMESPACE: Final = f"{GROUP}/owner-namespace"
# Which Stack the pods of a worker belong to: NetworkPolicies know them by it.
LABEL_STACK: Final = f"{GROUP}/stack"
LABEL_STACK_NAMESPACE: Final = f"{GROUP}/stack-namespace"
LABEL_NAMESPACE: Final = "kubernetes.io/metadata.name"
"""On every namespace, put there by Kubernetes: its name."""

ANNOTATION_REVISION: Final = f"{GROUP}/revision"
"""On pod templates alone: a change of it is a rollout, and nothing else of ours is."""
ANNOTATION_PREFIX: Final = GROUP
"""kopf keeps its own notes under this prefix, so that `status` is ours alone."""


class Component(StrEnum):
    """What a child does: the value of `app.kubernetes.io/component`."""

    SERVER = "server"
    MESSAGING = "messaging"
    DISPATCHER = "dispatcher"
    WORKER = "worker"
    TOOL_WORKER = "tool-worker"
    MCP_SERVER = "mcp-server"
    TRUST = "trust"


def selector_labels(kind: Kind, name: str, component: Component) -> dict[str, str]:
    """The labels that tell the pods of one component of one object; never changed once applied."""
    return {
        LABEL_NAME: kind.lower(),
        LABEL_INSTANCE: name,
        LABEL_COMPONENT: component.value,
    }


def child_labels(kind: Kind, namespace: str, name: str, component: Component) -> dict[str, str]:
    """All labels of a child: `selector_labels`, and whose it is."""
    return {
        **selector_labels(kind, name, component),
        LABEL_PART_OF: CATEGORY,
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_OWNER_KIND: kind.lower(),
        LABEL_OWNER_NAME: name,
        LABEL_OWNER_NAMESPACE: namespace,
    }
