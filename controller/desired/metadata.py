"""What every child is called, whose it is, and how one sees that."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from controller.api.names import API_VERSION, Component, child_labels
from controller.api.resource import Resource
from controller.model import Key
from runtime.contract.value import ObjectName

REVISION_DIGITS: Final = 16


class Role(StrEnum):
    """What a workload is; it begins the name of everything the workload has."""

    AGENT = "agent"
    TOOL = "tool"
    SERVER = "server"
    DISPATCHER = "dispatcher"
    NATS = "nats"


def key_of(resource: Resource) -> Key:
    """Which object this is."""
    return Key(resource.kind, resource.metadata.namespace, resource.metadata.name)


def workload_name(role: Role, owner: Key) -> ObjectName:
    """What the workload, its ServiceAccount and its ConfigMap are called: `agent-math`."""
    return ObjectName(namespace=owner.namespace, name=f"{role}-{owner.name}")


def metadata(name: str, owner: Resource, component: Component) -> dict[str, Any]:
    """The metadata of a child: its name, whose it is, and that it goes with its owner."""
    key = key_of(owner)
    return {
        "name": name,
        "namespace": key.namespace,
        "labels": child_labels(key.kind, key.namespace, key.name, component),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": key.kind.value,
                "name": key.name,
                "uid": owner.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def digest(*parts: str) -> str:
    """A short digest of all `parts`, in order."""
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{len(part.encode())}:".encode())
        found.update(part.encode())
    return found.hexdigest()[:REVISION_DIGITS]


def digest_of_files(files: Mapping[str, str]) -> str:
    """A digest of a folder's files, text by name."""
    return digest(*(part for name in sorted(files) for part in (name, files[name])))
