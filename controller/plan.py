"""Desired and observed, subtracted: what is to be done, in which order. Pure.

What goes, goes first: workload, catalogue, messages, consumer, identity. What comes, comes the
other way round: identity and configuration, queue, the workload that binds to it, catalogue.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from controller.api.conditions import ProgrammedReason
from controller.model import (
    LIST_KEYS,
    ApplyChild,
    ApplyQueue,
    Bucket,
    Changes,
    Child,
    ChildRef,
    Children,
    Consumer,
    ConsumerRef,
    DeleteChild,
    DeleteConsumer,
    DeleteEntry,
    DeleteStream,
    Desired,
    EntryRef,
    Failure,
    KvEntry,
    Origin,
    Purge,
    QueueFacts,
    QueueState,
    Step,
    Stream,
    Unavailable,
    amount,
)
from runtime.contract.subjects import Bucket as BucketName

RETRY: Final = 2.0
LONG_RETRY: Final = 60.0
"""Seconds until the next look, where nothing wakes us."""
AMOUNTS: Final = frozenset({"cpu", "memory", "storage", "ephemeral-storage", "sizeLimit"})
WORKLOADS: Final = frozenset({"Deployment", "StatefulSet"})


@dataclass(frozen=True, slots=True)
class Plan[T, R]:
    """The smallest set of changes that turns observed into desired; `delete` by identity."""

    create: tuple[T, ...] = ()
    update: tuple[T, ...] = ()
    delete: tuple[R, ...] = ()


def plan[K, T, O](
    desired: Mapping[K, T],
    observed: Mapping[K, O],
    is_same: Callable[[T, O], bool] = lambda wanted, found: wanted == found,
) -> Plan[T, K]:
    """The smallest set of changes that turns `observed` into `desired`."""
    return Plan(
        create=tuple(want for key, want in desired.items() if key not in observed),
        update=tuple(
            want
            for key, want in desired.items()
            if key in observed and not is_same(want, observed[key])
        ),
        delete=tuple(key for key in observed if key not in desired),
    )


def conforms(wanted: Any, found: Any, field: str = "") -> bool:
    """Whether `found` has everything that `wanted` says; what Kubernetes adds does not matter.

    Lists of `LIST_KEYS` are compared entry by entry, others as a whole; quantities by what they
    amount to. An empty list or string is the same as nothing: Kubernetes leaves it out.
    """
    match wanted:
        case Mapping():
            return isinstance(found, Mapping) and all(
                conforms(value, found.get(name), name) for name, value in wanted.items()
            )
        case list() | tuple():
            return _conforming_list(wanted, found or [], field)
        case _ if field in AMOUNTS:
            return _amount(wanted) == _amount(found)
        case _:
            return bool(wanted == found or (wanted == "" and found is None))


def _conforming_list(wanted: Iterable[Any], found: Any, field: str) -> bool:
    wanted = list(wanted)
    if not isinstance(found, list | tuple):
        return False
    key = LIST_KEYS.get(field)
    if key is not None and all(isinstance(entry, Mapping) and key in entry for entry in wanted):
        found_by_key = {entry.get(key): entry for entry in found if isinstance(entry, Mapping)}
        return all(
            entry[key] in found_by_key and conforms(entry, found_by_key[entry[key]])
            for entry in wanted
        )
    return len(wanted) == len(found) and all(map(conforms, wanted, found))


def _amount(quantity: object) -> object:
    found = amount(str(quantity))
    return quantity if found is None else found


@dataclass(frozen=True, slots=True)
class _Parts:
    """One plan for each sort of thing that an owner can have."""

    children: Plan[Child, ChildRef]
    streams: Plan[Stream, str]
    buckets: Plan[Bucket, str]
    consumers: Plan[Consumer, ConsumerRef]
    entries: Plan[KvEntry, EntryRef]


def changes(
    desired: Desired,
    children: Children,
    queue: QueueState | None,
    *,
    owner: str,
    url: str | None = None,
    was_programmed: bool = False,
) -> Changes:
    """What turns the observed children and queue of one owner into what it desires.

    Args:
        desired: everything there is to be.
        children: every child there is.
        queue: what there is of it that is this owner's, or may be; None if there is no queue.
        owner: what streams and buckets say whose they are; others' are left alone.
        url: of the queue.
        was_programmed: all of it was there before, so whatever is missing was taken away.
    """
    blocked = _blocked(desired, queue)
    facts = queue if isinstance(queue, QueueFacts) and blocked is None else None
    parts = _plan_parts(desired, children, facts, owner)
    return Changes(
        url=url,
        steps=tuple(_steps(desired, parts, facts)),
        repairs=tuple(_repairs(parts)) if was_programmed else (),
        blocked=blocked,
    )


def _blocked(desired: Desired, queue: QueueState | None) -> Failure | None:
    if isinstance(queue, Unavailable):
        return _pending(queue.reason, unknown=True)
    if queue is None:
        return None
    foreign = _foreign(desired.streams, queue.streams) or _foreign(desired.buckets, queue.buckets)
    if foreign is not None:
        message = (
            f"the queue has {foreign.name} already, and it is not of {foreign.owner}; "
            "take it away, or choose another name or namespace"
        )
        return Failure(
            origin=Origin.QUEUE,
            reason=ProgrammedReason.STREAM_CONFLICT,
            message=message,
            retry_after=LONG_RETRY,
        )
    made = {stream.name for stream in desired.streams}
    for consumer in desired.consumers:
        if consumer.stream in made:
            continue
        stream = queue.streams.get(consumer.stream)
        if stream is None:
            return _pending(f"the Stack has not made its stream {consumer.stream} yet")
        if not _takes(stream, consumer.filter_subject):  # it is of an older version of ours
            subject = consumer.filter_subject
            return _pending(f"the Stack has not let its stream {stream.name} take {subject} yet")
    return None


def _takes(stream: Stream, subject: str) -> bool:
    """Whether a stream keeps what is published to `subject`; its own end in `>`."""
    return any(subject.startswith(own.removesuffix(">")) for own in stream.subjects)


def _pending(message: str, *, unknown: bool = False) -> Failure:
    return Failure(
        origin=Origin.QUEUE,
        reason=ProgrammedReason.PENDING,
        message=message,
        unknown=unknown,
        retry_after=RETRY,
    )


def _foreign[T: (Stream, Bucket)](wanted: Iterable[T], found: Mapping[str, T]) -> T | None:
    return next(
        (one for one in wanted if one.name in found and found[one.name].owner != one.owner), None
    )


def _plan_parts(
    desired: Desired, children: Children, facts: QueueFacts | None, owner: str
) -> _Parts:
    return _Parts(
        children=_dropping(
            plan(
                {child.ref: child for child in desired.children},
                children,
                lambda child, found: conforms(child.manifest, found),
            ),
            keeps=desired.keeps_children,
        ),
        streams=_owned(desired.streams, facts.streams if facts else None, owner, desired),
        buckets=_owned(desired.buckets, facts.buckets if facts else None, owner, desired),
        consumers=_dropping(
            plan({one.ref: one for one in desired.consumers}, facts.consumers) if facts else Plan(),
            keeps=desired.keeps_queue,
        ),
        entries=_dropping(_plan_entries(desired, facts), keeps=desired.keeps_queue),
    )


def _dropping[T, R](parts: Plan[T, R], *, keeps: bool) -> Plan[T, R]:
    return replace(parts, delete=()) if keeps else parts


def _owned[T: (Stream, Bucket)](
    wanted: Iterable[T], found: Mapping[str, T] | None, owner: str, desired: Desired
) -> Plan[T, str]:
    if found is None:
        return Plan()
    own = {name: one for name, one in found.items() if one.owner == owner}
    parts = plan({one.name: one for one in wanted}, own)
    return _dropping(parts, keeps=desired.keeps_queue)


def _plan_entries(desired: Desired, facts: QueueFacts | None) -> Plan[KvEntry, EntryRef]:
    if facts is None:
        return Plan()
    own = {ref: value for ref, value in facts.entries.items() if ref not in desired.not_ours}
    return plan(
        {entry.ref: entry for entry in desired.entries},
        own,
        lambda entry, value: entry.value == value,
    )


def _steps(desired: Desired, parts: _Parts, facts: QueueFacts | None) -> Iterator[Step]:
    bound = frozenset(desired.bound)
    yield from _child_steps(parts.children, lambda ref: ref not in bound)
    gone = sorted(parts.children.delete, key=lambda ref: ref.kind not in WORKLOADS)
    yield from (DeleteChild(ref) for ref in gone)
    if facts is not None:
        yield from _removals(desired, parts, facts)
        yield from _queue_steps(parts)
    yield from _child_steps(
        parts.children if facts is not None else replace(parts.children, create=()),
        lambda ref: ref in bound,
    )
    for entry in (*parts.entries.create, *parts.entries.update):
        if _is_listing(entry.ref):
            yield ApplyQueue(entry)


def _child_steps(
    children: Plan[Child, ChildRef], is_meant: Callable[[ChildRef], bool]
) -> Iterator[Step]:
    yield from (ApplyChild(one, force=False) for one in children.create if is_meant(one.ref))
    yield from (ApplyChild(one, force=True) for one in children.update if is_meant(one.ref))


def _removals(desired: Desired, parts: _Parts, facts: QueueFacts) -> Iterator[Step]:
    entries = sorted(parts.entries.delete, key=_is_listing, reverse=True)
    yield from (DeleteEntry(ref) for ref in entries if _is_listing(ref))
    yield from (Purge(stream, subject) for stream, subject in desired.purges)
    for ref in parts.consumers.delete:
        # First the messages: a consumer that is gone tells nobody what it had before it.
        subject = facts.consumers[ref].filter_subject
        if subject and (ref.stream, subject) not in desired.purges:
            yield Purge(ref.stream, subject)
        yield DeleteConsumer(ref)
    yield from (DeleteEntry(ref) for ref in entries if not _is_listing(ref))
    yield from (DeleteStream(name) for name in parts.streams.delete)
    yield from (DeleteStream(f"KV_{name}") for name in parts.buckets.delete)


def _queue_steps(parts: _Parts) -> Iterator[Step]:
    for group in (parts.streams, parts.buckets, parts.consumers):
        yield from (ApplyQueue(thing) for thing in (*group.create, *group.update))
    for entry in (*parts.entries.create, *parts.entries.update):
        if not _is_listing(entry.ref):
            yield ApplyQueue(entry)


def _is_listing(ref: EntryRef) -> bool:
    return ref.bucket.endswith(f"_{BucketName.CATALOGUE}")


def _repairs(parts: _Parts) -> Iterator[str]:
    yield from (f"{child.ref} was gone; it is made again" for child in parts.children.create)
    yield from (f"stream {one.name} was gone; it is made again" for one in parts.streams.create)
    yield from (f"bucket {one.name} was gone; it is made again" for one in parts.buckets.create)
    for one in parts.consumers.create:
        yield f"consumer {one.durable} of {one.stream} was gone; it is made again"
    for one in parts.consumers.update:
        yield f"consumer {one.durable} of {one.stream} had been changed; it is as it was"
    yield from (f"entry {one.key} was gone; it is made again" for one in parts.entries.create)
