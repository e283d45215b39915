"""The evaluator of NetworkPolicies, on what the documentation of Kubernetes says of its example."""

import pytest
import yaml

from controller.tests.network import Enforced, Place

EXAMPLE = """
metadata: {name: test-network-policy, namespace: default}
spec:
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
    ports: [{protocol: TCP, port: 5978}]
"""
NETWORK = Enforced([yaml.safe_load(EXAMPLE)], {"mine": {"project": "myproject"}})
DB = Place("db", "10.9.0.1", "default", {"role": "db"})
FRONTEND = {"role": "frontend"}


@pytest.mark.parametrize(
    ("source", "target", "port", "may"),
    [
        pytest.param(Place("p", "10.9.0.2", "default", FRONTEND), DB, 6379, True, id="frontend"),
        pytest.param(Place("p", "10.9.0.2", "default", FRONTEND), DB, 6380, False, id="port"),
        pytest.param(Place("p", "10.9.0.2", "default"), DB, 6379, False, id="no frontend"),
        pytest.param(Place("p", "10.9.0.2", "other", FRONTEND), DB, 6379, False, id="elsewhere"),
        pytest.param(Place("p", "10.9.0.2", "mine"), DB, 6379, True, id="namespace"),
        pytest.param(Place("p", "172.17.0.9"), DB, 6379, True, id="block"),
        pytest.param(Place("p", "172.17.1.9"), DB, 6379, False, id="excepted"),
        pytest.param(DB, Place("p", "10.0.0.9"), 5978, True, id="out"),
        pytest.param(DB, Place("p", "10.0.1.9"), 5978, False, id="out to another block"),
        pytest.param(DB, Place("p", "10.9.0.2", "default"), 80, False, id="out to a pod"),
        pytest.param(Place("p", "10.9.0.2", "mine"), Place("q", "1.1.1.1"), 80, True, id="others"),
    ],
)
def test_what_it_lets_through(
    source: Place,
    target: Place,
    port: int,
    may: bool,
) -> None:
    assert NETWORK.allows(source, target, port) is may
