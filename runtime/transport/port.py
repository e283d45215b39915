"""What the rooms of the runtime may ask of a queue; `jetstream` and `memory` keep the promise."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

type Headers = Mapping[str, str]
type OnSignal = Callable[[str, bytes], None]


class TransportError(Exception):
    """The queue could not do what was asked; trying again later may help."""


class Unavailable(TransportError):
    """The queue did not answer in time or the connection is down."""


class QueueFull(TransportError):
    """The queue refuses new work until some of what waits is done."""


class PayloadTooLarge(TransportError):
    """The message is larger than the queue takes."""


class KeyExists(TransportError):
    """The key is there already; nothing was written."""


class RevisionConflict(TransportError):
    """Somebody else wrote the key in the meantime; nothing was written."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a workload shows to the queue; `expires` in seconds since the epoch."""

    token: str
    expires: float


type Prove = Callable[[], Proof]


@dataclass(frozen=True, slots=True)
class Published:
    """The queue's word that it keeps a message; `duplicate`: it had one with this `msg_id`."""

    sequence: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a key and the revision that a compare-and-set has to name."""

    key: str
    value: bytes
    revision: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of a stream, read by position."""

    subject: str
    data: bytes
    sequence: int
    headers: Headers = field(default_factory=dict)


class Delivery(Protocol):
    """One attempt to hand over a message; settle it exactly once."""

    @property
    def subject(self) -> str:
        """The subject the message was published to."""
        ...

    @property
    def data(self) -> bytes:
        """The message."""
        ...

    @property
    def headers(self) -> Headers:
        """The message's headers."""
        ...

    @property
    def number(self) -> int:
        """How many times the message was delivered, this one included."""
        ...

    @property
    def sequence(self) -> int:
        """The message's place in its stream."""
        ...

    def hold_until(self, until: float) -> None:
        """Give no sign of life after `until` (seconds since the epoch)."""
        ...

    async def ack(self) -> None:
        """Done. The queue's word is not waited for: if ours gets lost the message comes again.

        So what was done has to be written down before, where the next delivery finds it.
        """
        ...

    async def nak(self, delay_seconds: float = 0) -> None:
        """Again, to any worker, after the delay."""
        ...

    async def term(self, reason: str) -> None:
        """Never again; the reason goes into the queue's advisory."""
        ...

    async def leave(self) -> None:
        """Say nothing and give no more signs of life: the queue decides by its ack wait."""
        ...


class Inbox(Protocol):
    """The deliveries of one durable.

    Every delivery that was handed out is kept ours by a sign of life each third of the ack wait,
    from a thread that no agent's code can block, until it is settled or its time is over.
    """

    async def next(self) -> Delivery:
        """The next delivery, when there is one.

        Raises:
            Stopped: `stop` was called and nothing is left that was delivered before.
        """
        ...

    async def stop(self) -> None:
        """Ask for nothing more; what was delivered and not yet handed out goes back (nak)."""
        ...

    @property
    def pulling(self) -> bool:
        """Whether the queue has taken a request for work on the current connection."""
        ...


class Stopped(Exception):
    """The inbox was stopped."""


class Outbox(Protocol):
    """Publishing to streams and signalling beside them."""

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        """Keep `data` in the stream of `subject`; returns once the queue has it.

        Raises:
            QueueFull: the stream's limits refuse it.
            PayloadTooLarge: it is over the queue's limit.
            Unavailable: no confirmation; it may or may not be kept, so repeat with the same msg_id.
        """
        ...

    async def signal(self, subject: str, data: bytes = b"", *, msg_id: str | None = None) -> None:
        """A core message: whoever listens hears it; a stream of that subject gives no word.

        With a `msg_id` the stream keeps it once.

        Raises:
            PayloadTooLarge: it is over the queue's limit.
            Unavailable: the connection is down.
        """
        ...

    async def listen(self, subject: str, on_signal: OnSignal) -> "Subscription":
        """Call `on_signal(subject, data)` for each core message, across reconnects.

        It is called as the message is read, before anything else that the connection brings.
        """
        ...


class Subscription(Protocol):
    """A running `listen`."""

    async def close(self) -> None:
        """Stop listening."""
        ...


class Store(Protocol):
    """One key-value bucket. Keys are dot-separated tokens."""

    async def get(self, key: str) -> Entry | None:
        """The newest value, or None if there is none (or it was deleted)."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Write a key that is not there; gives its revision.

        Raises:
            KeyExists: somebody was first.
        """
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write over exactly `revision`; gives the new one.

        Raises:
            RevisionConflict: the key has another revision by now.
        """
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever stands there; gives the revision."""
        ...

    async def delete(self, key: str) -> None:
        """Take the key away; a key that is not there is no error."""
        ...


class WatchableStore(Store, Protocol):
    """A bucket as seen from the side of the server: it can also be searched and followed."""

    async def find(self, pattern: str) -> Entry | None:
        """The newest entry whose key matches a pattern with `*` for single tokens."""
        ...

    async def keys(self, pattern: str) -> list[str]:
        """The keys that match a pattern with `*` for single tokens and `>` for the rest.

        Raises:
            Unavailable: the queue does not say.
        """
        ...

    def scan(self, pattern: str) -> AsyncGenerator[Entry]:
        """The entries that match, the oldest first, one asked for after the other.

        One that is written meanwhile may come once more.

        Raises:
            Unavailable: the queue does not say.
        """
        ...

    def watch(self, pattern: str = ">") -> AsyncGenerator[Entry | None]:
        """Every key's newest value, then None once, then each change, across reconnects.

        Deletions come as entries with `deleted=True`.
        """
        ...

    async def purge(self, pattern: str) -> None:
        """Take away every key that matches, without a trace; who watches is told nothing."""
        ...


class Reader(Protocol):
    """One stream, read by position and without a durable; on the side of the server only."""

    def read(self, subject: str, *, start_sequence: int = 1) -> AsyncIterator[Stored]:
        """The messages of `subject` in order, from `start_sequence`, without end."""
        ...

    def scan(self, subject: str) -> AsyncGenerator[Stored]:
        """The messages of `subject`, the oldest first, one asked for after the other, to the last.

        Raises:
            Unavailable: the queue does not say.
        """
        ...

    async def last(self, subject: str) -> Stored | None:
        """The newest message of `subject`, which may hold wildcards."""
        ...

    async def message(self, sequence: int) -> Stored | None:
        """The message at one place of the stream."""
        ...

    async def remove(self, sequence: int) -> None:
        """Take one message out of the stream; one that is not there is no error."""
        ...

    async def purge(self, subject: str) -> None:
        """Take all messages of `subject`, which may hold wildcards, out of the stream."""
        ...
