"""Who may speak with whom: one NetworkPolicy for each workload, which denies all it does not name.

Source:
    Kubernetes documentation, "Network Policies".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from controller.api.fields import AllowedNamespaces, NamespacesFrom
from controller.api.names import (
    CATEGORY,
    LABEL_NAME,
    LABEL_PART_OF,
    LABEL_STACK,
    LABEL_STACK_NAMESPACE,
    Component,
    Kind,
    selector_labels,
)
from controller.api.resource import Resource
from controller.api.stack import Stack
from controller.desired.destinations import (
    Rule,
    destinations,
    everywhere,
    namespace_selector,
    outside,
)
from controller.desired.identity import queue_url
from controller.desired.metadata import key_of, metadata
from controller.desired.nats import ROUTE_PORT
from controller.desired.parts import HEALTH_PORT
from controller.desired.render import manifest
from controller.model import Child, Key, Manifest, Site

DATABASE_PORT: Final = 5432
DNS_PORTS: Final = (53, 5353)
"""Of a cluster's DNS; the second is where that of OpenShift listens behind its Service."""
KUBERNETES_PORTS: Final = (443, 6443, 8443, 16443)
"""Where clusters commonly serve their API; its address is not known here."""
NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""Where NodeLocal DNSCache answers on each node.

Source:
    Kubernetes documentation, "Using NodeLocal DNSCache in Kubernetes Clusters".
