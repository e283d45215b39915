import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.api.conditions import ReadyReason
from controller.api.identity_policy import IdentityProvider
from controller.api.stack import Stack
from controller.desired.agent import desired_agent
from controller.desired.availability import Availability
from controller.desired.claims import claim_of
from controller.desired.identity import queue_url
from controller.desired.stack import desired_stack
from controller.desired.tool import desired_tool
from controller.desired.trust import trust_config, trust_config_map
from controller.model import Desired, Health, IdentityRule, KvEntry, Manifest, Site, Spire, Stage
from controller.tests.desired.golden_files import check
from controller.tests.desired.views import agent_view, an_agent, the_stack, the_tool, tool_view
from controller.tests.fakes import SITE
from runtime.contract.agent_config import AgentConfig, Module, Origin

CONFIG = Path(__file__).parents[3] / "config"
SPIRE = dataclasses.replace(
    SITE, spire=Spire(trust_domain="example.org", jwks_url="https://spire", class_name="k8gentai")
)
BY_SVID = IdentityRule(provider=IdentityProvider.SPIRE, trust_domain="example.org", jwt_seconds=300)
READY = Availability(is_ready=True, reason="Ready", message="1 of 1 worker ready")
WELL = Health(ReadyReason.READY, "1 of 1 worker ready")
MODULE = {"module": {"entrypoint": "math_agent:graph", "configMapRef": {"name": "math-agent"}}}
MCP = {
    "python": None,
    "mcp": {"workload": {"image": "example/mcp:1", "command": ["serve"], "port": 9000}},
}
HTTP = {
    "python": None,
    "http": {
        "openapi": {"configMapRef": {"name": "weather", "key": "api.json"}},
        "operations": ["getWeather"],
        "baseUrl": "http://weather:8080/v1",
    },
}
KEYED = {
    "name": "large",
    "provider": "remote::openai",
    "model": "gpt-5",
    "apiKeySecretRef": {"name": "keys", "key": "token"},
}
VECTORS = {
    "name": "vectors",
    "provider": "remote::vllm",
    "model": "nomic-embed-text",
    "baseUrl": "http://vllm:8000/v1",
    "embedding": {"dimensions": 768},
}
POSTGRES = {
    "urlSecretRef": {"name": "db", "key": "url"},
    "caSecretRef": {"name": "db", "key": "ca.crt"},
}


def agent_of(stack: Stack | None = None, site: Site = SITE, **spec: Any) -> Desired:
    view = agent_view(tools=(the_tool(),), agents=(an_agent(description="Makes verses."),), **spec)
    return desired_agent(view, stack or the_stack(), site, stage=Stage.STAYING, availability=READY)


def tool_of(**spec: Any) -> Desired:
    return tool_in(the_stack(), **spec)


def tool_in(stack: Stack, **spec: Any) -> Desired:
    view = tool_view(the_tool(**spec))
    return desired_tool(view, stack, SITE, stage=Stage.STAYING, health=WELL)


