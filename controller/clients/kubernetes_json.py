"""Kubernetes' words for our values and ours for its: paths, pods, Events. Pure.

Source:
    Kubernetes API reference: Pod v1, Event events.k8s.io/v1; API conventions, "Resource names".
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from controller.api.names import (
    ANNOTATION_REVISION,
    API_VERSION,
    CONTROLLER_NAME,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    LABEL_OWNER_NAMESPACE,
    PLURAL_BY_KIND,
)
from controller.model import ChildRef, Container, Key, KubeEvent, Manifest, Pod

type Json = dict[str, Any]

EVENTS: Final = "events.k8s.io/v1"
LONGEST_NOTE: Final = 1024
PLURAL_BY_OBJECT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Namespace": "namespaces",
        "ServiceAccount": "serviceaccounts",
        "ConfigMap": "configmaps",
        "Secret": "secrets",
        "Service": "services",
        "Pod": "pods",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "NetworkPolicy": "networkpolicies",
        "Deployment": "deployments",
        "StatefulSet": "statefulsets",
        "Event": "events",
        "ClusterSPIFFEID": "clusterspiffeids",
        **{kind.value: plural for kind, plural in PLURAL_BY_KIND.items()},
    }
)


def collection_path(api_version: str, kind: str, namespace: str | None) -> str:
    """Where the objects of a kind are, in one namespace or in all."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    middle = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
    return f"{root}{middle}/{PLURAL_BY_OBJECT[kind]}"


def object_path(ref: ChildRef) -> str:
    """Where one object is."""
    collection = collection_path(ref.api_version, ref.kind, ref.namespace or None)
    return f"{collection}/{quote(ref.name, safe='')}"


def owner_selector(owner: Key) -> str:
    """The label selector of everything that belongs to `owner`."""
    labels = {
        LABEL_OWNER_KIND: owner.kind.lower(),
        LABEL_OWNER_NAME: owner.name,
        LABEL_OWNER_NAMESPACE: owner.namespace,
    }
    return ",".join(f"{name}={value}" for name, value in labels.items())


def plain(value: Any) -> Any:
    """The same as dictionaries and lists, whatever mappings and sequences it is made of."""
    match value:
        case Mapping():
            return {name: plain(member) for name, member in value.items()}
        case list() | tuple():
            return [plain(member) for member in value]
        case _:
            return value


def is_applied_by_us(found: Manifest) -> bool:
    """Whether the operator has applied this object before."""
    return any(
        entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        for entry in found["metadata"].get("managedFields", ())
    )


def text_by_key(config_map: Manifest) -> dict[str, str]:
    """What a ConfigMap holds: text as it is, bytes as base64."""
    return {**config_map.get("binaryData", {}), **config_map.get("data", {})}


def digests(secret: Manifest, key: bytes) -> dict[str, str]:
    """A digest of each value of a Secret, by a key that only the operator has.

    From a plain digest, which would stand in a Deployment, a short value could be guessed. The same
    value in another Secret has another one, so that nobody finds it by trying in one of his own.
    """
    metadata = secret["metadata"]
    place = f"{metadata['namespace']}/{metadata['name']}"
    data = secret.get("data") or {}
    return {
        name: hmac.digest(key, f"{place}/{name}\0{value}".encode(), "sha256").hex()
        for name, value in data.items()
    }


def secret_body(ref: ChildRef, data: Mapping[str, str]) -> Json:
    """A new Secret; `data` in base64."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": ref.namespace, "name": ref.name},
        "type": "Opaque",
        "data": dict(data),
    }


def decoded(secret: Manifest) -> dict[str, str]:
    """What a Secret of ours holds, as text."""
    data = secret.get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def read_pod(body: Manifest) -> Pod:
    """What is seen of a pod."""
    metadata, status = body["metadata"], body.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        name=metadata["name"],
        component=metadata.get("labels", {}).get(LABEL_COMPONENT, ""),
        revision=metadata.get("annotations", {}).get(ANNOTATION_REVISION, ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deleting="deletionTimestamp" in metadata,
        unscheduled=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        containers=tuple(_containers(status)),
    )


def _containers(status: Mapping[str, Any]) -> Iterator[Container]:
    for part in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(part) or ():
            yield _container(one)


def _container(status: Mapping[str, Any]) -> Container:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    return Container(
        name=status["name"],
        ready=status.get("ready", False),
        restarts=status.get("restartCount", 0),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        last_words=ended.get("message", ""),
    )


def event_body(event: KubeEvent, *, instance: str, now: datetime) -> Json:
    """The Event that tells `event` for the first time.

    The name follows from what is told, so that telling it again finds the first one.
    """
    told = f"{event.uid}\0{event.type}\0{event.reason}\0{event.message}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENTS,
        "kind": "Event",
        "metadata": {
            "namespace": event.about.namespace,
            "name": f"{event.about.name}.{event.about.kind.lower()}.{digest}",
        },
        "eventTime": _micro_time(now),
        "reportingController": CONTROLLER_NAME,
        "reportingInstance": instance,
        "action": "Reconcile",
        "type": event.type,
        "reason": event.reason,
        "note": event.message[:LONGEST_NOTE],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": event.about.kind.value,
            "namespace": event.about.namespace,
            "name": event.about.name,
            "uid": event.uid,
        },
    }


def event_again(found: Manifest, now: datetime) -> Json:
    """The patch that counts one more occurrence of an Event."""
    count = (found.get("series") or {}).get("count", 1)
    return {"series": {"count": count + 1, "lastObservedTime": _micro_time(now)}}


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
