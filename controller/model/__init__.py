"""What reconciling is about, as frozen values; nothing here does anything.

Everything compares by value, so that a plan is a subtraction.
"""

from controller.model.objects import (
    CHILD_KINDS,
    Child,
    ChildRef,
    Container,
    Key,
    KubeEvent,
    Manifest,
    Pod,
    Provider,
    ServerFacts,
)
from controller.model.queue import (
    Backlog,
    Bucket,
    Consumer,
    ConsumerRef,
    Discard,
    EntryRef,
    KvEntry,
    QueueFacts,
    QueueQuery,
    QueueState,
    QueueThing,
    Retention,
    Stream,
    Unavailable,
)
from controller.model.site import Image, Site, TrustKeys

__all__ = [
    "CHILD_KINDS",
    "Backlog",
    "Bucket",
    "Child",
    "ChildRef",
    "Consumer",
    "ConsumerRef",
    "Container",
    "Discard",
    "EntryRef",
    "Image",
    "Key",
    "KubeEvent",
    "KvEntry",
    "Manifest",
    "Pod",
    "Provider",
    "QueueFacts",
    "QueueQuery",
    "QueueState",
    "QueueThing",
    "Retention",
    "ServerFacts",
    "Site",
    "Stream",
    "TrustKeys",
    "Unavailable",
]
