"""kopf's part: its watches wake, its daemons keep each object, its finalizer waits for the end.

kopf remembers nothing for us: what it would note on the objects (what they were like, which handler
has run) is of no use to a reconcile that reads the world anew each time.

Source:
    kopf 1.45 documentation: "Daemons", "Events", "Configuration", "Embedding".
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, override

import kopf

from controller.api.names import (
    ANNOTATION_PREFIX,
    FINALIZER,
    GROUP,
    LABEL_OWNER_KIND,
    PLURAL_BY_KIND,
    VERSION,
    Kind,
)
from controller.model import CHILD_KINDS, CLUSTER_SPIFFE_ID, ChildRef, Key
from controller.wake import Wakes

WATCH_SECONDS: Final = 300
"""After so long the API server ends a watch, and kopf begins the next."""

CONNECT_SECONDS: Final = 10
REQUEST_SECONDS: Final = 30
BACKOFF_SECONDS: Final = (1, 1, 2, 3, 5, 8, 13)
EXIT_SECONDS: Final = 0.5
OURS: Final = {LABEL_OWNER_KIND: kopf.PRESENT}


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing, so that to kopf no object ever changes; events and deletions remain."""

    @override
    def build(
        self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None
    ) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def settings() -> kopf.OperatorSettings:
    """How kopf is to behave."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False  # our own Events say more
    chosen.persistence.finalizer = FINALIZER
    chosen.persistence.diffbase_storage = _NoDiffBase()
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=ANNOTATION_PREFIX)
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + CONNECT_SECONDS
    chosen.watching.connect_timeout = CONNECT_SECONDS
    chosen.networking.request_timeout = REQUEST_SECONDS
    chosen.networking.connect_timeout = CONNECT_SECONDS
    chosen.networking.error_backoffs = BACKOFF_SECONDS
    chosen.background.instant_exit_timeout = EXIT_SECONDS
    chosen.background.cancellation_polling = EXIT_SECONDS
    chosen.queueing.exit_timeout = EXIT_SECONDS
    return chosen


def handlers(wakes: Wakes) -> kopf.OperatorRegistry:
    """What kopf has to call: nothing here does more than wake, or await a reconcile."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(_login)
    for kind, plural in PLURAL_BY_KIND.items():
        _register_kind(registry, wakes, kind, plural)
    for api_version, kind_of_child in (*CHILD_KINDS, CLUSTER_SPIFFE_ID, ("v1", "Pod")):
        _register_child(registry, wakes, api_version, kind_of_child)
    _register_config_maps(registry, wakes)
    return registry


def _register_kind(registry: kopf.OperatorRegistry, wakes: Wakes, kind: Kind, plural: str) -> None:
    resource = (GROUP, VERSION, plural)

    @kopf.on.event(*resource, registry=registry, id="seen")
    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        key = _key(kind, body)
        if event["type"] == "DELETED":
            wakes.gone(key, body["metadata"]["uid"])
        else:
            wakes.seen(key, body)

    @kopf.daemon(*resource, registry=registry, id="keep")
    async def keep(stopped: kopf.DaemonStopped, body: kopf.Body, **_: Any) -> None:
        keeping = asyncio.create_task(wakes.keep(_key(kind, body)))
        try:
            await stopped.wait()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    @kopf.on.delete(*resource, registry=registry, id="leave")
    async def leave(body: kopf.Body, **_: Any) -> None:
        await wakes.finish(_key(kind, body))


def _register_child(
    registry: kopf.OperatorRegistry, wakes: Wakes, api_version: str, kind: str
) -> None:
    @kopf.on.event(api_version, kind, labels=OURS, registry=registry, id="child")
    async def child(labels: Mapping[str, str], **_: Any) -> None:
        wakes.wake_owner(labels)


def _register_config_maps(registry: kopf.OperatorRegistry, wakes: Wakes) -> None:
    @kopf.on.event("v1", "ConfigMap", registry=registry, id="named")
    async def named(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        ref = ChildRef("v1", "ConfigMap", metadata["namespace"], metadata["name"])
        wakes.wake_referrers(ref)


def _key(kind: Kind, body: Mapping[str, Any]) -> Key:
    return Key(kind, body["metadata"]["namespace"], body["metadata"]["name"])


async def _login(**arguments: Any) -> kopf.ConnectionInfo | None:
    in_cluster = kopf.login_with_service_account(**arguments)
    return in_cluster or kopf.login_with_kubeconfig(**arguments)
