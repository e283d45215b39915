"""The samples, as far as the operator goes: all that a folder says becomes ready."""

from pathlib import Path

import pytest

from controller.local.manifests import read_manifests
from controller.tests.reconcile.scene import Scene, told

SAMPLES = Path(__file__).parents[3] / "config" / "samples"
OVERLAYS = {"ollama"}  # kubectl's business
FOLDERS = sorted(path.parent.name for path in SAMPLES.glob("*/kustomization.yaml"))


@pytest.mark.parametrize("folder", [one for one in FOLDERS if one not in OVERLAYS])
async def test_a_sample_becomes_ready(scene: Scene, folder: str) -> None:
    found = read_manifests(SAMPLES / folder)
    for name, data in found.config_maps.items():
        scene.cluster.config_maps[name.namespace, name.name] = dict(data)
    keys = [scene.cluster.put(body) for body in found.objects.values()]

    await scene.rest(*keys)

    assert {key: told(scene, key, "Ready")[:2] for key in keys} == dict.fromkeys(
        keys, ("True", "Ready")
    )
