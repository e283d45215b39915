"""The outside, in memory: a Kubernetes and a NATS that keep their promises and can be cut off."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.api.names import (
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    LABEL_OWNER_NAMESPACE,
    Kind,
)
from controller.errors import (
    ChildRefused,
    ClusterUnavailable,
    NotOurs,
    NotPermitted,
    QueueRefused,
    QueueUnavailable,
)
from controller.model import (
    Backlog,
    Bucket,
    Child,
    ChildRef,
    ClusterSite,
    Consumer,
    ConsumerRef,
    EntryRef,
    Key,
    KubeEvent,
    KvEntry,
    Manifest,
    Pod,
    QueueFacts,
    QueueQuery,
    QueueThing,
    Retention,
    ServerFacts,
    Stream,
    TrustKeys,
)
from controller.reconcile import World
from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName

SITE = ClusterSite(
    namespace="k8gentai-system",
    operator=ObjectName(namespace="k8gentai-system", name="k8gentai-operator"),
    trust_keys=TrustKeys("AACCOUNT", "UUSER", "XTRUST"),
    issuers=(
        Issuer(
            issuer="https://kubernetes.default.svc",
            jwks_url="https://kubernetes.default.svc/openid/v1/jwks",
            ca_file="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
            token_file="/var/run/secrets/kubernetes.io/serviceaccount/token",
        ),
    ),
    image_prefix="localhost/k8gentai",
    image_tag="dev",
)
WORKLOADS = ("Deployment", "StatefulSet")


class Killed(BaseException):
    """The operator is gone between two calls."""


@dataclass
class Calls:
    """Every call to the outside, in order; the process dies right after the `fatal`-th one."""

    made: list[str] = field(default_factory=list)
    fatal: int | None = None

    def did(self, what: str) -> None:
        self.made.append(what)
        if self.fatal is not None and len(self.made) >= self.fatal:
            raise Killed(what)

    @property
    def writes(self) -> list[str]:
        return [call for call in self.made if not call.startswith("read ")]


def matches(pattern: str, text: str) -> bool:
    """NATS wildcards: `*` is one token, a final `>` one or more."""
    wanted, found = pattern.split("."), text.split(".")
    if wanted[-1] == ">":
        return len(found) >= len(wanted) and all(map(_token, wanted[:-1], found))
    return len(wanted) == len(found) and all(map(_token, wanted, found))


def _token(wanted: str, found: str) -> bool:
    return wanted in ("*", found)


@dataclass
class FakeCluster:
    calls: Calls = field(default_factory=Calls)
    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    owned: dict[ChildRef, dict[str, Any]] = field(default_factory=dict)
    foreign: set[ChildRef] = field(default_factory=set)
    config_maps: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    running: dict[Key, tuple[Pod, ...]] = field(default_factory=dict)
    events: list[KubeEvent] = field(default_factory=list)
    refused: Callable[[Child], str | None] = lambda _: None
    is_down: bool = False
    has_spire: bool = True
    _born: int = 0

    # What a user does

    def put(self, body: Mapping[str, Any]) -> Key:
        """`kubectl apply`."""
        meta = body["metadata"]
        key = Key(Kind(body["kind"]), meta["namespace"], meta["name"])
        was = self.objects.get(key)
        if was is None:
            self._born += 1
            fresh = {
                "uid": f"uid-{self._born}",
                "generation": 1,
                "creationTimestamp": f"2026-11-22T10:{self._born:02}:00Z",
            }
            self.objects[key] = {**body, "metadata": {**fresh, **meta}}
        else:
            generation = was["metadata"]["generation"] + (was["spec"] != body["spec"])
            kept = {**was["metadata"], **meta, "generation": generation}
            self.objects[key] = {**was, **body, "metadata": kept}
        return key

    def mark_deleted(self, key: Key, when: str) -> None:
        """`kubectl delete`: the finalizer keeps the object."""
        body = self.objects[key]
        metadata = {**body["metadata"], "deletionTimestamp": when}
        self.objects[key] = {**body, "metadata": metadata}

    def settle(self, *, ready: bool = True) -> None:
        """Let Kubernetes' own controllers bring all workloads to where they should be."""
        for ref, body in self.owned.items():
            if ref.kind in WORKLOADS:
                wanted = body["spec"]["replicas"]
                status = {
                    "observedGeneration": body["metadata"]["generation"],
                    "replicas": wanted,
                    "updatedReplicas": wanted,
                    "readyReplicas": wanted if ready else 0,
                }
                self.owned[ref] = {**body, "status": status}

    def child(self, kind: str, name: str, namespace: str = "team") -> dict[str, Any]:
        return next(
            body
            for ref, body in self.owned.items()
            if (ref.kind, ref.namespace, ref.name) == (kind, namespace, name)
        )

    def condition(self, key: Key, kind: str) -> dict[str, Any]:
        conditions = self.objects[key]["status"]["conditions"]
        return next(one for one in conditions if one["type"] == kind)

    # The port

    async def read(self, key: Key) -> Manifest | None:
        self._answer(f"read {key}")
        return self.objects.get(key)

    async def list(self, kind: Kind, namespace: str | None = None) -> tuple[Manifest, ...]:
        self._answer(f"read all {kind}")
        return tuple(
            body
            for key, body in sorted(self.objects.items())
            if key.kind is kind and namespace in (None, key.namespace)
        )

    async def children(self, owner: Key) -> tuple[Manifest, ...]:
        self._answer(f"read children of {owner}")
        return tuple(body for body in self.owned.values() if _owner(body) == owner)

    async def pods(self, owner: Key) -> tuple[Pod, ...]:
        self._answer(f"read pods of {owner}")
        return self.running.get(owner, ())

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        self._answer(f"read ConfigMap {namespace}/{name}")
        ours = self.owned.get(ChildRef("v1", "ConfigMap", namespace, name))
        return ours["data"] if ours else self.config_maps.get((namespace, name))

    async def secret_digests(self, namespace: str, name: str) -> Mapping[str, str] | None:
        self._answer(f"read Secret {namespace}/{name}")
        if namespace in self.sealed:
            raise NotPermitted(f"the Secrets of {namespace} are not for the operator")
        return self.secrets.get((namespace, name))

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        self._answer(f"read Namespace {name}")
        return {"kubernetes.io/metadata.name": name, **self.labels.get(name, {})}

    async def serves(self, api_version: str, kind: str) -> bool:
        self._answer(f"read {api_version} {kind}")
        return self.has_spire

    async def apply(self, child: Child, *, force: bool) -> None:
        self._reach()
        ref = child.ref
        why = self.refused(child)
        if why is not None:
            raise ChildRefused(why)
        if ref in self.foreign and not force:
            raise NotOurs(f"{ref} exists and somebody else manages it")
        was = self.owned.get(ref)
        generation = was["metadata"].get("generation", 1) if was else 0
        spec_is_new = was is None or was.get("spec") != child.manifest.get("spec")
        metadata = {**child.manifest["metadata"], "generation": generation + spec_is_new}
        status = {"status": was["status"]} if was and "status" in was else {}
        self.owned[ref] = copy.deepcopy({**child.manifest, "metadata": metadata, **status})
        self._answer(f"apply {ref}")

    async def delete(self, ref: ChildRef) -> None:
        self._reach()
        self.owned.pop(ref, None)
        self._answer(f"delete {ref}")

    async def report(self, key: Key, uid: str, status: Manifest) -> None:
        self._reach()
        body = self.objects.get(key)
        if body is not None and body["metadata"]["uid"] == uid:
            self.objects[key] = {**body, "status": status}
        self._answer(f"report {key}")

    async def emit(self, event: KubeEvent) -> None:
        self.events.append(event)
        self._answer(f"event {event.about}")

    def _answer(self, what: str) -> None:
        self._reach()
        self.calls.did(what)

    def _reach(self) -> None:
        if self.is_down:
            raise ClusterUnavailable("Kubernetes does not answer")


