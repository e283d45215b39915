"""Where everything is in embedded mode: folders and ports of this machine."""

import os
import random
import re
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.model import (
    ASSERTION,
    SERVER_PORT,
    SERVER_TOKEN,
    TRUST_DOMAIN,
    Image,
    Listen,
    TrustKeys,
)
from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName

HOST: Final = "127.0.0.1"
NAMESPACE: Final = "k8gentai-system"
IMAGE_PREFIX: Final = "embedded/"
STAND_IN_URL: Final = "http://model.k8gentai-system.svc:8000/v1"
"""Where the stand-in model is in a cluster; here this address, and no other, is replaced."""

SERVER_SERVICE: Final = re.compile(
    rf"http://stack-(?P<stack>[-a-z0-9]+)(\.(?P<namespace>[-a-z0-9]+)(\.svc(\.cluster\.local)?)?)?"
    rf":{SERVER_PORT}(?=/|$)"
)
"""The Service of a Stack's server, as a pod of the namespace or of another one names it."""

OWN_PORTS: Final = range(20_000, 32_768)
TRIES: Final = 1_000
MAX_CLAIMS: Final = 256
_CLAIMS: Final[deque[int]] = deque()


class Ports:
    """Ports of this machine by what they are for; one that was given away stays given."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._by_use = dict(known or {})

    def of(self, use: str) -> int:
        """The port for `use`; a free one at the first time of asking."""
        if use not in self._by_use:
            self._by_use[use] = free_port()
        return self._by_use[use]


def free_port() -> int:
    """A port of the loopback address for a server that is about to listen, or comes back to it.

    One that the system picks will not do: it may give the same to any outgoing connection before
    the server listens, or while it is started anew. So it is one below those. Other processes look
    for theirs at the same time; who holds the UDP port of a number has its TCP port to give away.

    Raises:
        OSError: all of many that were tried are taken.

    Source:
        Linux, `ip_local_port_range`, from 32768; RFC 6335, dynamic ports, from 49152.
    """
    for port in random.sample(OWN_PORTS, TRIES):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind((HOST, port))
        except OSError:
            claim.close()
            continue
        if is_free(port):
            if len(_CLAIMS) == MAX_CLAIMS:  # its port is listened on by now, and files are limited
                os.close(_CLAIMS.popleft())
            _CLAIMS.append(claim.detach())
            return port
        claim.close()
    raise OSError(f"{TRIES} ports of {HOST} were tried and none is free")


def is_free(port: int) -> bool:
    """Whether somebody could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Where the stand-in's place is taken: its own local address, or the user's endpoint."""

    base_url: str
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSite:
    """A folder of this machine.

    Shape:
        root   holds `config/`, `source/`, `data/`, `tokens/`, `logs/`, `trust-keys/`.
        model  takes the place of the stand-in's address in a cluster.
    """

    root: Path
    issuers: tuple[Issuer, ...]
    trust_keys: TrustKeys
    model: ModelEndpoint
    ports: Ports = field(default_factory=Ports)
    namespace: str = NAMESPACE
    network: None = None  # processes of one machine speak over its loopback address
    trust_domain: str = TRUST_DOMAIN

    @property
    def tokens_port(self) -> int:
        """A free port of this machine."""
        return self.ports.of("tokens")

    @property
    def tokens_url(self) -> str:
        """The trust plane, on this machine."""
        return f"http://{HOST}:{self.tokens_port}"

    @property
    def operator(self) -> ObjectName:
        """The identity of the process that reconciles."""
        return ObjectName(namespace=self.namespace, name="k8gentai-operator")

    @property
    def spire(self) -> None:
        """None: the local issuer vouches for all."""

    @property
    def seeds_dir(self) -> str:
        """Folder with the trust plane's seeds."""
        return str(self.root / "trust-keys")

    def image(self, image: Image) -> str:
        """Names the environment that the program runs in."""
        return f"{IMAGE_PREFIX}{image}"

    def queue_url(self, stack: ObjectName) -> str:
        """The NATS server of the Stack."""
        return f"nats://{HOST}:{self.queue_listen(stack).port}"

    def server_url(self, stack: ObjectName) -> str:
        """The server of the Stack."""
        return f"http://{HOST}:{self.server_listen(stack).port}"

    def queue_listen(self, stack: ObjectName) -> Listen:
        """A port of its own for each Stack."""
        return Listen(HOST, self.ports.of(f"nats {stack}"), self.ports.of(f"nats monitor {stack}"))

    def queue_replicas(self, wanted: int) -> int:
        """One: replicas on one machine protect from nothing."""
        return min(wanted, 1)

    def server_listen(self, stack: ObjectName) -> Listen:
        """A port of its own for each Stack."""
        return Listen(HOST, self.ports.of(server_port(stack)))

    def token_file(self, service_account: ObjectName) -> str:
        """The file that the local issuer writes and renews."""
        return str(token_file(self.root, service_account))

    def server_token_file(self, service_account: ObjectName) -> str:
        """Another one of them."""
        return str(token_file(self.root, service_account).with_name(SERVER_TOKEN))

    def assertion_file(self, service_account: ObjectName) -> str:
        """Another one of them."""
        return str(token_file(self.root, service_account).with_name(ASSERTION))

    def config_dir(self, config_map: ObjectName) -> str:
        """The folder a ConfigMap of ours is written to."""
        return str(config_dir(self.root, config_map))

    def source_dir(self, config_map: ObjectName) -> str:
        """The folder a user's ConfigMap is written to."""
        return str(_folder(self.root, "source", config_map))

    def data_dir(self, workload: ObjectName) -> str:
        """What survives the restart of a process."""
        return str(_folder(self.root, "data", workload))

    def reachable(self, url: str, namespace: str) -> str:
        """The given one, unless it is the Service of a Stack's server."""
        found = SERVER_SERVICE.match(url)
        if found is None:
            return url
        stack = ObjectName(namespace=found["namespace"] or namespace, name=found["stack"])
        return self.server_url(stack) + url[found.end() :]

    def model_endpoint(self, base_url: str, model: str) -> tuple[str, str]:
        """The given one, unless it is the stand-in's."""
        if base_url.rstrip("/") != STAND_IN_URL:
            return base_url, model
        return self.model.base_url, self.model.model or model


def token_file(root: Path, service_account: ObjectName) -> Path:
    """Where the token of a workload stands under the folder of an embedded platform."""
    return _folder(root, "tokens", service_account) / "token"


def config_dir(root: Path, config_map: ObjectName) -> Path:
    """Where a ConfigMap of ours is written to under the folder of an embedded platform."""
    return _folder(root, "config", config_map)


def _folder(root: Path, what: str, name: ObjectName) -> Path:
    return root / what / name.namespace / name.name


def server_port(stack: ObjectName) -> str:
    """For what the port of a Stack's server is asked."""
    return f"server {stack}"
