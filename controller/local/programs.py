"""From a pod template to programs of this machine: pure, so that nothing is started to test it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.local.site import HOST, IMAGE_PREFIX
from controller.model import Image, Manifest

type SecretValue = Callable[[str, str], str | None]

DRAIN_SECONDS: Final = 14
"""How long a run may take to its end when its worker stops; then it is handed back."""
ANSWER_SECONDS: Final = 4
"""The same for a request at the API server, which stops behind the workers."""
HEALTH: Final = "K8GENTAI_HEALTH_PORT"
WORKER: Final = "worker"
OWN_PACKAGES: Final = (
    "give the module in a ConfigMap, and let PYTHONPATH name a folder that has what it imports "
    "(pip install --target)"
)
OURS: Final = frozenset({WORKER, "server", "dispatcher", "nats"})
"""Containers whose command is a program of ours: in somebody else's image it is not to be had."""


class CannotRun(Exception):
    """Embedded mode cannot run a container; the message says why and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Ready when a GET of this address is answered with success."""

    port: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One container as a local process.

    Shape:
        image   whose environment the command runs in; None for the caller's own.
        probe   None: ready as soon as it runs.

    Units:
        `grace_seconds` between being asked to stop and being killed.
    """

    name: str
    image: Image | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    probe: Probe | None
    grace_seconds: float


def programs(
    template: Manifest, pod: str, secret: SecretValue, health_port: Callable[[], int]
) -> tuple[Program, ...]:
    """The programs of one pod.

    Args:
        template: `spec.template` of a Deployment or StatefulSet.
        pod: its name, which `fieldRef: metadata.name` gives.
        secret: the value under (Secret, key) of the pod's namespace.
        health_port: a free port; every process here shares one address.

    Raises:
        CannotRun: a container has no command that could run here.
    """
    spec = template["spec"]
    grace = float(spec.get("terminationGracePeriodSeconds", 30))
    return tuple(
        _program(container, pod, secret, health_port, grace) for container in spec["containers"]
    )


def _program(
    container: Mapping[str, Any],
    pod: str,
    secret: SecretValue,
    health_port: Callable[[], int],
    grace: float,
) -> Program:
    name, image = container["name"], _image(container["image"])
    command = (*container.get("command", ()), *container.get("args", ()))
    if not command or (image is None and name in OURS):
        way_out = OWN_PACKAGES if name == WORKER else "give a command that runs on this machine"
        raise CannotRun(
            f"embedded mode runs no images ({container['image']}); {way_out}, or use a cluster"
        )
    environment = {entry["name"]: _value(entry, pod, secret) for entry in container.get("env", ())}
    if HEALTH in environment:
        environment[HEALTH] = str(health_port())
    return Program(
        name=name,
        image=image,
        command=command,
        environment=environment,
        probe=_probe(container, environment),
        grace_seconds=grace,
    )


def _image(reference: str) -> Image | None:
    if not reference.startswith(IMAGE_PREFIX):
        return None
    return Image(reference.removeprefix(IMAGE_PREFIX))


def _value(entry: Mapping[str, Any], pod: str, secret: SecretValue) -> str:
    source = entry.get("valueFrom")
    if source is None:
        return str(entry.get("value", ""))
    if "secretKeyRef" in source:
        ref = source["secretKeyRef"]
        value = secret(ref["name"], ref["key"])
        if value is None:
            raise CannotRun(f"there is no key {ref['key']} in a Secret {ref['name']}; add it")
        return value
    if source.get("fieldRef", {}).get("fieldPath") == "metadata.name":
        return pod
    raise CannotRun(f"embedded mode cannot give {entry['name']} its value from {[*source]}")


def _probe(container: Mapping[str, Any], environment: Mapping[str, str]) -> Probe | None:
    get = container.get("readinessProbe", {}).get("httpGet")
    if get is None:
        return None
    if get["port"] == "health" and HEALTH in environment:
        return Probe(port=int(environment[HEALTH]), path=get["path"])
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    return Probe(port=int(ports.get(get["port"], get["port"])), path=get["path"])


def drain_seconds(image: Image) -> int:
    """How long what is under way in a program may take once it is asked to stop."""
    return ANSWER_SECONDS if image is Image.SERVER else DRAIN_SECONDS


def import_path(root: str, environment: Mapping[str, str]) -> str:
    """`PYTHONPATH` of a program that runs users' code: ours at `root` before what they have."""
    return os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))


def overrides(termination_log: str, root: str) -> dict[str, str]:
    """What every program is told beside what its manifest says."""
    return {
        "K8GENTAI_HOST": HOST,
        "K8GENTAI_TERMINATION_LOG": termination_log,
        # The environments are ours and are kept: what is compiled once need not be again.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPATH": root,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
    }