def _owner(body: Mapping[str, Any]) -> Key | None:
    labels = body["metadata"].get("labels", {})
    if LABEL_OWNER_KIND not in labels:
        return None
    kind = next(kind for kind in Kind if kind.lower() == labels[LABEL_OWNER_KIND])
    return Key(kind, labels[LABEL_OWNER_NAMESPACE], labels[LABEL_OWNER_NAME])


@dataclass
class FakeQueue:
    """One NATS server with its streams."""

    streams: dict[str, Stream] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    consumers: dict[ConsumerRef, Consumer] = field(default_factory=dict)
    entries: dict[EntryRef, bytes] = field(default_factory=dict)
    messages: dict[str, list[str]] = field(default_factory=dict)
    in_flight: dict[ConsumerRef, int] = field(default_factory=dict)

    def backlog(self, one: Consumer) -> Backlog:
        held = self.in_flight.get(one.ref, 0)
        waiting = [
            subject
            for subject in self.messages.get(one.stream, [])
            if not one.filter_subject or matches(one.filter_subject, subject)
        ]
        return Backlog(len(waiting) - held, held)


@dataclass
class FakeStreams:
    calls: Calls = field(default_factory=Calls)
    queues: dict[str, FakeQueue] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    uncountable: set[str] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)

    def at(self, url: str) -> FakeQueue:
        return self.queues.setdefault(url, FakeQueue())

    async def observe(self, url: str, query: QueueQuery) -> QueueFacts:
        queue = self._open(url)
        self.calls.did(f"read {url}")
        consumers = {
            ref: one
            for ref, one in queue.consumers.items()
            if ref.stream in query.all_consumers_of or _asked(one, queue, query)
        }
        return QueueFacts(
            streams={name: queue.streams[name] for name in query.streams if name in queue.streams},
            buckets={name: queue.buckets[name] for name in query.buckets if name in queue.buckets},
            consumers=consumers,
            backlogs={ref: queue.backlog(one) for ref, one in consumers.items()},
            entries={
                ref: value
                for ref, value in queue.entries.items()
                if any(ref.bucket == bucket and matches(p, ref.key) for bucket, p in query.entries)
            },
        )

    async def count(
        self, url: str, bucket: str, pattern: str, is_meant: Callable[[bytes], bool]
    ) -> int:
        queue = self._open(url)
        self.calls.did(f"read {bucket}")
        if bucket in self.uncountable:
            raise QueueUnavailable(f"NATS at {url} does not answer")
        return sum(
            is_meant(value)
            for ref, value in queue.entries.items()
            if ref.bucket == bucket and matches(pattern, ref.key)
        )

    async def apply(self, url: str, thing: QueueThing) -> None:
        queue = self._open(url)
        match thing:
            case Stream():
                queue.streams[thing.name] = thing
            case Bucket():
                queue.buckets[thing.name] = thing
            case Consumer():
                self._check(queue, thing)
                queue.consumers[thing.ref] = thing
            case KvEntry():
                if thing.bucket not in queue.buckets:
                    raise QueueRefused(f"there is no bucket {thing.bucket}")
                queue.entries[thing.ref] = thing.value
        self.calls.did(f"apply {type(thing).__name__}")

    def _check(self, queue: FakeQueue, consumer: Consumer) -> None:
        stream = queue.streams.get(consumer.stream)
        if stream is None:
            raise QueueRefused(f"there is no stream {consumer.stream}")
        if stream.retention is Retention.WORK_QUEUE:
            for other in queue.consumers.values():
                same = (other.stream, other.filter_subject)
                if same == (consumer.stream, consumer.filter_subject) and other.ref != consumer.ref:
                    raise QueueRefused("filtered consumer not unique on workqueue stream (10100)")

    async def delete_stream(self, url: str, name: str) -> None:
        queue = self._open(url)
        queue.streams.pop(name, None)
        queue.messages.pop(name, None)
        bucket = name.removeprefix("KV_")
        if bucket != name:
            queue.buckets.pop(bucket, None)
            queue.entries = {r: v for r, v in queue.entries.items() if r.bucket != bucket}
        queue.consumers = {r: one for r, one in queue.consumers.items() if r.stream != name}
        self.calls.did(f"delete stream {name}")

    async def delete_consumer(self, url: str, ref: ConsumerRef) -> None:
        self._open(url).consumers.pop(ref, None)
        self.calls.did(f"delete consumer {ref.durable}")

    async def delete_entry(self, url: str, ref: EntryRef) -> None:
        self._open(url).entries.pop(ref, None)
        self.calls.did(f"delete entry {ref.key}")

    async def purge(self, url: str, stream: str, subject: str) -> None:
        queue = self._open(url)
        bucket = stream.removeprefix("KV_")
        kept = [one for one in queue.messages.get(stream, []) if not matches(subject, one)]
        queue.messages[stream] = kept
        queue.entries = {
            ref: value
            for ref, value in queue.entries.items()
            if ref.bucket != bucket or not matches(subject, f"$KV.{bucket}.{ref.key}")
        }
        self.calls.did(f"purge {subject}")

    async def forget(self, url: str) -> None:
        self.forgotten.append(url)

    def _open(self, url: str) -> FakeQueue:
        if url in self.down:
            self.calls.did("read in vain")
            raise QueueUnavailable(f"NATS at {url} does not answer")
        return self.at(url)


