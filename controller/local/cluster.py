"""The `Cluster` port over a folder of YAML: objects are files, children are local processes."""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from controller.api.names import (
    FINALIZER,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    LABEL_OWNER_NAMESPACE,
    Kind,
)
from controller.local.environments import Environments
from controller.local.issuer import LocalIssuer
from controller.local.manifests import Manifests
from controller.local.site import EmbeddedSite
from controller.local.stopping import Turn
from controller.local.workloads import Workload
from controller.model import Child, ChildRef, Key, KubeEvent, Manifest, Pod
from runtime.contract.auth_config import SERVER_AUDIENCE
from runtime.contract.txn_token import ASSERTION_AUDIENCE
from runtime.contract.value import ObjectName

log = logging.getLogger(__name__)

WORKLOAD_KINDS: Final = frozenset({"Deployment", "StatefulSet"})
TOKEN_SECONDS: Final = 3600.0

type OnChange = Callable[[Manifest], None]
type OnReport = Callable[[Key, Manifest], None]


class LocalCluster:
    """Objects as the folder has them, statuses in memory, workloads as processes."""

    def __init__(
        self,
        site: EmbeddedSite,
        environments: Environments,
        issuer: LocalIssuer,
        *,
        on_change: OnChange,
        on_report: OnReport,
    ) -> None:
        self._site = site
        self._environments = environments
        self._issuer = issuer
        self._on_change = on_change
        self._on_report = on_report
        self._objects: dict[Key, Manifest] = {}
        self._generations: dict[Key, int] = {}
        self._manifests: Manifests | None = None
        self._left_config_maps: dict[ObjectName, Mapping[str, str]] = {}
        self._children: dict[ChildRef, Manifest] = {}
        self._workloads: dict[ChildRef, Workload] = {}
        self._statuses: dict[Key, Manifest] = {}
        self._going: dict[asyncio.Task[None], Workload] = {}
        self._pepper = secrets.token_bytes()

    # What the folder says

    def take(self, manifests: Manifests) -> Mapping[Key, Manifest]:
        """Be as the folder says; gives every object there is, those on their way out included."""
        if self._manifests is not None:
            self._left_config_maps |= self._manifests.config_maps
        before, self._manifests = self._objects, manifests
        self._objects = {
            key: self._with_generation(key, body, before.get(key))
            for key, body in manifests.objects.items()
        }
        for key in before.keys() - self._objects.keys():
            self._objects[key] = _deleted(before[key])
        for name, data in manifests.config_maps.items():
            write_folder(Path(self._site.source_dir(name)), data)
        return dict(self._objects)

    def forget(self, key: Key) -> None:
        """Nothing of a deleted object is left; it is gone."""
        self._objects.pop(key, None)
        self._statuses.pop(key, None)
        if not self._is_any_deleted:
            self._left_config_maps.clear()

    def _with_generation(self, key: Key, body: Manifest, before: Manifest | None) -> Manifest:
        if before is None or before.get("spec") != body.get("spec"):
            # One that was deleted and put back keeps its uid, so it must not begin at 1 again:
            # whoever has seen it before would take it for an old view.
            self._generations[key] = self._generations.get(key, 0) + 1
        return {**body, "metadata": {**body["metadata"], "generation": self._generations[key]}}

    # The port

    async def read(self, key: Key) -> Manifest | None:
        """An object of ours as it is now; None if there is none."""
        body = self._objects.get(key)
        if body is None or key not in self._statuses:
            return body
        return {**body, "status": self._statuses[key]}

    async def list(self, kind: Kind, namespace: str | None = None) -> tuple[Manifest, ...]:
        """All objects of a kind."""
        found = [
            await self.read(key)
            for key in sorted(self._objects)
            if key.kind is kind and namespace in {None, key.namespace}
        ]
        return tuple(body for body in found if body is not None)

    async def children(self, owner: Key) -> tuple[Manifest, ...]:
        """The children whose labels name `owner`."""
        return tuple(
            self._workloads[ref].manifest if ref in self._workloads else manifest
            for ref, manifest in self._children.items()
            if _owner(manifest) == owner
        )

    async def pods(self, owner: Key) -> tuple[Pod, ...]:
        """The sets of processes of `owner`."""
        return tuple(
            pod
            for ref, workload in self._workloads.items()
            if _owner(self._children[ref]) == owner
            for pod in workload.pods
        )

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A ConfigMap, a user's or one of ours."""
        ours = self._children.get(ChildRef("v1", "ConfigMap", namespace, name))
        if ours is not None:
            return dict(ours.get("data", {}))
        name_of = ObjectName(namespace=namespace, name=name)
        found = self._now.config_maps.get(name_of)
        if found is None and self._is_any_deleted:
            # Who went together with his code still drains with it.
            return self._left_config_maps.get(name_of)
        return found

    async def secret_digests(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A digest of each value of a user's Secret; it is another one with each start of ours."""
        data = self._now.secrets.get(ObjectName(namespace=namespace, name=name))
        if data is None:
            return None
        return {
            key: hmac.digest(self._pepper, value.encode(), "sha256").hex()
            for key, value in data.items()
        }

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """The labels of a namespace."""
        return {"kubernetes.io/metadata.name": name, **self._now.namespaces.get(name, {})}

    async def serves(self, api_version: str, kind: str) -> bool:
        """No: there are no kinds but ours."""
        del api_version, kind
        return False

    async def apply(self, child: Child, *, force: bool) -> None:
        """Make the object so; here nobody else manages any."""
        del force
        ref, manifest = child.ref, child.manifest
        self._children[ref] = manifest
        name = ObjectName(namespace=ref.namespace, name=ref.name)
        if ref.kind == "ConfigMap":
            folder = Path(self._site.config_dir(name))
            await asyncio.to_thread(write_folder, folder, manifest.get("data", {}))
        elif ref.kind == "ServiceAccount":
            await asyncio.to_thread(self.write_token, name)
        elif ref.kind in WORKLOAD_KINDS:
            if ref not in self._workloads:
                await asyncio.to_thread(
                    Path(self._site.data_dir(name)).mkdir, parents=True, exist_ok=True
                )
                self._workloads[ref] = self._workload(manifest)
            self._workloads[ref].apply(manifest)

    async def delete(self, ref: ChildRef) -> None:
        """Take a child away; its processes end in the background."""
        self._children.pop(ref, None)
        workload = self._workloads.pop(ref, None)
        if workload is not None:
            going = asyncio.create_task(workload.stop())
            self._going[going] = workload
            going.add_done_callback(self._going.pop)

    async def report(self, key: Key, uid: str, status: Manifest) -> None:
        """Keep the status and show it."""
        del uid
        if key in self._objects:
            self._statuses[key] = status
            self._on_report(key, {**self._objects[key], "status": status})

    async def emit(self, event: KubeEvent) -> None:
        """Log the event."""
        log.info(event.message, extra={"about": str(event.about), "reason": event.reason})

    # Life

    def write_token(self, service_account: ObjectName) -> None:
        """Give a workload fresh tokens: for the queue, for servers, for the token service."""
        path = Path(self._site.token_file(service_account))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._issuer.write_token(path, service_account, TOKEN_SECONDS)
        path = Path(self._site.server_token_file(service_account))
        self._issuer.write_token(path, service_account, TOKEN_SECONDS, SERVER_AUDIENCE)
        path = Path(self._site.assertion_file(service_account))
        self._issuer.write_token(path, service_account, TOKEN_SECONDS, ASSERTION_AUDIENCE)

    async def renew_tokens(self) -> None:
        """Write every token anew, long before it ends, for ever."""
        while True:
            await asyncio.sleep(TOKEN_SECONDS / 4)
            accounts = [
                ObjectName(namespace=ref.namespace, name=ref.name)
                for ref in self._children
                if ref.kind == "ServiceAccount"
            ]
            # The operator's account is nobody's child, and its proof ends like any other.
            for account in (self._site.operator, *accounts):
                await asyncio.to_thread(self.write_token, account)

    async def stop(self, turn: Turn) -> None:
        """End the workloads of one turn, and whatever is going already, which may take long."""
        now = {ref: one for ref, one in self._workloads.items() if turn.has(one.component)}
        ending = (*now.values(), *self._going.values())
        await asyncio.gather(*(one.stop(turn.seconds) for one in ending))
        self._workloads = {ref: w for ref, w in self._workloads.items() if ref not in now}

    @property
    def _is_any_deleted(self) -> bool:
        return any("deletionTimestamp" in body["metadata"] for body in self._objects.values())

    @property
    def _now(self) -> Manifests:
        if self._manifests is None:
            raise LookupError("no folder was read yet")
        return self._manifests

    def _workload(self, manifest: Manifest) -> Workload:
        namespace = manifest["metadata"]["namespace"]

        def secret(name: str, key: str) -> str | None:
            return self._now.secrets.get(ObjectName(namespace=namespace, name=name), {}).get(key)

        return Workload(
            self._site.root, self._environments, secret, lambda: self._on_change(manifest)
        )


def write_folder(folder: Path, data: Mapping[str, str]) -> None:
    """Make `folder` hold exactly these files, each replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in data.items():
        file = folder / name
        if not file.is_file() or file.read_text() != text:
            fresh = folder / f".{name}.new"
            fresh.write_text(text)
            fresh.replace(file)
    for file in folder.iterdir():
        if file.is_file() and file.name not in data:
            file.unlink()


def _deleted(body: Manifest) -> Manifest:
    """The object as a cluster has it between `kubectl delete` and the end of its finalizers."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"deletionTimestamp": now, "finalizers": [FINALIZER], **body["metadata"]}
    return {**body, "metadata": metadata}


def _owner(manifest: Manifest) -> Key | None:
    labels = manifest["metadata"].get("labels", {})
    if LABEL_OWNER_KIND not in labels:
        return None
    kind = next(kind for kind in Kind if kind.lower() == labels[LABEL_OWNER_KIND])
    return Key(kind, labels[LABEL_OWNER_NAMESPACE], labels[LABEL_OWNER_NAME])
