"""The `Cluster` port on a Kubernetes API server, by server-side apply.

Source:
    Kubernetes documentation, "Server-Side Apply", "Kubernetes API Concepts".
"""

import asyncio
import base64
import contextlib
import hmac
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import (
    ConfigException,
    load_incluster_config,
    load_kube_config,
)

from controller.api.names import API_VERSION, FIELD_MANAGER, GROUP, PLURAL_BY_KIND, Kind
from controller.clients.kubernetes_json import (
    EVENTS,
    Json,
    collection_path,
    decoded,
    digests,
    event_again,
    event_body,
    is_applied_by_us,
    object_path,
    owner_selector,
    plain,
    read_pod,
    secret_body,
    text_by_key,
)
from controller.errors import (
    ChildRefused,
    ClusterUnavailable,
    NotOurs,
    NotPermitted,
    ReconcileError,
)
from controller.model import (
    CHILD_KINDS,
    CLUSTER_SPIFFE_ID,
    Child,
    ChildRef,
    Key,
    KubeEvent,
    Manifest,
    Pod,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 15
REPORT_ATTEMPTS: Final = 5
_TERMINATING: Final = "because it is being terminated"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class _Refusal(Exception):
    """The API server's own words on why it does not do something."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubernetesCluster:
    """The objects of a cluster, as this process may see and change them."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._instance = os.environ.get("POD_NAME") or socket.gethostname()
        self._digest_key = secrets.token_bytes()

    def digest_by(self, seed: str) -> None:
        """Make digests that are the same after a new start, with the same seed."""
        self._digest_key = hmac.digest(seed.encode(), b"digests of Secrets", "sha256")

    async def read(self, key: Key) -> Manifest | None:
        """An object of ours as it is now."""
        return await self._get(key.ref)

    async def list(self, kind: Kind, namespace: str | None = None) -> tuple[Manifest, ...]:
        """All objects of a kind as they are now."""
        return await self._list(API_VERSION, kind, namespace)

    async def children(self, owner: Key) -> tuple[Manifest, ...]:
        """The objects of `CHILD_KINDS`, and ClusterSPIFFEIDs, whose owner labels name `owner`."""
        selector = owner_selector(owner)
        found = await asyncio.gather(
            *(self._list(*kind, owner.namespace, selector) for kind in CHILD_KINDS),
            self._list(*CLUSTER_SPIFFE_ID, None, selector),
        )
        return tuple(child for some in found for child in some)

    async def pods(self, owner: Key) -> tuple[Pod, ...]:
        """The pods whose owner labels name `owner`."""
        found = await self._list("v1", "Pod", owner.namespace, owner_selector(owner))
        return tuple(read_pod(body) for body in found)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """What a ConfigMap holds."""
        found = await self._get(ChildRef("v1", "ConfigMap", namespace, name))
        return None if found is None else text_by_key(found)

    async def secret_digests(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A digest of each value of a Secret; the values are dropped at once."""
        found = await self._get(ChildRef("v1", "Secret", namespace, name))
        return None if found is None else digests(found, self._digest_key)

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """The labels of a namespace."""
        found = await self._find("GET", f"{collection_path('v1', 'Namespace', None)}/{name}")
        return {} if found is None else found["metadata"].get("labels", {})

    async def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has objects of this kind."""
        path = collection_path(api_version, kind, None)
        return await self._find("GET", path, {"limit": "1"}) is not None

    async def apply(self, child: Child, *, force: bool) -> None:
        """Make the object so."""
        ref = child.ref
        if not force and (found := await self._get(ref)) is not None:
            if not is_applied_by_us(found):
                raise NotOurs(f"{ref} is there already and not of k8gentai; rename or remove it")
            force = True  # it was ours and had lost its labels
        try:
            await self._apply(object_path(ref), plain(child.manifest), force=force)
        except _Refusal as refusal:
            if refusal.status == HTTPStatus.CONFLICT and not force:
                raise NotOurs(f"{ref}: {refusal}") from refusal
            if refusal.status == HTTPStatus.CONFLICT:
                raise ClusterUnavailable(f"{ref}: {refusal}") from refusal
            raise ChildRefused(f"{ref}: {refusal}") from refusal

    async def delete(self, ref: ChildRef) -> None:
        """Ask for the removal of a child."""
        await self._find("DELETE", object_path(ref), {"propagationPolicy": "Background"})

    async def report(self, key: Key, uid: str, status: Manifest) -> None:
        """Write the whole status; a no-op if the object with this uid is gone."""
        for _ in range(REPORT_ATTEMPTS):
            found = await self.read(key)
            if found is None or found["metadata"]["uid"] != uid:
                return
            # Of a status, Kubernetes does not compare the uid, but the version.
            version = found["metadata"]["resourceVersion"]
            if await self._write_status(key, version, plain(status)):
                return
        raise ClusterUnavailable(f"{key} changes all the time; its status could not be written")

    async def _write_status(self, key: Key, version: str, status: Json) -> bool:
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {"namespace": key.namespace, "name": key.name, "resourceVersion": version},
            "status": status,
        }
        try:
            await self._apply(f"{object_path(key.ref)}/status", body, force=True)
        except _Refusal as refusal:
            if refusal.status == HTTPStatus.CONFLICT:
                return False
            if refusal.status == HTTPStatus.NOT_FOUND:
                return True  # gone: there is nothing to report on
            raise ChildRefused(f"status of {key}: {refusal}") from refusal
        return True

    async def emit(self, event: KubeEvent) -> None:
        """Record a Kubernetes Event; a repeated one counts up."""
        now = datetime.now(UTC)
        body = event_body(event, instance=self._instance, now=now)
        collection = collection_path(EVENTS, "Event", event.about.namespace)
        try:
            try:
                await self._ask("POST", collection, body=body)
            except _Refusal as refusal:
                if refusal.status != HTTPStatus.CONFLICT:
                    raise
                path = f"{collection}/{body['metadata']['name']}"
                again = event_again(await self._ask("GET", path), now)
                await self._ask("PATCH", path, body=again, content_type=_MERGE)
        except (_Refusal, ReconcileError) as error:
            # Nothing new can be made in a namespace that goes, and nobody will look for it there.
            level = logging.DEBUG if _TERMINATING in str(error) else logging.WARNING
            log.log(level, "no event", extra={"object": str(event.about), "error": str(error)})

    async def knows_our_kinds(self) -> None:
        """Return if the cluster serves all four kinds.

        Raises:
            ClusterUnavailable: it does not (yet), or does not answer.
        """
        for kind, plural in PLURAL_BY_KIND.items():
            path = collection_path(API_VERSION, kind, None)
            if await self._find("GET", path, {"limit": "1"}) is None:
                raise ClusterUnavailable(f"the cluster has no {plural}.{GROUP}; apply the CRDs")

    async def secret(
        self, namespace: str, name: str, makers: Mapping[str, Callable[[], str]]
    ) -> Mapping[str, str]:
        """What a Secret of the installation holds; whatever of it is missing is made, once.

        Raises:
            ClusterUnavailable: Kubernetes did not answer, or refused.
        """
        ref = ChildRef("v1", "Secret", namespace, name)
        found = await self._get(ref)
        there = decoded(found) if found is not None else {}
        missing = [key for key in makers if key not in there]
        if not missing:
            return there
        made = {key: base64.b64encode(makers[key]().encode()).decode() for key in missing}
        try:
            if found is not None:
                # With the version that was read, so that nobody's seed is written over.
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                body = {"metadata": version, "data": made}
                path = object_path(ref)
                return decoded(await self._ask("PATCH", path, body=body, content_type=_MERGE))
            collection = collection_path("v1", "Secret", namespace)
            return decoded(await self._ask("POST", collection, body=secret_body(ref, made)))
        except _Refusal as refusal:
            if refusal.status == HTTPStatus.CONFLICT:  # somebody was faster
                return await self.secret(namespace, name, makers)
            raise ClusterUnavailable(f"{ref}: {refusal}") from refusal

    async def read_secret(self, namespace: str, name: str, key: str) -> str | None:
        """One value of a Secret of the installation; None if it is not there.

        Raises:
            ClusterUnavailable: Kubernetes did not answer, or refused.
        """
        found = await self._get(ChildRef("v1", "Secret", namespace, name))
        return None if found is None else decoded(found).get(key)

    async def write_secret(self, namespace: str, name: str, key: str, text: str) -> None:
        """Replace one value of a Secret that is there; the others stay.

        Raises:
            ClusterUnavailable: Kubernetes did not answer, or refused.
        """
        ref = ChildRef("v1", "Secret", namespace, name)
        body = {"data": {key: base64.b64encode(text.encode()).decode()}}
        try:
            await self._ask("PATCH", object_path(ref), body=body, content_type=_MERGE)
        except _Refusal as refusal:
            raise ClusterUnavailable(f"{ref}: {refusal}") from refusal

    async def _get(self, ref: ChildRef) -> Json | None:
        return await self._find("GET", object_path(ref))

    async def _list(
        self, api_version: str, kind: str, namespace: str | None, selector: str = ""
    ) -> tuple[Json, ...]:
        query = {"labelSelector": selector} if selector else {}
        found = await self._find("GET", collection_path(api_version, kind, namespace), query)
        # The items of a list do not say themselves what they are.
        items = found["items"] if found else ()
        return tuple({**item, "apiVersion": api_version, "kind": kind} for item in items)

    async def _find(
        self, method: str, path: str, query: Mapping[str, str] | None = None
    ) -> Json | None:
        """The answer; None when there is no such thing."""
        try:
            return await self._ask(method, path, query)
        except _Refusal as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            if refusal.status == HTTPStatus.FORBIDDEN:
                raise NotPermitted(f"{method} {path}: {refusal}") from refusal
            raise ClusterUnavailable(f"{method} {path}: {refusal}") from refusal

    async def _apply(self, path: str, body: Json, *, force: bool) -> None:
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower()}
        await self._ask("PATCH", path, query, body=body, content_type=_APPLY)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """The answer as JSON.

        Raises:
            _Refusal: Kubernetes has answered, and will answer the same if asked again.
            ClusterUnavailable: it has not answered, or asks to try again later.
        """
        try:
            response = await self._api.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=aiohttp.ClientTimeout(
                    sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS
                ),
            )
            async with response:
                status, data = response.status, await response.read()
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise ClusterUnavailable(f"Kubernetes did not answer: {error!r}") from error
        return _read(status, data)


def _read(status: int, data: bytes) -> Json:
    try:
        answer: Any = orjson.loads(data)
    except ValueError:
        answer = {"message": data.decode(errors="replace")}
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return dict(answer)
    message = str(answer.get("message") or HTTPStatus(status).phrase)
    if status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ClusterUnavailable(f"Kubernetes says: {message}")
    raise _Refusal(status, message)


class NoCluster(Exception):
    """Neither does this process run in a cluster, nor is there a kubeconfig that names one."""


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[KubernetesCluster]:
    """The cluster this process runs in, or that of the current kubeconfig.

    Raises:
        NoCluster: there is neither.
    """
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(client_configuration=configuration)
    except ConfigException as error:
        raise NoCluster(f"there is no cluster to speak to: {error}") from error
    async with ApiClient(configuration) as api:
        yield KubernetesCluster(api)
