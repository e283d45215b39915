"""What the roles in `config/base` permit is what is asked of Kubernetes: all of it, and no more."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import certifi
import jwt
import pytest
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration

from controller.__main__ import XKEY_SEED, SecretKeys, cluster_site
from controller.api.names import GROUP, PLURAL_BY_KIND, Kind
from controller.clients.kubernetes import KubernetesCluster
from controller.clients.kubernetes_json import PLURAL_BY_OBJECT
from controller.clients.signing_keys import signing_key
from controller.handlers import handlers
from controller.model import ClusterSite, Key, KubeEvent, Progress
from controller.reconcile import World, reconcile
from controller.reconcile.signing_keys import reconcile_signing_keys
from controller.settings import Settings
from controller.tests import samples
from controller.tests.fakes import FakeServers, FakeStreams
from controller.tests.kubernetes_api import Call, KubernetesApi
from controller.wake import Wakes
from runtime.processes.trust import CONFIG_MAP
from runtime.trust.sources import ConfigMapSource, Unreadable

BASE: Final = Path(__file__).parents[2] / "config" / "base"
SYSTEM: Final = "k8gentai-system"
ENVIRONMENT: Final = {
    "K8GENTAI_NAMESPACE": SYSTEM,
    "K8GENTAI_SERVICE_ACCOUNT": "k8gentai-operator",
    "K8GENTAI_IMAGE_PREFIX": "k8gentai",
    "K8GENTAI_IMAGE_TAG": "1",
    "K8GENTAI_SPIRE_JWKS_URL": "https://keys.spire.svc/keys",
}
NOW: Final = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Grant(NamedTuple):
    """One verb on one resource: in one namespace or in all (""), of one name or of any ("")."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


@cache
def roles() -> dict[tuple[str, str], dict[str, Any]]:
    """Every role that is installed, by kind and name."""
    files = [BASE / "operator_rbac.yaml", BASE / "trust_rbac.yaml"]
    bodies = [body for file in files for body in yaml.safe_load_all(file.read_text())]
    return {(body["kind"], body["metadata"]["name"]): body for body in bodies}


def grants(kind: str, name: str) -> Iterator[Grant]:
    role = roles()[kind, name]
    namespace = role["metadata"].get("namespace", "")
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for named in rule.get("resourceNames", [""]):
                        yield Grant(verb, group, resource, namespace, named)


def permits(grant: Grant, call: Call) -> bool:
    return (
        grant[:3] == call[:3]
        and grant.namespace in ("", call.namespace)
        and grant.name in ("", call.name)
    )


def kopf_calls() -> Iterator[Call]:
    """What kopf asks for the handlers that there are.

    Source:
        kopf documentation, "Deployment", "RBAC"; "Scopes": it looks for kinds that come and go.
    """

    async def step(key: Key, now: datetime) -> Progress:
        raise AssertionError(key, now)

    registry = handlers(Wakes(step, resync=60))
    watched = registry._watching.get_all_handlers()
    kept = registry._spawning.get_all_handlers()
    for handler in (*watched, *kept):
        group, resource = _resource(handler.selector)
        for verb in ("list", "watch"):
            yield Call(verb, group, resource, "", "")
        if handler in kept:
            yield Call("patch", group, resource, "", "")  # its finalizer
    for verb in ("list", "watch"):
        yield Call(verb, "apiextensions.k8s.io", "customresourcedefinitions", "", "")


def _resource(selector: Any) -> tuple[str, str]:
    named = str(selector.any_name)
    return str(selector.group), PLURAL_BY_OBJECT.get(named, named)


def body_of(given: dict[str, Any], **metadata: Any) -> tuple[str, dict[str, Any], str]:
    kind = Kind(given["kind"])
    return PLURAL_BY_KIND[kind], given | {"metadata": given["metadata"] | metadata}, GROUP


SECRET = {"metadata": {"namespace": "team", "name": "db"}, "data": {"url": "MQ==", "key": "Mg=="}}
MODEL = {
    "name": "large",
    "provider": "remote::openai",
    "model": "gpt-5",
    "apiKeySecretRef": {"name": "db", "key": "key"},
}
POSTGRES = {"postgres": {"urlSecretRef": {"name": "db", "key": "url"}}}
MODULE = {"module": {"entrypoint": "m:graph", "configMapRef": {"name": "code"}}}
GUESTS: dict[str, Any] = {"allowedNamespaces": {"from": "All"}, "models": [MODEL]}
FIRST = (
    samples.stack(**GUESTS),
    samples.tool(),
    samples.agent(
        namespace="guest", stackRef={"name": "default", "namespace": "team"}, source=MODULE
    ),
    samples.policy(
        targetRefs=[{"kind": "Stack", "name": "default"}], workloadIdentity={"provider": "SPIRE"}
    ),
)
MOVED = samples.stack(
    storage=POSTGRES, messaging={"external": {"url": "nats://nats.example"}}, **GUESTS
)
CODE = {"data": {"m.py": "graph = ..."}}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> frozenset[Call]:
    """All that the operator asks, from its start over every kind of object to the end of each."""
    return asyncio.run(_asked(tmp_path_factory.mktemp("operator")))


