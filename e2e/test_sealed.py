"""Every pod of ours may run where the strictest profile is enforced, and holds no credential."""

import itertools
import json
from collections.abc import Iterator

import pytest

from e2e.conftest import RESTRICTED, Shared, Start
from e2e.kubectl import Body, Namespace, kubectl, run
from e2e.manifests import agent
from e2e.queue import SYSTEM

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

WORKLOADS = "deployments,statefulsets"
HERE = f"{RESTRICTED.rpartition('/')[0]}/warn=restricted"
SEALED = """
import os, pathlib
assert os.getuid() == os.getgid() == 65532
for folder in ("/", "/venv"):
    try:
        pathlib.Path(folder, "written").write_text("")
    except OSError:
        continue
    raise SystemExit(folder + " can be written")
assert not pathlib.Path("/var/run/secrets/kubernetes.io").exists()
print(*pathlib.Path("/var/run/secrets").iterdir())
"""


@pytest.fixture
def everywhere(namespace: Namespace, shared: Shared, started: Start) -> tuple[Namespace, ...]:
    """Namespaces with a pod of each sort in them."""
    started(namespace, agent("sealed", shared.stack, shared.add))
    return namespace, shared.namespace


def pod_of(workload: Body) -> Body:
    """A pod as the Deployment or StatefulSet would make it."""
    spec = workload["spec"]["template"]["spec"]
    claims = workload["spec"].get("volumeClaimTemplates", [])
    claimed = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
    volumes = [*spec.get("volumes", []), *claimed]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "like-"},
        "spec": spec | {"serviceAccountName": "default", "volumes": volumes},
    }


def pods_of(namespaces: tuple[Namespace, ...]) -> Iterator[Body]:
    for one in namespaces:
        yield from one.every("pods", "app.kubernetes.io/part-of=k8gentai")


@pytest.mark.fault(36)
def test_the_profile_restricted_lets_them_in_without_a_warning(
    everywhere: tuple[Namespace, ...],
) -> None:
    workloads = [*itertools.chain(*(one.every(WORKLOADS) for one in everywhere))]
    workloads += Namespace(SYSTEM).every(WORKLOADS)
    kubectl("label", "namespace", everywhere[0].name, HERE, "--overwrite")

    names = {one["metadata"]["name"].partition("-")[0] for one in workloads}
    assert {"server", "nats", "dispatcher", "agent", "tool", "k8gentai"} <= names
    for workload in workloads:
        command = ["-n", everywhere[0].name, "create", "--dry-run=server", "-f", "-"]
        done = run(*command, given=json.dumps(pod_of(workload)))
        assert (done.returncode, done.stderr) == (0, ""), workload["metadata"]["name"]


def test_they_run_as_nobody_and_write_nowhere(everywhere: tuple[Namespace, ...]) -> None:
    pods = list(pods_of(everywhere))

    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for namespace, what in (
        (everywhere[0], "deployment/agent-sealed"),
        (everywhere[1], "deployment/tool-add"),
        (everywhere[1], "deployment/server-shared"),
        (everywhere[1], "deployment/dispatcher-shared"),
    ):
        assert namespace.python(what, SEALED).strip() == "/var/run/secrets/k8gentai"


def test_their_only_token_is_for_our_own_audience(everywhere: tuple[Namespace, ...]) -> None:
    for pod in pods_of(everywhere):
        assert pod["spec"]["automountServiceAccountToken"] is False
        projected = [
            source["serviceAccountToken"]
            for volume in pod["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
        ]
        assert {token["audience"] for token in projected} <= {"k8gentai"}
        assert all(600 <= token["expirationSeconds"] <= 3600 for token in projected)
        assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume]
