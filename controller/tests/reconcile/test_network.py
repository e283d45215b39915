"""Who may speak with whom, once all that was applied runs: every needed way is open, no other."""

import asyncio
import itertools
from dataclasses import replace
from typing import Any, Final

import pytest

from controller.model import Network
from controller.tests import samples
from controller.tests.fakes import SITE
from controller.tests.network import Place
from controller.tests.reconcile.scene import Scene, is_true
from controller.tests.reconcile.ways import PORTS, SYSTEM, Running

CLUSTER: Final = ("10.244.0.0/16", "172.18.0.0/16")
INTERNET = Place("internet", "93.184.215.14")
METADATA = Place("metadata", "169.254.169.254")
KUBERNETES = Place("kubernetes", "172.18.0.2")
NODE = Place("node", "172.18.0.3")


LARGE = {
    "name": "large",
    "provider": "remote::openai",
    "model": "gpt-5",
    "apiKeySecretRef": {"name": "keys", "key": "token"},
}
LOCAL = {
    "name": "small",
    "provider": "remote::vllm",
    "model": "qwen3",
    "baseUrl": "http://vllm.models.svc:8000/v1",
}
AUTH = {"issuer": "https://keycloak.identity.svc/realms/agents"}
DATABASE = {"urlSecretRef": {"name": "db", "key": "url"}}
GUESTS = {"from": "Selector", "selector": {"matchLabels": {"guests": "of-team"}}}
WEATHER = {"openapi": {"url": "https://api.example.com/openapi.json"}}
LABELS = {"guest": {"guests": "of-team"}}
VLLM = Place("vllm", "10.244.9.1", "models", {"app": "vllm"})
SEARCH = Place("search", "10.244.9.2", "search", {"app": "search"})
KEYCLOAK = Place("keycloak", "10.244.9.3", "identity", {"app": "keycloak"})
POSTGRES = Place("postgres", "10.244.9.4", "databases", {"app": "postgres"})
STRANGER = Place("stranger", "10.244.9.5", "team", {"app": "stranger"})
FORGER = Place(
    "forger",
    "10.244.9.6",
    "identity",
    {"k8gentai.dev/stack": "default", "k8gentai.dev/stack-namespace": "team"},
)
OUTSIDE = [VLLM, SEARCH, KEYCLOAK, POSTGRES, INTERNET, METADATA, KUBERNETES]

EVERY = " ".join(map(str, PORTS))
WAYS_OUT = f"""
nats-default → nats-default: 6222
server-default → nats-default: 4222
server-default → trust: 8082
server-default → vllm: {EVERY}
server-default → search: 443 5432 6443 8443
server-default → keycloak: {EVERY}
server-default → postgres: 443 5432 6443 8443
server-default → internet: 443 5432 6443 8443
server-default → kubernetes: 443 6443 8443
dispatcher-default → nats-default: 4222
tool-add → nats-default: 4222
tool-add → trust: 8082
tool-weather → nats-default: 4222
tool-weather → trust: 8082
tool-weather → internet: 443
tool-search → nats-default: 4222
tool-search → trust: 8082
tool-search → search: {EVERY}
agent-math → nats-default: 4222
agent-math → server-default: 8321
agent-math → trust: 8082
agent-poet → nats-default: 4222
agent-poet → server-default: 8321
agent-poet → trust: 8082
nats-second → nats-second: 6222
server-second → nats-second: 4222
server-second → vllm: {EVERY}
dispatcher-second → nats-second: 4222
agent-solo → nats-second: 4222
agent-solo → server-second: 8321
"""
"""Nobody reaches `metadata`, no worker `kubernetes`, no Agent another one, a Tool or `keycloak`."""

WAYS_OUT_OF_SYSTEM = """
operator → nats-default: 4222
operator → server-default: 8321
operator → nats-second: 4222
operator → server-second: 8321
operator → keycloak: 443 4222 6443 8443
operator → kubernetes: 443 4222 6443 8443
trust → nats-default: 4222
trust → nats-second: 4222
trust → keycloak: 443 4222 6443 8443
trust → kubernetes: 443 4222 6443 8443
"""

WAYS_IN = """
nats-default: 8222
server-default: 8081 8321
dispatcher-default: 8081
tool-add: 8081
tool-weather: 8081
tool-search: 8081
agent-math: 8081
agent-poet: 8081
nats-second: 8222
server-second: 8081 8321
dispatcher-second: 8081
agent-solo: 8081
operator: 8080 8081
trust: 8081 8082
"""
"""What is open to everybody in the cluster, since the kubelet may come from any address."""


