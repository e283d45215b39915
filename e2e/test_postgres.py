"""Two servers of one Stack on one PostgreSQL: no client sees which of them answers."""

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.asking import Asking
from e2e.kubectl import Body, Namespace
from e2e.manifests import agent, model, stack

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

IMAGE = "localhost/k8gentai/postgres:test"
# An image of this project that is there anyway, with Debian's PostgreSQL.
DOCKERFILE = """
FROM localhost/k8gentai/operator:dev
USER 0
RUN apt-get update -q && apt-get install -q -y --no-install-recommends postgresql \\
    && rm -rf /var/lib/apt/lists/*
USER 65532:65532
"""
RUN = """
export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
[ -e /data/db/PG_VERSION ] ||
  { initdb -D /data/db -U app --auth scram-sha-256 --encoding UTF8 --pwfile <(echo "$PASSWORD") &&
    echo "host all all all scram-sha-256" >>/data/db/pg_hba.conf; }
exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories= -c jit=off
"""
TIMES = 20


def database(password: str) -> list[Body]:
    """A Secret with its address, and what runs it; its data outlives its pod."""
    labels = {"app.kubernetes.io/name": "db"}
    container = {
        "name": "postgres",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bash", "-c", RUN],
        "env": [{"name": "PASSWORD", "value": password}],
        "ports": [{"name": "sql", "containerPort": 5432}],
        "readinessProbe": {"tcpSocket": {"port": "sql"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "db"}}],
    }
    url = f"postgresql://app:{password}@db:5432/postgres?sslmode=disable"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "db"},
            "stringData": {"url": url},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "db"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "256Mi"}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db"},
            "spec": {"selector": labels, "ports": [{"port": 5432, "targetPort": "sql"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "db"},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


@dataclass(frozen=True, slots=True)
class Home:
    """A Stack with a database, and an agent whose answers take a second."""

    namespace: Namespace
    asking: Asking
    password: str


@pytest.fixture(scope="module")
def home(module_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("postgres")
    (Path(folder) / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(["hack/images/own.sh", str(folder), IMAGE], check=True)
    password, own = secrets.token_hex(8), module_namespace
    storage = {"postgres": {"urlSecretRef": {"name": "db", "key": "url"}}}
    own.apply(
        *database(password),
        stack("kept", model("slow", "slow-1000"), server={"replicas": 2}, storage=storage),
        agent("slow", {"name": "kept"}, says="Answer."),
    )
    own.wait_ready("stack/kept", "agent/slow", seconds=240)
    with own.reached("stack-kept", 8321) as address:
        yield Home(own, Asking(f"http://{address}"), password)


def servers(home: Home) -> list[str]:
    """The pods of the servers."""
    found = home.namespace.every("pods", "app.kubernetes.io/component=server")
    return [f"pod/{pod['metadata']['name']}" for pod in found]


async def test_either_server_finds_what_the_other_has_made(home: Home) -> None:
    """Each request has a connection of its own, so that the Service chooses anew."""
    async with home.asking.openai() as client:
        talk = await client.conversations.create()
        file = await client.files.create(file=("a.txt", b"kept"), purpose="assistants")
    made = await home.asking.ask("slow", "first", conversation=talk.id)
    for _ in range(TIMES):
        async with home.asking.openai() as client:
            assert (await client.responses.retrieve(made.id)).output_text == made.output_text
            assert (await client.conversations.retrieve(talk.id)).id == talk.id
            assert (await client.files.content(file.id)).content == b"kept"

    assert len(servers(home)) == 2
    status = home.namespace.get("stack/kept")["status"]
    assert status["availableReplicas"] == 2


async def test_no_run_is_lost_with_a_server(home: Home) -> None:
    begun = [await home.asking.begin("slow", f"number {i}") for i in range(TIMES)]

    gone, *_ = servers(home)
    await asyncio.to_thread(home.namespace.kubectl, "delete", gone, "--now", "--wait=false")
    answers = await home.asking.all_ended(begun)

    assert [answer.status for answer in answers] == ["completed"] * TIMES
    assert all(f"number {i}" in answer.output_text for i, answer in enumerate(answers))
    await asyncio.to_thread(home.namespace.wait_ready, "stack/kept", seconds=120)


async def test_agents_answer_without_the_database_and_the_stack_says_so(home: Home) -> None:
    home.namespace.patch("deployment/db", {"replicas": 0})
    try:
        told = await asyncio.to_thread(
            home.namespace.wait_reason,
            "stack/kept",
            "Degraded",
            "DependencyNotReady",
            seconds=150,
        )
        answer = await home.asking.ask("slow", "still there?")
    finally:
        home.namespace.patch("deployment/db", {"replicas": 1})

    assert "the database postgres at db:5432 cannot be reached" in told["message"]
    assert "still there?" in answer.output_text


async def test_the_password_is_shown_nowhere(home: Home) -> None:
    """But in the Secret, and where the database itself is told."""
    kinds, but_for = "configmaps,stacks,pods", "app.kubernetes.io/name!=db"
    shown = home.namespace.kubectl("get", kinds, "-o=yaml", "--selector", but_for)
    for pod in servers(home):
        shown += home.namespace.kubectl("logs", pod)

    assert home.password not in shown
