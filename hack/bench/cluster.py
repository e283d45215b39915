"""How long an Agent takes from apply to Ready in the current cluster, beside a bare Deployment.

The bare one is the worker's own Deployment with another command: the same image, probe and
limits, a Python that imports the agent and says it is ready. KUBECTL names the kubectl to use.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import manifests
from figures import Pair

NAMESPACE = "k8gentai-bench"
WORKER = "agent-bench"
BARE = "bare-bench"
BARE_LABELS = {"app": BARE}
WAIT_SECONDS = 300
_SERVES = """
import sys
sys.path.insert(0, sys.argv[1])
import parrot
from http.server import BaseHTTPRequestHandler, HTTPServer
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("", int(sys.argv[2])), Ready).serve_forever()
"""


class KubectlFailed(Exception):
    """kubectl could not do what it was told; the message is its own."""


def kubectl(*words: str, stdin: str = "") -> str:
    """What kubectl prints.

    Raises:
        KubectlFailed: it exits with an error, or there is no kubectl.
    """
    command = [*shlex.split(os.environ.get("KUBECTL", "kubectl")), *words]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise KubectlFailed(f"there is no {command[0]}") from error
    if done.returncode:
        raise KubectlFailed(f"{shlex.join(words)}: {done.stderr.strip()}")
    return done.stdout


def answers() -> bool:
    """Whether there is a cluster."""
    try:
        kubectl("get", "--raw", "/readyz", "--request-timeout=5s")
    except KubectlFailed:
        return False
    return True


def unavailable() -> str:
    """Why nothing can be measured: no cluster, or none with the operator; empty if it can."""
    if not answers():
        return "no cluster answers"
    try:
        kubectl("get", "crd", "agents.k8gentai.dev", "--request-timeout=5s")
    except KubectlFailed:
        return "the cluster has no k8gentai; `make deploy` puts it there"
    return ""


def apply_to_ready(rounds: int) -> list[Pair]:
    """Seconds from apply to Ready, in turns; a namespace of its own comes and goes.

    Raises:
        KubectlFailed: something did not become ready in time.
    """
    texts = manifests.texts()
    agent = texts.pop("agent.yaml")
    kubectl("create", "namespace", NAMESPACE)
    try:
        for text in texts.values():
            _apply(text)
        _wait("Ready", "stack/bench")
        seconds(agent, "Ready", "agent/bench")  # once for the image and the files' caches
        worker = json.loads(_in("get", "deployment", WORKER, "-o=json"))
        labels = worker["spec"]["selector"]["matchLabels"]
        bare = json.dumps(bare_deployment(worker))
        _gone("agent/bench", labels)
        return [_round(agent, labels, bare) for _ in range(rounds)]
    finally:
        kubectl("delete", "namespace", NAMESPACE, f"--timeout={WAIT_SECONDS}s")


def _round(agent: str, labels: Mapping[str, str], bare: str) -> Pair:
    plain = seconds(bare, "Available", f"deployment/{BARE}")
    _gone(f"deployment/{BARE}", BARE_LABELS)
    ours = seconds(agent, "Ready", "agent/bench")
    _gone("agent/bench", labels)
    return Pair(plain, ours)


def seconds(text: str, condition: str, what: str) -> float:
    """How long `what` takes from its apply until it has the condition."""
    begun = time.monotonic()
    _apply(text)
    _wait(condition, what)
    return time.monotonic() - begun


def bare_deployment(worker: Mapping[str, Any]) -> dict[str, Any]:
    """A Deployment like `worker`, without anything of the platform in it."""
    pod = worker["spec"]["template"]["spec"]
    container = next(each for each in pod["containers"] if each["name"] == "worker")
    mounts = [each for each in container["volumeMounts"] if each["name"] in ("source", "tmp")]
    source = next(each["mountPath"] for each in mounts if each["name"] == "source")
    port = str(container["ports"][0]["containerPort"])
    command = [container["command"][0], "-c", _SERVES, source, port]
    kept = {key: at for key, at in container.items() if key not in ("env", "envFrom")}
    labels = BARE_LABELS
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": BARE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": pod.get("securityContext", {}),
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {**kept, "command": command, "args": [], "volumeMounts": mounts}
                    ],
                    "volumes": [
                        each for each in pod["volumes"] if each["name"] in ("source", "tmp")
                    ],
                },
            },
        },
    }


def _in(*words: str, stdin: str = "") -> str:
    return kubectl("--namespace", NAMESPACE, *words, stdin=stdin)


def _apply(text: str) -> None:
    _in("apply", "--server-side", "-f", "-", stdin=text)


def _wait(condition: str, what: str) -> None:
    _in("wait", f"--for=condition={condition}", what, f"--timeout={WAIT_SECONDS}s")


def _gone(what: str, labels: Mapping[str, str]) -> None:
    """Delete it and wait until its pods are gone too, so that the next one starts alone."""
    _in("delete", what, f"--timeout={WAIT_SECONDS}s")
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    _in("wait", "--for=delete", "pod", "--selector", selector, f"--timeout={WAIT_SECONDS}s")
