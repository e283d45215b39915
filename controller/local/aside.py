"""The processes of embedded mode that belong to no object: the trust plane and the model."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.api.names import Component
from controller.clients.nkeys import (
    account_seed,
    public_key,
    public_xkey,
    user_seed,
    xkey_seed,
)
from controller.desired.trust import SIGNING_KEYS, TRUST_FILE, TRUST_NAME
from controller.local.environments import ROOT
from controller.local.site import HOST, EmbeddedSite
from controller.model import Image, Manifest, TrustKeys
from runtime.contract.value import ObjectName

STAND_IN: Final = ROOT / "hack" / "model" / "server.py"
SEEDS: Final = {"account.seed": account_seed, "user.seed": user_seed, "xkey.seed": xkey_seed}


def trust_keys(folder: Path) -> TrustKeys:
    """The public halves of the seeds in `folder`, which are made if they are not there."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, make in SEEDS.items():
        file = folder / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(make())
    account, user, xkey = ((folder / name).read_text() for name in SEEDS)
    return TrustKeys(public_key(account), public_key(user), public_xkey(xkey))


@dataclass(frozen=True, slots=True)
class FolderKeys:
    """The keys of the transaction token service in the folder of the seeds."""

    folder: Path

    async def read(self) -> str | None:
        """What is there."""
        file = self.folder / SIGNING_KEYS
        return await asyncio.to_thread(file.read_text) if file.exists() else None

    async def write(self, text: str) -> None:
        """Replace it as a whole; only its owner may read it."""
        await asyncio.to_thread(self._replace, text)

    def _replace(self, text: str) -> None:
        fresh = self.folder / f".{SIGNING_KEYS}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        fresh.replace(self.folder / SIGNING_KEYS)


def trust_plane(site: EmbeddedSite) -> Manifest:
    """The trust plane as a Deployment; its configuration is written when the Stacks are known."""
    folder = site.config_dir(ObjectName(namespace=site.namespace, name=TRUST_NAME))
    return _deployment(
        site.namespace,
        TRUST_NAME,
        Component.TRUST,
        image=site.image(Image.RUNTIME),
        command=["python", "-m", "runtime", "trust"],
        environment={"K8GENTAI_CONFIG": f"{folder}/{TRUST_FILE}", "K8GENTAI_HEALTH_PORT": "8081"},
        probe={"path": "/ready", "port": "health"},
    )


def stand_in_model(site: EmbeddedSite, port: int) -> Manifest:
    """The stand-in model as a Deployment."""
    return _deployment(
        site.namespace,
        "model",
        "model",
        image="",  # the environment of this very process has what it needs
        command=[sys.executable, str(STAND_IN), "--host", HOST, "--port", str(port)],
        environment={},
        probe={"path": "/health", "port": port},
    )


def _deployment(
    namespace: str,
    name: str,
    component: str,
    *,
    image: str,
    command: list[str],
    environment: Mapping[str, str],
    probe: Mapping[str, Any],
) -> Manifest:
    container = {
        "name": name,
        "image": image,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "readinessProbe": {"httpGet": probe},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name, "labels": {}},
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/component": component}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
            },
        },
    }
