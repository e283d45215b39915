"""Objects, their children and what is seen of their pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, override

from controller.api.names import API_VERSION, Kind
from runtime.contract.value import ObjectName

type Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON, camelCase. Never changed once made: whoever changes one copies."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object of one of the four kinds: what is reconciled, woken and reported on."""

    kind: Kind
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def object_name(self) -> ObjectName:
        """Namespace and name alone, as the contract of the queue wants them."""
        return ObjectName(namespace=self.namespace, name=self.name)

    @property
    def ref(self) -> "ChildRef":
        """The same object in the words of Kubernetes."""
        return ChildRef(API_VERSION, self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True, order=True)
class ChildRef:
    """Any object of Kubernetes: `apps/v1`, `Deployment`, namespace ("" if it has none), name."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"

    @classmethod
    def of(cls, manifest: Manifest) -> "ChildRef":
        """The object that `manifest` describes."""
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "")
        return cls(manifest["apiVersion"], manifest["kind"], namespace, metadata["name"])


NATS_SERVER = "NATS"
"""In place of a kind: one address of a NATS, whose name it is."""

POLICIES = "IdentityPolicies"
"""In place of a kind: all policies of the namespace that is named."""

CHILD_KINDS = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
)
"""Every kind of child the operator makes in its owner's namespace (apiVersion, kind);
`Cluster.children` reads these, and the one below."""
CLUSTER_SPIFFE_ID = ("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID")
"""What SPIRE's controller manager makes registration entries of; it is in no namespace."""


LIST_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "containers": "name",
        "initContainers": "name",
        "env": "name",
        "volumes": "name",
        "volumeMounts": "mountPath",
        "imagePullSecrets": "name",
        "ownerReferences": "uid",
    }
)
"""Lists whose entries Kubernetes tells apart by a key, by the field that holds them.

Source:
    Kubernetes API, `x-kubernetes-list-map-keys` and `x-kubernetes-patch-merge-key` of the pod.
"""


@dataclass(frozen=True, slots=True)
class Child:
    """An object that an owner of ours wants to exist.

    Shape:
        manifest  what the operator has an opinion on and nothing else: apiVersion, kind, metadata
                  (name, namespace, labels, ownerReferences), spec or data. Kubernetes fills in the
                  rest; fields it does not name belong to others.
    """

    manifest: Manifest

    @property
    def ref(self) -> ChildRef:
        """Which object it is."""
        return ChildRef.of(self.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod, as seen.

    Shape:
        waiting     reason why it does not run, "CrashLoopBackOff" or "ImagePullBackOff"; "" else.
        message     Kubernetes' sentence on that reason; "" if there is none.
        exit_code   of its last end, None if it never ended.
        last_words  its termination message of the last end: one sentence of ours, or "".
    """

    name: str
    ready: bool
    restarts: int = 0
    waiting: str = ""
    message: str = ""
    exit_code: int | None = None
    last_words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod (in embedded mode: one set of processes) of an owner, as seen.

    Shape:
        component   label `app.kubernetes.io/component`: which of the owner's workloads it is of.
        revision    annotation `k8gentai.dev/revision`.
        ready       its condition Ready.
        deleting    it was asked to stop.
        unscheduled why it has no node, a sentence; "" once it has one.
    """

    name: str
    component: str
    revision: str = ""
    ready: bool = False
    deleting: bool = False
    unscheduled: str = ""
    containers: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeEvent:
    """A Kubernetes Event on one of our objects.

    Shape:
        about   the object; `uid` its metadata.uid.
        type    Warning when a person may have to act.
        reason  a reason of a condition. `message`: a sentence.
    """

    about: Key
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of the server: API it serves, id, type, and what the server says of its health."""

    api: str
    id: str
    type: str
    health: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server answered: its version, the identifiers of its models, its providers."""

    version: str
    models: tuple[str, ...] = ()
    providers: tuple[Provider, ...] = ()