def _asked(one: Consumer, queue: FakeQueue, query: QueueQuery) -> bool:
    for stream, durable, subject in query.consumers:
        ref = ConsumerRef(stream, durable)
        if ref in queue.consumers:
            if one.ref == ref:
                return True
        elif (one.stream, one.filter_subject) == (stream, subject):
            return True
    return False


@dataclass
class FakeServers:
    answers: dict[str, ServerFacts] = field(default_factory=dict)
    proved: dict[str, bool] = field(default_factory=dict)

    async def observe(self, url: str, *, proving: bool) -> ServerFacts | None:
        self.proved[url] = proving
        return self.answers.get(url)


@dataclass
class Outside:
    """All of it, and a World that sees it."""

    calls: Calls
    cluster: FakeCluster
    streams: FakeStreams
    servers: FakeServers

    @classmethod
    def new(cls) -> "Outside":
        calls = Calls()
        return cls(calls, FakeCluster(calls=calls), FakeStreams(calls=calls), FakeServers())

    def world(self) -> World:
        """A new process of the operator."""
        return World(
            cluster=self.cluster,
            streams=self.streams,
            servers=self.servers,
            site=SITE,
            version="0.1.0",
        )

    def snapshot(self) -> tuple[object, ...]:
        """Everything that lasts, but for times."""
        queues = {
            url: (queue.streams, queue.buckets, queue.consumers, queue.entries, queue.messages)
            for url, queue in self.streams.queues.items()
        }
        queues = copy.deepcopy(queues)
        objects = {key: _timeless(body) for key, body in self.cluster.objects.items()}
        owned = {ref: _no_generation(body) for ref, body in self.cluster.owned.items()}
        return objects, copy.deepcopy(owned), queues


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _timeless(v) for k, v in value.items() if k != "lastTransitionTime"}
    if isinstance(value, list | tuple):
        return [_timeless(one) for one in value]
    return value


def _no_generation(body: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = {k: v for k, v in body["metadata"].items() if k != "generation"}
    return {**body, "metadata": metadata, "status": None}


def ready_pod(name: str, component: str, revision: str) -> Pod:
    return Pod(name=name, component=component, revision=revision, ready=True)
