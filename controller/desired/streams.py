"""The streams and buckets of a Stack, and how long they keep what."""

from datetime import timedelta
from typing import Final

from controller.api.stack import Retention as Kept
from controller.api.stack import Stack
from controller.desired.metadata import key_of
from controller.model import Bucket, Consumer, Discard, Retention, Site, Stream, amount
from runtime.contract.agent_config import DISPATCH_ACK_WAIT_SECONDS
from runtime.contract.subjects import DISPATCHER_DURABLE, WORK_KINDS, StackSubjects
from runtime.contract.subjects import Bucket as BucketName
from runtime.contract.subjects import Stream as StreamName

ASSUMED_BYTES: Final = 2 * 1024**3
"""Space that is counted on at an external NATS."""
SHARES: Final = {
    StreamName.TASKS: 0.15,
    StreamName.CALLS: 0.10,
    StreamName.EVENTS: 0.20,
    StreamName.DEAD: 0.03,
    StreamName.ADVISORIES: 0.02,
    BucketName.RUNS: 0.09,
    BucketName.CONVERSATIONS: 0.06,
    BucketName.CHECKPOINTS: 0.04,
    BucketName.EFFECTS: 0.04,
    BucketName.CATALOGUE: 0.005,
    BucketName.POLICY: 0.005,
}
"""JetStream takes three quarters of the disk and sets aside what streams and buckets may fill: half
of the disk for the streams, not quite a quarter for the buckets. So none takes another's room."""

MOST_PER_SUBJECT: Final = 10_000
"""Tasks of clients that may wait for one Agent, tasks that agents have asked it for, and calls by
one Agent of one Tool or Agent: nobody fills it alone."""
MOST_COPIES: Final = 3
RECENT: Final = timedelta(minutes=2)
DISPATCH_DELIVERIES: Final = -1
"""No limit: an advisory is delivered again until everything it asks for is done, and so is a call
of an agent, which waits here while the queue of that agent is full."""
DISPATCH_PENDING: Final = -1
"""No limit: what waits for one full queue must not hold up what others ask for."""


def desired_streams(stack: Stack, site: Site) -> tuple[Stream, ...]:
    """The streams of `stack`.

    Work is refused when there is no room and is never dropped: neither by age nor for newer work.
    Events can be read again for `eventSeconds` after the end of a task, which comes within twice
    `taskSeconds`, see `bucket_ttl`; they and dead letters give way to newer ones when there is no
    room. A dead letter may be published again long after it was: whoever had to remove its message
    could not.
    """
    subjects = StackSubjects(key_of(stack).object_name)
    kept = stack.spec.retention
    seconds = timedelta(seconds=1)
    dead = kept.dead_letter_seconds * seconds
    return (
        _work(stack, site, StreamName.TASKS),
        _work(stack, site, StreamName.CALLS),
        _history(
            stack,
            site,
            StreamName.EVENTS,
            (subjects.every("events"),),
            (kept.event_seconds + 2 * kept.task_seconds) * seconds,
        ),
        _history(stack, site, StreamName.DEAD, (subjects.every("dead"),), dead, same=dead),
        _history(stack, site, StreamName.ADVISORIES, subjects.advisories(), dead),
    )


def desired_buckets(stack: Stack, site: Site) -> tuple[Bucket, ...]:
    """The key-value buckets of `stack`; a full one refuses what is new and drops nothing."""
    subjects = StackSubjects(key_of(stack).object_name)
    return tuple(
        Bucket(
            name=subjects.bucket(bucket),
            owner=str(key_of(stack)),
            ttl=bucket_ttl(bucket, stack.spec.retention),
            max_bytes=_bytes(stack, bucket),
            replicas=copies(stack, site),
        )
        for bucket in BucketName
    )


def bucket_ttl(bucket: BucketName, kept: Kept) -> timedelta:
    """How long after its last write a key is kept; zero for ever.

    A task works for at most `taskSeconds` (no Agent may have a longer timeout), and waits for
    people for as long at most, over all its calls. So nothing that a run has written expires before
    it ends; its record is written anew at its end, and kept for long enough after it.

    The older turns of a conversation are written once while its head is written each turn: an age
    would take them from a conversation that goes on.
    """
    match bucket:
        case BucketName.RUNS | BucketName.CHECKPOINTS | BucketName.EFFECTS:
            return timedelta(seconds=2 * kept.task_seconds)
        case BucketName.CONVERSATIONS | BucketName.CATALOGUE | BucketName.POLICY:
            return timedelta()


def dispatcher_consumers(stack: Stack) -> tuple[Consumer, ...]:
    """The cursors that the dispatchers of `stack` share.

    One is on the advisories, the other on what agents ask of each other: no worker takes that,
    since it becomes a task.
    """
    subjects = StackSubjects(key_of(stack).object_name)
    return tuple(
        Consumer(
            stream=subjects.stream(stream),
            durable=DISPATCHER_DURABLE,
            filter_subject=subject,
            owner=str(key_of(stack)),
            ack_wait=timedelta(seconds=DISPATCH_ACK_WAIT_SECONDS),
            max_deliver=DISPATCH_DELIVERIES,
            max_ack_pending=DISPATCH_PENDING,
        )
        for stream, subject in (
            (StreamName.ADVISORIES, ""),
            (StreamName.CALLS, subjects.every("asks")),
        )
    )


def copies(stack: Stack, site: Site) -> int:
    """How many servers keep each stream; how many an external NATS has is not known."""
    managed = stack.spec.messaging.managed
    return min(MOST_COPIES, site.queue_replicas(managed.replicas)) if managed else 1


def _work(stack: Stack, site: Site, name: StreamName) -> Stream:
    subjects = StackSubjects(key_of(stack).object_name)
    return Stream(
        name=subjects.stream(name),
        owner=str(key_of(stack)),
        subjects=tuple(sorted(map(subjects.every, WORK_KINDS[name]))),
        retention=Retention.WORK_QUEUE,
        discard=Discard.NEW,
        max_bytes=_bytes(stack, name),
        max_messages_per_subject=MOST_PER_SUBJECT,
        discard_new_per_subject=True,
        replicas=copies(stack, site),
    )


def _history(
    stack: Stack,
    site: Site,
    name: StreamName,
    subjects: tuple[str, ...],
    max_age: timedelta,
    *,
    same: timedelta = RECENT,
) -> Stream:
    """A stream that forgets after `max_age`; for `same` it takes a message with an id just once.

    nats-server refuses to remember ids for longer than messages.
    """
    return Stream(
        name=StackSubjects(key_of(stack).object_name).stream(name),
        owner=str(key_of(stack)),
        subjects=tuple(sorted(subjects)),
        retention=Retention.LIMITS,
        discard=Discard.OLD,
        max_bytes=_bytes(stack, name),
        max_age=max_age,
        duplicate_window=min(same, max_age),
        replicas=copies(stack, site),
    )


def _bytes(stack: Stack, name: StreamName | BucketName) -> int:
    managed = stack.spec.messaging.managed
    space = amount(managed.storage) if managed else None
    return int(float(space or ASSUMED_BYTES) * SHARES[name])
