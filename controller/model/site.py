"""Where everything is: what a cluster and the embedded mode inject."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName


class Image(StrEnum):
    """The programs the platform runs; each is an image in a cluster, an environment embedded."""

    SERVER = "server"
    SERVER_OGX = "server-ogx"
    RUNTIME = "runtime"
    NATS = "nats"
    WORKER_LANGGRAPH = "worker-langgraph"
    WORKER_LLAMA_STACK = "worker-llama-stack"
    WORKER_CREWAI = "worker-crewai"
    WORKER_AG2 = "worker-ag2"
    WORKER_BEEAI = "worker-beeai"


@dataclass(frozen=True, slots=True)
class TrustKeys:
    """Public halves of the trust plane's nkeys: what a NATS server has to be told.

    Shape:
        account  public key of the account that signs the users it admits ("A…").
        user     public key of the trust plane's own user ("U…").
        xkey     public key for which a NATS server seals what it asks ("X…").
    """

    account: str
    user: str
    xkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spire:
    """The SPIRE of an installation.

    Shape:
        jwks_url    where its public keys are, as the trust plane reaches it, and `ca_file`, as the
                    trust plane sees it: who vouches for that address; None for public authorities.
        class_name  of the ClusterSPIFFEIDs that its controller manager takes; None for those
                    without a class.
    """

    trust_domain: str
    jwks_url: str
    ca_file: str | None = None
    class_name: str | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a process listens: `host` None for every address; `monitor_port` 0 for none."""

    host: str | None
    port: int
    monitor_port: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """What NetworkPolicies have to know of a cluster.

    Shape:
        inside  CIDRs of its pods, Services and nodes: no address outside is among them.
    """

    inside: tuple[str, ...] = ()


class Site(Protocol):
    """What differs between a cluster and the embedded mode; everything else is the same.

    All paths are as the process that uses them sees them; all answers are pure.
    """

    @property
    def namespace(self) -> str:
        """Where the trust plane and the operator live: `k8gentai-system`."""
        ...

    @property
    def operator(self) -> ObjectName:
        """ServiceAccount of the operator."""
        ...

    @property
    def trust_keys(self) -> TrustKeys:
        """The trust plane's public keys."""
        ...

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """Who signs the workloads' tokens."""
        ...

    @property
    def spire(self) -> Spire | None:
        """The SPIRE that may vouch for workloads; None if there is none."""
        ...

    @property
    def seeds_dir(self) -> str:
        """Folder of the trust plane's `*.seed` files and `signing.json`, as it sees it."""
        ...

    @property
    def network(self) -> Network | None:
        """For the NetworkPolicies of what runs here; None if there are to be none."""
        ...

    @property
    def trust_domain(self) -> str:
        """In which the transaction tokens of the installation are good."""
        ...

    @property
    def tokens_url(self) -> str:
        """Address of the transaction token service, without a path."""
        ...

    @property
    def tokens_port(self) -> int:
        """Where the transaction token service listens, within its pod."""
        ...

    def image(self, image: Image) -> str:
        """The image reference of a program of ours."""
        ...

    def queue_url(self, stack: ObjectName) -> str:
        """Address of the managed NATS of a Stack, nats://host:port."""
        ...

    def server_url(self, stack: ObjectName) -> str:
        """Address of the server of a Stack, http://host:port without a path."""
        ...

    def queue_listen(self, stack: ObjectName) -> Listen:
        """Where a managed NATS listens, within its pod."""
        ...

    def queue_replicas(self, wanted: int) -> int:
        """How many NATS servers there really are: in embedded mode just one."""
        ...

    def server_listen(self, stack: ObjectName) -> Listen:
        """Where the server listens, within its pod."""
        ...

    def token_file(self, service_account: ObjectName) -> str:
        """The file with the workload's own JWT for the queue."""
        ...

    def server_token_file(self, service_account: ObjectName) -> str:
        """The same for servers of Stacks, in the same folder."""
        ...

    def assertion_file(self, service_account: ObjectName) -> str:
        """The same for the transaction token service, in the same folder."""
        ...

    def config_dir(self, config_map: ObjectName) -> str:
        """The folder in which a ConfigMap of ours appears: one file a key."""
        ...

    def source_dir(self, config_map: ObjectName) -> str:
        """The folder in which a user's ConfigMap of modules appears: one file a key."""
        ...

    def data_dir(self, workload: ObjectName) -> str:
        """The folder of a workload that survives its restarts (`nats-<stack>`)."""
        ...

    def reachable(self, url: str, namespace: str) -> str:
        """Where an address that a spec of this namespace names is really asked.

        In a cluster just there; in embedded mode there are no Services, so the one of a Stack's
        server is replaced.
        """
        ...

    def model_endpoint(self, base_url: str, model: str) -> tuple[str, str]:
        """Where a model is really asked: (base URL, the provider's name of it).

        In a cluster just what was given; the embedded mode replaces the stand-in's address.
        """
        ...