"""
TRUST_POD: Final = "k8gentai-trust"
OPERATOR_POD: Final = "k8gentai-operator"
"""The label `app.kubernetes.io/name` of the pods in `config/base`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one workload has to be reached by, and what it has to reach.

    Shape:
        accepts  who may connect to it. Its health is for everybody: the kubelet asks, which comes
                 from the address of a node.
        reaches  what it may connect to, DNS apart.
    """

    accepts: tuple[Rule, ...] = ()
    reaches: tuple[Rule, ...] = ()


def network_policy(
    name: str, owner: Resource, component: Component, traffic: Traffic, site: Site
) -> tuple[Child, ...]:
    """The policy of the pods of one component of `owner`; none where the site wants none."""
    if site.network is None:
        return ()
    key = key_of(owner)
    return (
        Child(
            manifest(
                "network_policy.yaml.j2",
                metadata=metadata(name, owner, component),
                selector=selector_labels(key.kind, key.name, component),
                accepts=[rule.sources for rule in traffic.accepts],
                reaches=_distinct(rule.targets for rule in (_dns(), *traffic.reaches)),
            )
        ),
    )


def server_traffic(stack: Stack, site: Site) -> Traffic:
    """Of the server: its clients may be anywhere, in the cluster and outside of it."""
    namespace = stack.metadata.namespace
    models = (
        rule
        for model in stack.spec.models
        for rule in destinations(model.base_url or "https:", namespace, _inside(site))
    )
    # Its address is in a Secret, which is not read: the port is the usual one.
    database = (everywhere((DATABASE_PORT,), _inside(site)),) if stack.spec.storage.postgres else ()
    return Traffic(
        accepts=(Rule(ports=(_server_port(stack, site), HEALTH_PORT)),),
        reaches=(
            *_queue(stack, namespace, site),
            *_tokens(stack, site),
            *_keys(stack, site),
            *database,
            *models,
        ),
    )


def dispatcher_traffic(stack: Stack, site: Site) -> Traffic:
    """Of the dispatcher, which knows the queue alone."""
    return Traffic(
        accepts=(Rule(ports=(HEALTH_PORT,)),),
        reaches=_queue(stack, stack.metadata.namespace, site),
    )


def nats_traffic(stack: Stack, site: Site) -> Traffic:
    """Of the NATS servers: their routes are for themselves, the rest is for who is of the Stack."""
    key = key_of(stack)
    listen = site.queue_listen(key.object_name)
    peers = (pods(key.namespace, selector_labels(key.kind, key.name, Component.MESSAGING)),)
    clients = (
        pods(key.namespace, selector_labels(key.kind, key.name, Component.SERVER)),
        pods(key.namespace, selector_labels(key.kind, key.name, Component.DISPATCHER)),
        *(
            {"namespaceSelector": namespaces, "podSelector": {"matchLabels": stack_labels(key)}}
            for namespaces in _permitted(stack.spec.allowed_namespaces, key.namespace)
        ),
        pods(site.namespace, {LABEL_NAME: OPERATOR_POD, LABEL_PART_OF: CATEGORY}),
        pods(site.namespace, {LABEL_NAME: TRUST_POD, LABEL_PART_OF: CATEGORY}),
    )
    return Traffic(
        accepts=(
            Rule(peers, (ROUTE_PORT,)),
            Rule(clients, (listen.port,)),
            Rule(ports=(listen.monitor_port,)),
        ),
        reaches=(Rule(peers, (ROUTE_PORT,)),),
    )


def agent_traffic(stack: Stack, namespace: str, site: Site) -> Traffic:
    """Of an Agent in `namespace`: the queue, the server for its model, and its tokens."""
    key = key_of(stack)
    server = pods(key.namespace, selector_labels(key.kind, key.name, Component.SERVER))
    return Traffic(
        accepts=(Rule(ports=(HEALTH_PORT,)),),
        reaches=(
            *_queue(stack, namespace, site),
            *_tokens(stack, site),
            Rule((server,), (_server_port(stack, site),)),
        ),
    )


def tool_traffic(stack: Stack, namespace: str, site: Site, urls: Iterable[str]) -> Traffic:
    """Of a Tool in `namespace`: the queue, its tokens, and the addresses that its spec names."""
    named = (rule for url in urls for rule in destinations(url, namespace, _inside(site)))
    return Traffic(
        accepts=(Rule(ports=(HEALTH_PORT,)),),
        reaches=(*_queue(stack, namespace, site), *_tokens(stack, site), *named),
    )


def stack_labels(stack: Key) -> dict[str, str]:
    """What the pods of all workers of a Stack have in common."""
    return {LABEL_STACK: stack.name, LABEL_STACK_NAMESPACE: stack.namespace}


def pods(namespace: str, labels: dict[str, str]) -> Manifest:
    """The pods of one namespace that have `labels`."""
    return {
        "namespaceSelector": namespace_selector(namespace),
        "podSelector": {"matchLabels": labels},
    }


def _permitted(allowed: AllowedNamespaces, own: str) -> tuple[dict[str, Any], ...]:
    """Which namespaces may have workers of the Stack, as selectors."""
    match allowed.from_:
        case NamespacesFrom.SAME:
            return (namespace_selector(own),)
        case NamespacesFrom.ALL:
            return ({},)
        case NamespacesFrom.SELECTOR:
            selector = allowed.selector.dump() if allowed.selector else {}
            return (namespace_selector(own), selector)


def _queue(stack: Stack, namespace: str, site: Site) -> tuple[Rule, ...]:
    """The queue of a Stack, as the workloads of `namespace` reach it."""
    if stack.spec.messaging.external is not None:
        return destinations(queue_url(stack, site), namespace, _inside(site))
    key = key_of(stack)
    servers = pods(key.namespace, selector_labels(Kind.STACK, key.name, Component.MESSAGING))
    return (Rule((servers,), (site.queue_listen(key.object_name).port,)),)


def _tokens(stack: Stack, site: Site) -> tuple[Rule, ...]:
    """The transaction token service, where the Stack knows its users."""
    if stack.spec.auth is None:
        return ()
    trust = pods(site.namespace, {LABEL_NAME: TRUST_POD, LABEL_PART_OF: CATEGORY})
    return (Rule((trust,), (site.tokens_port,)),)


def _keys(stack: Stack, site: Site) -> tuple[Rule, ...]:
    """Who has the keys of users' tokens, and Kubernetes, which has those of workloads."""
    if stack.spec.auth is None:
        return ()
    issuer = destinations(stack.spec.auth.issuer, stack.metadata.namespace, _inside(site))
    # Its servers are on nodes of the cluster, so nothing inside is left out.
    return (*issuer, outside(KUBERNETES_PORTS, ()))


def _inside(site: Site) -> tuple[str, ...]:
    return site.network.inside if site.network is not None else ()


def _server_port(stack: Stack, site: Site) -> int:
    return site.server_listen(key_of(stack).object_name).port


def _dns() -> Rule:
    node_local = {"ipBlock": {"cidr": NODE_LOCAL_DNS}}
    return Rule(({"namespaceSelector": {}}, node_local), DNS_PORTS, ("UDP", "TCP"))


def _distinct(rules: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rule in rules:
        if rule not in found:
            found.append(rule)
    return found