@pytest.fixture(scope="module")
def running() -> Running:
    """Two Stacks, one of which takes an Agent of another namespace."""
    return asyncio.run(_running(Scene()))


async def _running(scene: Scene) -> Running:
    cluster, scene.world.site = scene.cluster, replace(SITE, network=Network(CLUSTER))
    cluster.config_maps["team", "arithmetic"] = {"arithmetic.py": "def add(a, b): ..."}
    cluster.secrets["team", "keys"] = {"token": "1"}
    cluster.secrets["team", "db"] = {"url": "2"}
    cluster.labels |= LABELS
    store: dict[str, Any] = {"storage": {"postgres": DATABASE}, "allowedNamespaces": GUESTS}
    abroad = {"stackRef": {"name": "default", "namespace": "team"}}
    bodies = (
        samples.stack(models=[LARGE, LOCAL], auth=AUTH, **store),
        samples.tool(),
        samples.tool("weather", python=None, http=WEATHER),
        samples.tool("search", python=None, mcp={"url": "http://mcp.search.svc:3000/mcp"}),
        samples.agent(tools=[{"toolRef": {"name": one}} for one in ("add", "weather", "search")]),
        samples.agent("poet", "guest", **abroad),
        samples.stack("second", "foreign", models=[LOCAL]),
        samples.agent("solo", "foreign", stackRef={"name": "second"}),
    )
    keys = [cluster.put(body) for body in bodies]
    await scene.rest(*keys)
    assert all(is_true(scene, key, "Programmed") for key in keys)
    return Running(scene)


@pytest.mark.fault(36)
def test_what_the_workloads_of_stacks_reach(running: Running) -> None:
    sources = [one for one in running.ours if one.namespace != SYSTEM]

    assert running.ways(sources, [*running.ours, *OUTSIDE]) == WAYS_OUT.split("\n")[1:-1]


def test_what_the_operator_and_the_trust_plane_reach(running: Running) -> None:
    sources = [one for one in running.ours if one.namespace == SYSTEM]

    ways = running.ways(sources, [*running.ours, KEYCLOAK, METADATA, KUBERNETES])

    assert ways == WAYS_OUT_OF_SYSTEM.split("\n")[1:-1]


@pytest.mark.parametrize("source", [STRANGER, FORGER, NODE], ids=lambda one: str(one.name))
def test_what_others_reach(running: Running, source: Place) -> None:
    ways = [f"{source.name} → {one}" for one in WAYS_IN.split("\n")[1:-1]]

    assert running.ways([source], running.ours) == ways


def test_everybody_may_ask_for_names(running: Running) -> None:
    dns = Place("dns", "10.244.9.53", "kube-system", {"k8s-app": "kube-dns"})
    nodes_own = Place("dns of a node", "169.254.20.10")

    for source, target in itertools.product(running.ours, (dns, nodes_own)):
        for protocol in ("UDP", "TCP"):
            assert running.network.allows(source, target, 53, protocol), source.name
        assert not running.network.allows(source, target, 54), source.name


async def test_what_is_of_the_cluster_is_outside_unless_it_is_told(scene: Scene) -> None:
    """No address says where it is: a host outside is then every pod, on its port."""
    scene.cluster.put(samples.stack())
    key = scene.cluster.put(samples.tool("weather", python=None, http=WEATHER))
    await scene.rest(*scene.cluster.objects)
    assert is_true(scene, key, "Programmed")

    running = Running(scene)

    (tool,) = (one for one in running.ours if one.name == "tool-weather")
    assert running.ports(tool, KEYCLOAK) == [443]
    assert running.ports(tool, METADATA) == []


async def test_an_operator_that_is_to_make_none_takes_away_what_it_made(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())
    await scene.rest(stack)
    assert policies(scene) == {"nats-default", "server-default", "dispatcher-default"}

    scene.world.site = replace(SITE, network=None)
    await scene.rest(stack)

    assert policies(scene) == set()
    assert is_true(scene, stack, "Ready")


def policies(scene: Scene) -> set[str]:
    return {ref.name for ref in scene.cluster.owned if ref.kind == "NetworkPolicy"}