TOKEN_DIR: Final = "/var/run/secrets/k8gentai"  # noqa: S105 - a folder, no secret
ASSERTION: Final = "assertion"
SERVER_TOKEN_DIR: Final = "/var/run/secrets/k8gentai-server"  # noqa: S105 - a folder, no secret
SERVER_TOKEN: Final = "server-token"  # noqa: S105 - a file, no secret
CONFIG_DIR: Final = "/etc/k8gentai"
SOURCE_DIR: Final = "/opt/k8gentai/source"
DATA_DIR: Final = "/var/lib/k8gentai"
SEEDS_DIR: Final = "/etc/k8gentai/trust-keys"
TRUST_DOMAIN: Final = "k8gentai.local"
TOKENS_PORT: Final = 8082
NATS_PORT: Final = 4222
NATS_MONITOR_PORT: Final = 8222
SERVER_PORT: Final = 8321


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSite:
    """A Kubernetes cluster: Services have names, volumes have fixed places, a pod has one of each.

    Shape:
        image_prefix, image_tag   `<prefix>/<program>:<tag>` is the image of a program.
    """

    namespace: str
    operator: ObjectName
    trust_keys: TrustKeys
    issuers: tuple[Issuer, ...]
    image_prefix: str
    image_tag: str
    spire: Spire | None = None
    seeds_dir: str = SEEDS_DIR
    network: Network | None = Network()
    trust_domain: str = TRUST_DOMAIN
    tokens_port: int = TOKENS_PORT

    @property
    def tokens_url(self) -> str:
        """The Service before the trust plane."""
        return f"http://k8gentai-trust.{self.namespace}.svc:{self.tokens_port}"

    def image(self, image: Image) -> str:
        """The image reference of a program of ours."""
        return f"{self.image_prefix}/{image}:{self.image_tag}"

    def queue_url(self, stack: ObjectName) -> str:
        """The Service before the NATS servers of the Stack."""
        return f"nats://nats-{stack.name}.{stack.namespace}.svc:{NATS_PORT}"

    def server_url(self, stack: ObjectName) -> str:
        """The Service that clients use."""
        return f"http://stack-{stack.name}.{stack.namespace}.svc:{SERVER_PORT}"

    def queue_listen(self, stack: ObjectName) -> Listen:  # noqa: ARG002 - each has its own pod
        """Every address of the pod."""
        return Listen(None, NATS_PORT, NATS_MONITOR_PORT)

    def queue_replicas(self, wanted: int) -> int:
        """As many as wanted."""
        return wanted

    def server_listen(self, stack: ObjectName) -> Listen:  # noqa: ARG002 - each has its own pod
        """Every address of the pod."""
        return Listen(None, SERVER_PORT)

    def token_file(self, service_account: ObjectName) -> str:  # noqa: ARG002 - a pod has only one
        """The projected token of the pod's ServiceAccount."""
        return f"{TOKEN_DIR}/token"

    def server_token_file(self, service_account: ObjectName) -> str:  # noqa: ARG002 - as above
        """Another one of them."""
        return f"{TOKEN_DIR}/{SERVER_TOKEN}"

    def assertion_file(self, service_account: ObjectName) -> str:  # noqa: ARG002 - as above
        """Another one of them."""
        return f"{TOKEN_DIR}/{ASSERTION}"

    def config_dir(self, config_map: ObjectName) -> str:  # noqa: ARG002 - a pod has only one
        """Where the ConfigMap is mounted."""
        return CONFIG_DIR

    def source_dir(self, config_map: ObjectName) -> str:  # noqa: ARG002 - a pod has only one
        """Where the ConfigMap is mounted."""
        return SOURCE_DIR

    def data_dir(self, workload: ObjectName) -> str:  # noqa: ARG002 - a pod has only one
        """Where the volume is mounted."""
        return DATA_DIR

    def reachable(self, url: str, namespace: str) -> str:  # noqa: ARG002 - DNS knows it by itself
        """Just what was given."""
        return url

    def model_endpoint(self, base_url: str, model: str) -> tuple[str, str]:
        """Just what was given."""
        return base_url, model