AUTH = {
    "issuer": "https://keycloak.example/realms/agents",
    "caBundle": "-----BEGIN CERTIFICATE-----\n",
}
ONE_NATS = {"managed": {"replicas": 1, "storage": "1Gi", "syncInterval": "2m"}}
SAMPLES = {
    "agent": agent_of(),
    "agent-module": agent_of(
        source=MODULE,
        description="Does sums.",
        replicas=2,
        facts={"source": {"math_agent.py": "graph = ..."}},
        approval={"required": True, "timeoutSeconds": 60},
    ),
    "agent-auth": agent_of(the_stack(auth=AUTH)),
    "agent-spire": agent_of(site=SPIRE, facts={"identity": BY_SVID}),
    "tool": tool_of(),
    "tool-auth": tool_in(the_stack(auth=AUTH)),
    "tool-mcp": tool_of(**MCP),
    "tool-http": tool_of(**HTTP),
    "stack": desired_stack(the_stack(messaging=ONE_NATS), SITE),
    "stack-auth": desired_stack(the_stack(messaging=ONE_NATS, auth=AUTH), SITE),
    "stack-spire": desired_stack(the_stack(messaging=ONE_NATS), SPIRE, rule=BY_SVID),
    "stack-ogx": desired_stack(the_stack(server={"flavour": "OGX"}, models=[KEYED, VECTORS]), SITE),
    "stack-three": desired_stack(the_stack(models=[KEYED, VECTORS]), SITE),
    "stack-postgres": desired_stack(
        the_stack(
            server={"replicas": 2},
            models=[KEYED, VECTORS],
            messaging=ONE_NATS,
            storage={"postgres": POSTGRES},
        ),
        SITE,
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_spec_always_implies_the_same(name: str) -> None:
    desired = SAMPLES[name]
    queue = [
        _shown(thing)
        for thing in (*desired.streams, *desired.buckets, *desired.consumers, *desired.entries)
    ]

    check(name, [*(child.manifest for child in desired.children), *queue])


def _shown(thing: Any) -> dict[str, Any]:
    fields = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    if isinstance(thing, KvEntry):
        fields["value"] = thing.value.decode()
    shown = {
        name: value if isinstance(value, int) else str(value) for name, value in fields.items()
    }
    return {type(thing).__name__: shown}


def test_what_the_trust_plane_reads() -> None:
    claims = tuple(
        claim_of(stack.metadata, queue_url(stack, SITE), SITE)
        for stack in (the_stack(name="second"), the_stack())
    )

    check("trust", [trust_config_map(trust_config(claims, {}, SITE), SITE).manifest])


def pods() -> Iterator[tuple[str, Manifest]]:
    for name, desired in SAMPLES.items():
        for child in desired.children:
            if child.ref.kind in ("Deployment", "StatefulSet"):
                yield f"{name}: {child.ref.name}", child.manifest["spec"]["template"]["spec"]


def installed() -> Iterator[tuple[str, Manifest]]:
    for file in ("base/operator.yaml", "base/trust.yaml"):
        for body in yaml.safe_load_all((CONFIG / file).read_text()):
            if body["kind"] == "Deployment":
                yield body["metadata"]["name"], body["spec"]["template"]["spec"]


EVERY = [*pods(), *installed()]


@pytest.mark.fault(36)
@pytest.mark.parametrize("pod", [pod for _, pod in EVERY], ids=[name for name, _ in EVERY])
def test_every_pod_keeps_to_the_restricted_profile(pod: Manifest) -> None:
    """Source: Kubernetes documentation, "Pod Security Standards", Restricted."""
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"configMap", "projected", "emptyDir", "persistentVolumeClaim", "secret", "csi"}
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= allowed
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPort" in port for port in container["ports"])
        assert not {"privileged", "procMount", "seLinuxOptions"} & security.keys()
    assert not pod.keys() & {"initContainers", "ephemeralContainers"}


@pytest.mark.fault(36)
def test_only_the_trust_plane_is_given_a_secret_and_few_may_speak_to_kubernetes() -> None:
    """The server of a Stack with users fetches there the keys of workloads' tokens."""
    given = [name for name, pod in EVERY for one in pod["volumes"] if "secret" in one]
    speaking = [name for name, pod in EVERY if pod.get("automountServiceAccountToken", True)]

    assert given == ["k8gentai-trust"]
    assert speaking == ["stack-auth: server-default", "k8gentai-operator", "k8gentai-trust"]


@pytest.mark.fault(36)
def test_the_key_of_a_model_is_told_to_the_server_alone() -> None:
    told = {
        name.partition(": ")[2]
        for name, pod in EVERY
        for container in pod["containers"]
        for one in container.get("env", ())
        if "secretKeyRef" in one.get("valueFrom", {})
    }

    assert told == {"server-default"}


def test_an_agent_with_svids_has_one_token_which_it_shows_its_server() -> None:
    facts = {"identity": BY_SVID}
    desired = agent_of(the_stack(auth=AUTH), SPIRE, facts=facts)
    by_kind = {child.ref.kind: child.manifest for child in desired.children}
    pod = by_kind["Deployment"]["spec"]["template"]["spec"]
    config = AgentConfig.decode(by_kind["ConfigMap"]["data"]["agent.json"])

    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes["identity"]["csi"]["driver"] == "csi.spiffe.io"
    (source,) = volumes["server-token"]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == AUDIENCES["server-token"]
    mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert config.model.token_file == f"{mounts['server-token']}/server-token"
    assert config.tokens is not None
    assert config.tokens.token_file is None
    assert config.tokens.workload_api is not None
    assert config.tokens.workload_api.audience == AUDIENCES["assertion"]
    assert config.tokens.workload_api.socket == f"{mounts['identity']}/spire-agent.sock"


AUDIENCES = {
    "token": "k8gentai",
    "server-token": "k8gentai-server",
    "assertion": "k8gentai-tokens",
}


@pytest.mark.fault(36)
@pytest.mark.parametrize(("name", "pod"), [*pods()], ids=[name for name, _ in pods()])
def test_no_pod_of_ours_can_write_its_image_or_speak_to_kubernetes(
    name: str, pod: Manifest
) -> None:
    """But for one that fetches the keys with which workloads' tokens are signed."""
    assert pod["automountServiceAccountToken"] is (name == "stack-auth: server-default")
    for container in pod["containers"]:
        is_ours = container["name"] != "mcp"
        assert container["securityContext"].get("readOnlyRootFilesystem", False) is is_ours
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            token = source["serviceAccountToken"]
            assert token["audience"] == AUDIENCES[token["path"]]
            assert token["path"] == "token" or "-auth: " in name
            assert 600 <= token["expirationSeconds"] <= 3600


def test_a_user_has_the_last_word_on_the_pod() -> None:
    template = {
        "metadata": {"labels": {"team": "sums", "app.kubernetes.io/name": "stolen"}},
        "spec": {
            "priorityClassName": "high",
            "containers": [
                {
                    "name": "worker",
                    "env": [{"name": "DEBUG", "value": "1"}],
                    "resources": {"requests": {"cpu": "2"}},
                },
                {"name": "proxy", "image": "example/proxy:1"},
            ],
        },
    }

    desired = agent_of(podTemplate=template)

    pod = desired.children[-1].manifest["spec"]["template"]
    worker, proxy = pod["spec"]["containers"]
    assert pod["spec"]["priorityClassName"] == "high"
    assert [one["name"] for one in worker["env"]][-1] == "DEBUG"
    assert worker["resources"]["requests"] == {"cpu": "2", "memory": "96Mi"}
    assert proxy["image"] == "example/proxy:1"
    assert pod["metadata"]["labels"]["team"] == "sums"
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "agent"
    assert desired.revision != agent_of().revision


REVISED = [
    pytest.param({"description": "Other."}, id="description"),
    pytest.param({"source": {"declarative": {"instructions": "Other."}}}, id="instructions"),
    pytest.param({"execution": {"concurrency": 8}}, id="execution"),
    pytest.param({"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}}, id="podTemplate"),
]


@pytest.mark.parametrize("spec", REVISED)
def test_whatever_a_worker_is_configured_with_is_in_its_revision(spec: dict[str, Any]) -> None:
    assert agent_of(**spec).revision != agent_of().revision


def test_how_many_there_are_is_not_in_the_revision() -> None:
    assert agent_of(replicas=7).revision == agent_of().revision


def in_image(**image: str) -> dict[str, Any]:
    return {"module": {"entrypoint": "m:graph", **image}}


def test_users_code_runs_in_the_users_image() -> None:
    pod = agent_of(source=in_image(image="example/agent:1")).children[-1]

    container = pod.manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/agent:1"


def module_of(**spec: Any) -> Module:
    config = AgentConfig.decode(agent_of(**spec).children[1].manifest["data"]["agent.json"])
    assert config.module is not None
    return config.module


def code_of(**spec: Any) -> str | None:
    return module_of(**spec).revision


def test_the_worker_is_told_where_its_code_comes_from() -> None:
    assert module_of(source=MODULE, facts={"source": {}}).origin is Origin.CONFIG_MAP
    assert module_of(source=in_image(image="example/agent:1")).origin is Origin.IMAGE
    assert module_of(source=in_image()).origin is Origin.WORKER


def test_other_code_has_another_revision() -> None:
    one, same, other = (
        code_of(source=MODULE, facts={"source": {"math_agent.py": text}})
        for text in ("graph = 1", "graph = 1", "graph = 2")
    )

    assert one == same != other
    assert code_of(source=in_image(image="example/agent:1")) == "example/agent:1"
    assert code_of(source=in_image()) == "localhost/k8gentai/worker-langgraph:dev"


def test_text_of_users_is_never_yaml() -> None:
    """Whatever instructions hold, they arrive as they were written."""
    nasty = 'a: "b" # {{ c }}\n- \\U0001f600 😀 \x85\u2028 ${env.HOME} \'; &x *x !!python/object:x'
    view = agent_view(source={"declarative": {"instructions": nasty}})
    desired = desired_agent(view, the_stack(), SITE, stage=Stage.STAYING, availability=READY)
    config = desired.children[1].manifest["data"]["agent.json"]

    declarative = AgentConfig.decode(config).declarative
    assert declarative is not None
    assert declarative.instructions == nasty