async def _asked(folder: Path) -> frozenset[Call]:
    token = folder / "token"
    token.write_text(jwt.encode({"iss": "https://issuer", "exp": 2e9}, "k" * 32, "HS256"))
    async with (
        KubernetesApi().serving() as api,
        ApiClient(Configuration(host=api.url)) as client,
    ):
        cluster = KubernetesCluster(client)
        await cluster.knows_our_kinds()
        settings = Settings.of(ENVIRONMENT | {"K8GENTAI_TOKEN_FILE": str(token)})
        await cluster_site(settings, cluster)
        (seeds,) = api.objects.values()
        del seeds["data"][XKEY_SEED]  # as an older version left it
        site = await cluster_site(settings, cluster)
        keys = SecretKeys(cluster, SYSTEM)
        for later in (0, 40 * 86400):
            await reconcile_signing_keys(keys, signing_key, time.time() + later)
        world = World(
            cluster=cluster,
            streams=FakeStreams(),
            servers=FakeServers(),
            site=site,
            version="0.1.0",
        )
        await _live(world, site, api)
        for _ in range(2):
            about = Key(Kind.STACK, "team", "default")
            event = KubeEvent(about=about, uid="u", type="Normal", reason="Ready", message="m")
            await cluster.emit(event)
        return frozenset(api.calls)


async def _live(world: World, site: ClusterSite, api: KubernetesApi) -> None:
    api.put("namespaces", {"metadata": {"name": "guest", "labels": {}}})
    api.put("secrets", SECRET)
    for namespace, name in (("team", "arithmetic"), ("guest", "code")):
        api.put("configmaps", {"metadata": {"namespace": namespace, "name": name}, **CODE})
    keys = []
    for given in FIRST:
        api.put(*body_of(given))
        meta = given["metadata"]
        keys.append(Key(Kind(given["kind"]), meta["namespace"], meta["name"]))
    await rest(world, api, keys, NOW)
    api.put(*body_of(MOVED, generation=2))
    world.site = replace(site, network=None)
    await rest(world, api, keys, NOW)
    for given in (MOVED, *FIRST[1:]):
        deleted = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
        api.put(*body_of(given, deletionTimestamp=deleted, generation=3))
    await rest(world, api, keys, NOW + timedelta(days=1))


async def rest(world: World, api: KubernetesApi, keys: list[Key], now: datetime) -> None:
    """Reconcile until nothing changes any more; what has no finalizer goes."""
    for _ in range(10):
        before = str(api.objects)
        for key in keys:
            if (await reconcile(key, world, now)).finished:
                api.remove(PLURAL_BY_KIND[key.kind], key.namespace, key.name, GROUP)
        if before == str(api.objects):
            return
    raise AssertionError("it does not come to rest")


def test_the_operator_may_do_all_that_it_does(asked: frozenset[Call]) -> None:
    granted = [*grants("ClusterRole", "k8gentai-operator"), *grants("Role", "k8gentai-operator")]

    missing = {
        call
        for call in (*asked, *kopf_calls())
        if not any(permits(grant, call) for grant in granted)
    }

    let = set(grants("ClusterRole", "k8gentai-secrets"))
    assert {Grant(*call[:3], "", "") for call in missing} == let


def test_the_operator_may_do_no_more(asked: frozenset[Call]) -> None:
    calls = (*asked, *kopf_calls())

    idle = {
        grant
        for kind in ("ClusterRole", "Role")
        for grant in grants(kind, "k8gentai-operator")
        if not any(permits(grant, call) for call in calls)
    }

    assert idle == set()


def test_nobody_may_read_secrets_everywhere() -> None:
    bound = {
        body["roleRef"]["name"] for body in roles().values() if body["kind"] == "ClusterRoleBinding"
    }

    assert "k8gentai-secrets" not in bound
    for name in bound & {name for kind, name in roles() if kind == "ClusterRole"}:
        assert not [one for one in grants("ClusterRole", name) if one.resource == "secrets"]
    for grant in grants("Role", "k8gentai-operator"):
        assert grant.namespace == SYSTEM
        assert grant.verb == "create" or grant.name == "k8gentai-trust-keys"


async def test_the_trust_plane_may_read_what_it_is_told_and_no_more(
    tmp_path: Path,
) -> None:
    deployment = next(yaml.safe_load_all((BASE / "trust.yaml").read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    namespace, name, key = environment["K8GENTAI_CONFIG"].removeprefix(CONFIG_MAP).split("/")
    (tmp_path / "ca.crt").write_text(certifi.contents())
    (tmp_path / "token").write_text("token")
    async with KubernetesApi().serving() as api:
        source = ConfigMapSource(namespace, name, key, api=api.url, account=tmp_path)
        with pytest.raises(Unreadable):
            await source.read()

    assert {Grant(*call) for call in api.calls} == set(grants("Role", "k8gentai-trust"))
