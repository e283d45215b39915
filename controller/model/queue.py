"""The queue of a Stack: its parts as they should be, and as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Retention(StrEnum):
    """When JetStream forgets a message by itself."""

    WORK_QUEUE = "workqueue"
    LIMITS = "limits"


class Discard(StrEnum):
    """What a full stream does: refuse the new message, or forget the oldest."""

    NEW = "new"
    OLD = "old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream of a Stack. File storage; nothing that is not said here is set.

    Shape:
        subjects                  sorted.
        owner                     metadata `k8gentai.dev/owner`, "Stack <namespace>/<name>"; a
                                  stream without ours is somebody else's and never touched.
        max_bytes                 0 for no limit. `max_messages_per_subject`: 0 for no limit.
        discard_new_per_subject   refuse, with `Discard.NEW`, also over the limit per subject.

    Units:
        `max_age` zero for no limit. `duplicate_window` is how long a `Nats-Msg-Id` is remembered.

    Source:
        NATS documentation, JetStream stream configuration; read against nats-server 2.15.1.
    """

    name: str
    owner: str
    subjects: tuple[str, ...]
    retention: Retention
    discard: Discard
    max_bytes: int = 0
    max_age: timedelta = timedelta()
    max_messages_per_subject: int = 0
    discard_new_per_subject: bool = False
    duplicate_window: timedelta = timedelta(minutes=2)
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One key-value bucket of a Stack: history of one, file storage, direct gets allowed.

    Shape:
        name       of the bucket; its stream is `KV_<name>`. `owner`: as of a Stream.
        max_bytes  0 for no limit.

    Units:
        `ttl` counts from the last write of a key; zero keeps it for ever.

    Source:
        NATS ADR-8, JetStream based key-value stores.
    """

    name: str
    owner: str
    ttl: timedelta = timedelta()
    max_bytes: int = 0
    replicas: int = 1


@dataclass(frozen=True, slots=True, order=True)
class ConsumerRef:
    """A durable consumer of a stream."""

    stream: str
    durable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A durable cursor of an Agent or Tool on a stream of its Stack. Pull, explicit ack.

    Shape:
        stream, durable  as named by `contract.subjects`.
        filter_subject   one subject, "" for all; filters on a work queue must not overlap.
        owner            metadata `k8gentai.dev/owner`, "<Kind> <namespace>/<name> <uid>".
        max_deliver      deliveries including the first; -1 for no limit.
        max_ack_pending  deliveries under way, over all workers.

    Source:
        NATS documentation, JetStream consumer configuration; read against nats-server 2.15.1.
    """

    stream: str
    durable: str
    filter_subject: str
    owner: str
    ack_wait: timedelta
    max_deliver: int
    max_ack_pending: int

    @property
    def ref(self) -> ConsumerRef:
        """Which consumer it is."""
        return ConsumerRef(self.stream, self.durable)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What consumers have before them: messages that wait, and deliveries under way."""

    waiting: int = 0
    in_flight: int = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        """What two consumers have before them."""
        return Backlog(self.waiting + other.waiting, self.in_flight + other.in_flight)

    @property
    def total(self) -> int:
        """All that is not done."""
        return self.waiting + self.in_flight


@dataclass(frozen=True, slots=True, order=True)
class EntryRef:
    """A key of a bucket."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class KvEntry:
    """A key of a bucket and its newest value."""

    bucket: str
    key: str
    value: bytes

    @property
    def ref(self) -> EntryRef:
        """Which entry it is."""
        return EntryRef(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Stored:
    """One message that a stream keeps.

    Shape:
        sequence  its place in the stream.
        time      when the stream took it, with its time zone.
    """

    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuery:
    """What a reconcile wants to know of a queue; an empty part costs nothing.

    Shape:
        streams    names of streams.
        buckets    names of buckets.
        consumers  (stream, durable, filter subject) each: the durable, and if it is not there,
                   whichever consumers of that stream have the same filter subject.
        all_consumers_of  names of streams whose consumers are all wanted.
        entries    (bucket, pattern) each: a key, or a pattern with `*` for one token and a
                   final `>` for the rest.
    """

    streams: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    consumers: tuple[tuple[str, str, str], ...] = ()
    all_consumers_of: tuple[str, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """What there is of what was asked for; what is absent from the mappings is not there."""

    streams: Mapping[str, Stream] = field(default_factory=dict)
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    consumers: Mapping[ConsumerRef, Consumer] = field(default_factory=dict)
    backlogs: Mapping[ConsumerRef, Backlog] = field(default_factory=dict)
    entries: Mapping[EntryRef, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The queue did not answer; `reason` is a sentence that names its address."""

    reason: str


type QueueState = QueueFacts | Unavailable
type QueueThing = Stream | Bucket | Consumer | KvEntry
