"""The samples, as far as the operator goes: all of a folder becomes ready and may speak."""

import itertools
from pathlib import Path
from typing import Final

import pytest

from controller.local.manifests import read_manifests
from controller.tests.network import Place
from controller.tests.reconcile.scene import Scene, told
from controller.tests.reconcile.ways import SYSTEM, Running, component

SAMPLES = Path(__file__).parents[3] / "config" / "samples"
OVERLAYS = {"ollama"}  # kubectl's business
FOLDERS = sorted(path.parent.name for path in SAMPLES.glob("*/kustomization.yaml"))
NEEDED: Final = {
    ("worker", "messaging"): 4222,
    ("worker", "server"): 8321,
    ("tool-worker", "messaging"): 4222,
    ("server", "messaging"): 4222,
    ("dispatcher", "messaging"): 4222,
    ("messaging", "messaging"): 6222,
    ("operator", "messaging"): 4222,
    ("operator", "server"): 8321,
    ("trust", "messaging"): 4222,
    ("server", "model"): 8000,
}
OPEN_IN_SYSTEM: Final = {("server", "operator"), ("server", "trust"), ("server", "model")}
"""Each sample asks a Service of that namespace for its model, which opens the way to all of it."""
SAME_NAMESPACE: Final = {"http-tool": "tool-models"}
"""By sample, the Tool that asks a Service of its own namespace."""


MODEL = Place("model", "10.244.8.1", SYSTEM, {"app.kubernetes.io/name": "model"})


@pytest.mark.fault(36)
@pytest.mark.parametrize("folder", [one for one in FOLDERS if one not in OVERLAYS])
async def test_a_sample_becomes_ready_with_the_ways_it_needs(scene: Scene, folder: str) -> None:
    found = read_manifests(SAMPLES / folder)
    for name, data in found.config_maps.items():
        scene.cluster.config_maps[name.namespace, name.name] = dict(data)
    keys = [scene.cluster.put(body) for body in found.objects.values()]

    await scene.rest(*keys)

    assert {key: told(scene, key, "Ready")[:2] for key in keys} == dict.fromkeys(
        keys, ("True", "Ready")
    )
    check_ways(Running(scene), folder)


def check_ways(running: Running, folder: str) -> None:
    for source, target in itertools.product(running.ours, [*running.ours, MODEL]):
        found, pair = set(running.ports(source, target)), (component(source), component(target))
        needed = {NEEDED[pair]} if pair in NEEDED else set()
        assert found >= needed, (source.name, target.name)
        is_open = pair in OPEN_IN_SYSTEM or source.name == SAME_NAMESPACE.get(folder)
        assert is_open or target is MODEL or found == needed, (source.name, target.name)
