"""What the cluster of hack/cluster and the images of hack/images promise, seen from inside pods."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytestmark = pytest.mark.cluster

PREFIX = os.environ.get("K8GENTAI_IMAGE_PREFIX", "localhost/k8gentai")
TAG = os.environ.get("K8GENTAI_IMAGE_TAG", "dev")

SEALED = """
import importlib.metadata, os, pathlib, sys, {package}
assert os.getuid() == os.getgid() == 65532
assert importlib.metadata.packages_distributions()[{package!r}] == ["k8gentai"]
assert {package}.__cached__ and pathlib.Path({package}.__cached__).exists()
pathlib.Path("/tmp/written").write_text("")
for folder in ("/", "/venv", os.path.dirname({package}.__file__)):
    try:
        pathlib.Path(folder, "written").write_text("")
    except OSError:
        continue
    sys.exit(folder + " can be written")
"""

VERIFIED = """
import json, pathlib, ssl, urllib.request, jwt
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
bearer = {"Authorization": "Bearer " + (account / "token").read_text()}
def get(url):
    asked = urllib.request.Request(url, headers=bearer)
    return json.load(urllib.request.urlopen(asked, context=tls))
issuer = "https://kubernetes.default.svc.cluster.local"
keys = jwt.PyJWKSet.from_dict(get(get(issuer + "/.well-known/openid-configuration")["jwks_uri"]))
token = pathlib.Path("/run/identity/token").read_text()
key = keys[jwt.get_unverified_header(token)["kid"]]
print(jwt.decode(token, key.key, algorithms=["RS256"], audience="k8gentai", issuer=issuer)["sub"])
"""


def kubectl(*arguments: str, given: object = None) -> str:
    """What kubectl prints; its complaint becomes the error's."""
    done = subprocess.run(
        ["kubectl", *arguments],
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace that enforces the profile `restricted`."""
    name = f"pods-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": name, "labels": labels}
    kubectl(
        "create", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    )
    kubectl("wait", "--for=create", "--timeout=30s", "-n", name, "serviceaccount/default")
    yield name
    kubectl("delete", "namespace", name, "--timeout=60s")


def pod(image: str, command: list[str], **volumes: dict[str, Any]) -> dict[str, Any]:
    """A pod that mounts each volume at /run/NAME, and of its own may write to /tmp alone."""
    mounts = [{"name": name, "mountPath": f"/run/{name}"} for name in volumes]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{uuid4().hex[:8]}"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": f"{PREFIX}/{image}:{TAG}",
                    "imagePullPolicy": "Never",
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
                }
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                *({"name": name, **volume} for name, volume in volumes.items()),
            ],
        },
    }


def ran(namespace: str, body: dict[str, Any]) -> str:
    """What the pod has printed at its good end."""
    name = f"pod/{body['metadata']['name']}"
    kubectl("create", "-n", namespace, "-f", "-", given=body)
    ended = "jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    kubectl("wait", f"--for={ended}", "--timeout=60s", "-n", namespace, name)
    printed = kubectl("logs", "-n", namespace, name)
    assert kubectl("get", "-n", namespace, name, "-o", ended) == "Completed", printed
    return printed


@pytest.mark.parametrize(
    ("image", "package"),
    [
        ("operator", "controller"),
        ("server", "runtime"),
        ("server-ogx", "runtime"),
        ("runtime", "runtime"),
        ("worker-langgraph", "runtime"),
        ("worker-llama-stack", "runtime"),
        ("worker-crewai", "runtime"),
        ("worker-ag2", "runtime"),
        ("worker-beeai", "runtime"),
    ],
)
def test_an_image_runs_sealed(namespace: str, image: str, package: str) -> None:
    """Neither root nor able to write anywhere but /tmp; its code is ours, and compiled."""
    ran(namespace, pod(image, ["python", "-c", SEALED.format(package=package)]))


def test_the_operator_has_its_templates(namespace: str) -> None:
    script = "from controller.desired.render import TEMPLATES; print(*TEMPLATES.iterdir())"
    assert "/worker.yaml.j2" in ran(namespace, pod("operator", ["python", "-c", script]))


def test_nats_is_the_locked_server(namespace: str) -> None:
    """The image holds the server that embedded mode runs."""
    server = Path(sys.executable).with_name("nats-server")
    here = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    assert ran(namespace, pod("nats", ["nats-server", "--version"])) == here.stdout


def test_a_claim_keeps_what_a_pod_without_root_writes(namespace: str) -> None:
    """By the default class; the volume goes with its claim."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
    }
    kubectl("create", "-n", namespace, "-f", "-", given=claim)
    kept, word = {"persistentVolumeClaim": {"claimName": "kept"}}, uuid4().hex
    ran(namespace, pod("runtime", ["sh", "-c", f"echo {word} >/run/kept/word"], kept=kept))
    assert word in ran(namespace, pod("runtime", ["cat", "/run/kept/word"], kept=kept))

    volume = kubectl("get", "-n", namespace, "pvc/kept", "-o", "jsonpath={.spec.volumeName}")
    kubectl("delete", "-n", namespace, "pods", "--all", "--timeout=60s")
    kubectl("delete", "-n", namespace, "pvc/kept", "--timeout=60s")
    kubectl("wait", "--for=delete", "--timeout=30s", f"pv/{volume}")


def test_a_projected_token_verifies_by_discovery(namespace: str) -> None:
    """A workload finds the issuer by name, reads its keys as itself, and trusts the token."""
    token = {"path": "token", "audience": "k8gentai", "expirationSeconds": 600}
    identity = {"projected": {"sources": [{"serviceAccountToken": token}]}}
    printed = ran(namespace, pod("runtime", ["python", "-c", VERIFIED], identity=identity))
    assert printed.strip() == f"system:serviceaccount:{namespace}:default"


def test_a_service_reaches_other_pods_and_its_own(namespace: str) -> None:
    """By name, from a second pod and from the very pod behind it."""
    serve = ["python", "-m", "http.server", "8000", "--directory", "/tmp"]
    server = pod("runtime", serve)
    name = server["metadata"]["name"]
    server["metadata"]["labels"] = {"app": name}
    kubectl("create", "-n", namespace, "-f", "-", given=server)
    service = f"of-{name}"  # its own name a pod finds in /etc/hosts
    ports = ("--port=80", "--target-port=8000")
    kubectl("expose", "-n", namespace, f"pod/{name}", f"--name={service}", *ports)
    kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=30s")

    script = f"""
import time, urllib.request
for attempt in range(20):
    try:
        print(urllib.request.urlopen("http://{service}", timeout=1).status)
        break
    except OSError:
        time.sleep(0.5)
"""
    assert ran(namespace, pod("runtime", ["python", "-c", script])) == "200\n"
    assert kubectl("exec", "-n", namespace, name, "--", "python", "-c", script) == "200\n"


def test_a_root_pod_is_refused(namespace: str) -> None:
    body = pod("runtime", ["true"])
    body["spec"]["securityContext"]["runAsNonRoot"] = False
    with pytest.raises(RuntimeError, match="violates PodSecurity"):
        kubectl("create", "-n", namespace, "-f", "-", given=body)
