"""What NetworkPolicies let through, as a network that enforces them decides it.

Source:
    Kubernetes documentation, "Network Policies"; API reference, NetworkPolicy v1.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from controller.api.fields import LabelSelector
from controller.desired.references import selects
from controller.model import Manifest


@dataclass(frozen=True, slots=True)
class Place:
    """A pod, or, without a namespace, any other address."""

    name: str
    address: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enforced:
    """The policies of a cluster, and the labels of its namespaces."""

    policies: Sequence[Manifest]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def allows(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Whether `source` may connect to `port` of `target`: both of them have to be let."""
        return self._lets(source, "Egress", target, port, protocol) and self._lets(
            target, "Ingress", source, port, protocol
        )

    def _lets(self, place: Place, way: str, other: Place, port: int, protocol: str) -> bool:
        mine = [one for one in self.policies if self._is_for(one, place, way)]
        return not mine or any(
            self._meets(rule, one["metadata"]["namespace"], way, other)
            and _has_port(rule, port, protocol)
            for one in mine
            for rule in one["spec"].get(way.lower()) or ()
        )

    def _is_for(self, policy: Manifest, place: Place, way: str) -> bool:
        spec = policy["spec"]
        return (
            policy["metadata"]["namespace"] == place.namespace
            and way in spec["policyTypes"]
            and _selects(spec["podSelector"], place.labels)
        )

    def _meets(self, rule: Manifest, namespace: str, way: str, other: Place) -> bool:
        peers = rule.get("from" if way == "Ingress" else "to")
        return not peers or any(self._is(peer, namespace, other) for peer in peers)

    def _is(self, peer: Manifest, namespace: str, other: Place) -> bool:
        if "ipBlock" in peer:
            return _is_in(peer["ipBlock"], other.address)
        if other.namespace is None:
            return False
        if "namespaceSelector" in peer:
            labels = self._labels(other.namespace)
            is_there = _selects(peer["namespaceSelector"], labels)
        else:
            is_there = other.namespace == namespace
        return is_there and _selects(peer.get("podSelector", {}), other.labels)

    def _labels(self, namespace: str) -> Mapping[str, str]:
        own = {"kubernetes.io/metadata.name": namespace}
        return {**self.namespaces.get(namespace, {}), **own}


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if "matchExpressions" in selector:
        return selects(LabelSelector.model_validate(selector), labels)
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def _has_port(rule: Manifest, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or {"port": port, "protocol": protocol} in ports


def _is_in(block: Manifest, address: str) -> bool:
    excepted = block.get("except", ())
    return _has(block["cidr"], address) and not any(_has(one, address) for one in excepted)


@cache
def _has(block: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)
