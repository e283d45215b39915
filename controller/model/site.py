"""Where everything is: what a cluster and the embedded mode inject."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName


class Image(StrEnum):
    """The programs the platform runs; each is an image in a cluster, an environment embedded."""

    SERVER = "server"
    RUNTIME = "runtime"
    NATS = "nats"
    WORKER_LANGGRAPH = "worker-langgraph"
    WORKER_LLAMA_STACK = "worker-llama-stack"


@dataclass(frozen=True, slots=True)
class TrustKeys:
    """Public halves of the trust plane's nkeys: what a NATS server has to be told.

    Shape:
        account  public key of the account that signs the users it admits ("A…").
        user     public key of the trust plane's own user ("U…").
    """

    account: str
    user: str


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
    def seeds_dir(self) -> str:
        """Folder with `account.seed` and `user.seed`, as the trust plane sees it."""
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

    def queue_port(self, stack: ObjectName) -> int:
        """The port a managed NATS listens on, within its pod: 4222."""
        ...

    def server_port(self, stack: ObjectName) -> int:
        """The port the server listens on, within its pod: 8321."""
        ...

    def token_file(self, service_account: ObjectName) -> str:
        """The file with the workload's own JWT."""
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

    def model_endpoint(self, base_url: str, model: str) -> tuple[str, str]:
        """Where a model is really asked: (base URL, the provider's name of it).

        In a cluster just what was given; the embedded mode replaces the stand-in's address.
        """
        ...
