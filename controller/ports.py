"""What reconciling may ask of the outside; a cluster and the embedded mode keep the promise.

Every method may be repeated at any time with the same outcome. Errors are those of
`controller.errors`; nothing else is raised for what the outside does.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from controller.api.names import Kind
from controller.model import (
    Child,
    ChildRef,
    ConsumerRef,
    EntryRef,
    Key,
    KubeEvent,
    Manifest,
    Pod,
    QueueFacts,
    QueueQuery,
    QueueThing,
    ServerFacts,
)


class KeyStore(Protocol):
    """Where the keys of the transaction token service are kept, for the trust plane alone.

    Raises:
        ClusterUnavailable: any method, when there is no answer or one that says "later".
    """

    async def read(self) -> str | None:
        """`SigningKeys` as JSON; None if there are none yet."""
        ...

    async def write(self, text: str) -> None:
        """Keep these instead."""
        ...


class Cluster(Protocol):
    """The objects of Kubernetes; in embedded mode a folder of YAML and local processes.

    Raises:
        ClusterUnavailable: any method, when there is no answer or one that says "later".
    """

    async def read(self, key: Key) -> Manifest | None:
        """An object of ours as it is now, status and metadata included; None if there is none.

        Never from a cache: the answer is at least as new as the moment of the call.
        """
        ...

    async def list(self, kind: Kind, namespace: str | None = None) -> tuple[Manifest, ...]:
        """All objects of a kind as they are now, in one namespace or in all; never from a cache."""
        ...

    async def children(self, owner: Key) -> tuple[Manifest, ...]:
        """The objects of `CHILD_KINDS`, and ClusterSPIFFEIDs, whose owner labels name `owner`.

        May lag behind by a moment, but never behind what this process wrote itself. A Deployment
        and a StatefulSet come with `metadata.generation` and `status` (observedGeneration,
        replicas, updatedReplicas, readyReplicas).
        """
        ...

    async def pods(self, owner: Key) -> tuple[Pod, ...]:
        """The pods whose owner labels name `owner`, those that are being deleted included."""
        ...

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A user's ConfigMap: text by key (binaryData as base64); None if there is none."""
        ...

    async def secret_digests(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """A digest of each value of a user's Secret, by its key; None if there is none.

        Another value has another one, and it tells nothing to who may not read the Secret.

        Raises:
            NotPermitted: nobody has let the operator read the Secrets of this namespace.
        """
        ...

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """The labels of a namespace, `kubernetes.io/metadata.name` among them; empty if unknown."""
        ...

    async def serves(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has objects of a kind that is not ours and may be missing."""
        ...

    async def apply(self, child: Child, *, force: bool) -> None:
        """Make the object so, by server-side apply with the field manager `k8gentai`.

        Args:
            child: what the operator has an opinion on; fields it no longer names are taken away.
            force: take over fields that others manage. Without it the object is new to us: if
                somebody else made one of that name, it is left alone.

        Raises:
            NotOurs: without `force`, somebody else manages the object.
            ChildRefused: Kubernetes does not accept the manifest; the message is its own words.
        """
        ...

    async def delete(self, ref: ChildRef) -> None:
        """Ask for the removal of a child, its pods in the background; absent is fine."""
        ...

    async def report(self, key: Key, uid: str, status: Manifest) -> None:
        """Write the whole status by server-side apply; a no-op if the object (uid) is gone."""
        ...

    async def emit(self, event: KubeEvent) -> None:
        """Record a Kubernetes Event; a repeated one counts up. Never raises."""
        ...


class Streams(Protocol):
    """The queues of all Stacks, each told by the address of its NATS server(s).

    Raises:
        QueueUnavailable: any method, when there is no answer within a few seconds.
    """

    async def observe(self, url: str, query: QueueQuery) -> QueueFacts:
        """What there is of what `query` asks for, in the form `apply` takes.

        Values round-trip: after `apply(x)`, `observe` gives a value equal to `x` until somebody
        else changes it. A stream or bucket without our metadata has an empty `owner`.
        """
        ...

    async def count(
        self, url: str, bucket: str, pattern: str, is_meant: Callable[[bytes], bool]
    ) -> int:
        """How many keys of `bucket` that `pattern` matches have a value that is meant.

        Values are read some at a time and not kept, so a bucket may be larger than the memory.
        """
        ...

    async def apply(self, url: str, thing: QueueThing) -> None:
        """Make a stream, bucket, consumer or entry so, whether it is there or not.

        Raises:
            QueueRefused: NATS does not accept it (a property that cannot change, an overlapping
                filter, no space); the message is its own words.
        """
        ...

    async def delete_stream(self, url: str, name: str) -> None:
        """Take a stream away with all it holds; absent is fine. A bucket's is `KV_<bucket>`."""
        ...

    async def delete_consumer(self, url: str, ref: ConsumerRef) -> None:
        """Take a consumer away; absent is fine, an absent stream too."""
        ...

    async def delete_entry(self, url: str, ref: EntryRef) -> None:
        """Take a key away so that no trace of it is left; absent is fine, an absent bucket too."""
        ...

    async def purge(self, url: str, stream: str, subject: str) -> None:
        """Forget the messages of `stream` on `subject` (wildcards allowed); absent is fine.

        Keys of a bucket go by stream `KV_<bucket>` and subject `$KV.<bucket>.<pattern>`.
        """
        ...

    async def forget(self, url: str) -> None:
        """Close what is open towards this address; the next call opens it anew."""
        ...


class Servers(Protocol):
    """The servers of all Stacks."""

    async def observe(self, url: str, *, proving: bool) -> ServerFacts | None:
        """What the server at `url` says of itself; None when it does not answer. Never raises.

        Args:
            url: without a path.
            proving: show who asks; a server that lets everybody in need not know.
        """
        ...
