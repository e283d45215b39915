"""The ways that are open between the pods of a scene and those of the installation."""

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from controller.api.names import LABEL_COMPONENT
from controller.tests.network import Enforced, Place
from controller.tests.reconcile.scene import Scene

BASE: Final = Path(__file__).parents[3] / "config" / "base"
SYSTEM: Final = "k8gentai-system"
WORKLOADS: Final = ("Deployment", "StatefulSet")
PORTS: Final = (
    80,
    443,
    3000,
    4222,
    5432,
    5433,
    6222,
    6443,
    8000,
    8080,
    8081,
    8082,
    8222,
    8321,
    8443,
)


@cache
def base() -> tuple[dict[str, Any], ...]:
    """What is installed with the operator."""
    return tuple(body for file in BASE.glob("*.yaml") for body in _read(file))


def _read(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(file.read_text())


class Running:
    """The pods and the policies of a scene, and of the installation."""

    def __init__(self, scene: Scene) -> None:
        bodies = [*scene.cluster.owned.values(), *base()]
        policies = [body for body in bodies if body["kind"] == "NetworkPolicy"]
        self.network = Enforced(policies, scene.cluster.labels)
        workloads = [body for body in bodies if body["kind"] in WORKLOADS]
        self.ours = [_pod(body, f"10.244.0.{place}") for place, body in enumerate(workloads, 1)]

    def ways(self, sources: list[Place], targets: list[Place]) -> list[str]:
        """All that is open, one way a line: `source → target: its ports`."""
        return [
            f"{source.name} → {target.name}: {' '.join(map(str, ports))}"
            for source, target in itertools.product(sources, targets)
            if (ports := self.ports(source, target))
        ]

    def ports(self, source: Place, target: Place) -> list[int]:
        return [port for port in PORTS if self.network.allows(source, target, port)]


def _pod(workload: Mapping[str, Any], address: str) -> Place:
    metadata, template = workload["metadata"], workload["spec"]["template"]
    name = metadata["name"].removeprefix("k8gentai-")
    return Place(name, address, metadata["namespace"], template["metadata"]["labels"])


def component(place: Place) -> str:
    return place.labels.get(LABEL_COMPONENT, place.name)
