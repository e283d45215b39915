"""Where the address in a spec leads, in the words of a NetworkPolicy.

Source:
    Kubernetes documentation, "Network Policies", "DNS for Services and Pods"; RFC 3986.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from controller.api.names import LABEL_NAMESPACE
from controller.model import NATS_PORT, Manifest

PORT_BY_SCHEME: Final = {"http": 80, "https": 443, "nats": NATS_PORT, "tls": NATS_PORT}
NEVER: Final = (
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fe80::/10",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
)
"""Where clouds tell a machine its credentials: link-local addresses (RFC 3927, RFC 4291), and those
of Alibaba, Azure, Oracle, and of AWS and Google in IPv6."""
EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
SERVICE_SUFFIXES: Final = (".svc", ".svc.cluster.local")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a NetworkPolicy: with whom, on which ports.

    Shape:
        peers  NetworkPolicyPeers; none means everybody. `ports`: of the pods; none means all.
    """

    peers: tuple[Manifest, ...] = ()
    ports: tuple[int, ...] = ()
    protocols: tuple[str, ...] = ("TCP",)

    @property
    def sources(self) -> dict[str, Any]:
        """As a NetworkPolicyIngressRule."""
        return self._with("from")

    @property
    def targets(self) -> dict[str, Any]:
        """As a NetworkPolicyEgressRule."""
        return self._with("to")

    def _with(self, field: str) -> dict[str, Any]:
        ports = [{"port": one, "protocol": how} for one in self.ports for how in self.protocols]
        peers = {field: list(self.peers)} if self.peers else {}
        return peers | ({"ports": ports} if ports else {})


def destinations(urls: str, namespace: str, inside: Iterable[str]) -> tuple[Rule, ...]:
    """What a pod of `namespace` has to be let through to, to reach each of `urls`.

    A Service is let through as the whole of its namespace: behind it, the ports are those of its
    pods, which its address does not tell. A host outside is a name without an address, so it is
    every address that is not of the cluster, on one port; without a host it is any of them.

    Args:
        urls: absolute, separated by commas.
        namespace: in which a name without dots is looked up.
        inside: CIDRs of the cluster.
    """
    return tuple(rule for url in urls.split(",") for rule in _rules(url, namespace, tuple(inside)))


def everywhere(ports: tuple[int, ...], inside: Iterable[str]) -> Rule:
    """These ports of any pod, and of any address outside."""
    return Rule(({"namespaceSelector": {}}, *_outside(inside)), ports)


def outside(ports: tuple[int, ...], inside: Iterable[str]) -> Rule:
    """These ports of any address but those `inside`."""
    return Rule(_outside(inside), ports)


def namespace_selector(name: str) -> dict[str, Any]:
    """The namespace of that name."""
    return {"matchLabels": {LABEL_NAMESPACE: name}}


def _rules(url: str, namespace: str, inside: tuple[str, ...]) -> Iterator[Rule]:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return  # it leads nowhere, as whoever asks there is told
    ports = (port or PORT_BY_SCHEME[parts.scheme],)
    address = _address(host)
    if address is None:
        yield from _rules_of_name(host, ports, namespace, inside)
    elif not _is_never(address):
        yield Rule(({"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}},), ports)


def _rules_of_name(
    host: str, ports: tuple[int, ...], namespace: str, inside: tuple[str, ...]
) -> Iterator[Rule]:
    suffix = next((one for one in SERVICE_SUFFIXES if host.endswith(one)), "")
    *before, last = host.removesuffix(suffix).split(".")
    if suffix or len(before) == 1:
        yield Rule((_namespace(last),))
    elif host and not before:
        yield Rule((_namespace(namespace),))
        return
    # Two names may be a Service and its namespace, and as well a host outside: example.org.
    if not suffix:
        yield outside(ports, inside)


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": namespace_selector(name)}


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_never(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or any(address in ipaddress.ip_network(one) for one in NEVER)


def _outside(inside: Iterable[str]) -> tuple[Manifest, ...]:
    excepted = [ipaddress.ip_network(one) for one in (*NEVER, *inside)]
    return tuple(
        {
            "ipBlock": {
                "cidr": block,
                "except": [str(one) for one in excepted if one.version == version],
            }
        }
        for block, version in zip(EVERYWHERE, (4, 6), strict=True)
    )
