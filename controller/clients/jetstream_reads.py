"""What there is in a queue: questions to JetStream's API, and what its answers mean.

Source:
    NATS documentation, "JetStream wire API Reference"; read against nats-server 2.15.1.
"""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, Protocol

from controller.clients.jetstream_json import (
    Json,
    bucket_prefix,
    bucket_stream,
    read_backlog,
    read_bucket,
    read_consumer,
    read_stored,
    read_stream,
)
from controller.model import (
    Backlog,
    Bucket,
    Consumer,
    ConsumerRef,
    EntryRef,
    QueueFacts,
    QueueQuery,
    Stored,
    Stream,
)

AT_ONCE: Final = 256
"""Keys that are asked for at the same time: a long wait for all of them is no outage."""

PLACES_AT_ONCE: Final = 8
"""Messages that are read at the same time; each may be as large as the queue takes."""


class Finds(Protocol):
    """Whoever can ask JetStream."""

    async def find(self, what: str, question: Json) -> Json | None:
        """The answer to `$JS.API.<what>`; None when there is no such thing."""
        ...


async def observe(queue: Finds, query: QueueQuery) -> QueueFacts:
    """What there is of what `query` asks for."""
    streams, buckets, consumers, entries = await asyncio.gather(
        _streams(queue, query),
        _buckets(queue, query),
        _consumers(queue, query),
        _entries(queue, query),
    )
    return QueueFacts(
        streams={stream.name: stream for stream in streams},
        buckets={bucket.name: bucket for bucket in buckets},
        consumers={ref: consumer for ref, (consumer, _) in consumers.items()},
        backlogs={ref: backlog for ref, (_, backlog) in consumers.items()},
        entries=entries,
    )


async def count(queue: Finds, bucket: str, pattern: str, is_meant: Callable[[bytes], bool]) -> int:
    """How many keys have a value that is meant; no more than `AT_ONCE` values are held at once."""
    meant = 0
    async for refs in _pages(queue, bucket, pattern):
        for some in itertools.batched(refs, AT_ONCE):
            values = await _all(newest(queue, ref) for ref in some)
            meant += sum(is_meant(value) for value in values if value is not None)
    return meant


async def stream_there(queue: Finds, stream: str) -> Stream | None:
    """The stream of that name as it is, whosever it is."""
    info = await _stream_info(queue, stream)
    return None if info is None else read_stream(info["config"])


async def newest(queue: Finds, ref: EntryRef) -> bytes | None:
    """The value of a key; None if it is not there, was deleted, or there is no such bucket."""
    question = {"last_by_subj": f"{bucket_prefix(ref.bucket)}{ref.key}"}
    answer = await queue.find(f"STREAM.MSG.GET.{bucket_stream(ref.bucket)}", question)
    if answer is None:
        return None
    message = answer["message"]
    if b"KV-Operation:" in base64.b64decode(message.get("hdrs", "")):
        return None
    return base64.b64decode(message.get("data", ""))


async def stored(queue: Finds, stream: str) -> AsyncIterator[Stored]:
    """The messages of `stream`, newest first; none if there is no such stream."""
    info = await _stream_info(queue, stream)
    state = info["state"] if info else {"first_seq": 0, "last_seq": 0}
    # Backwards, place by place: a stream that forgets the oldest first has hardly any gaps. One
    # that never had a message begins at 0, where no message can be.
    places = range(state["last_seq"], max(state["first_seq"], 1) - 1, -1)
    for some in itertools.batched(places, PLACES_AT_ONCE):
        for message in await _all(stored_at(queue, stream, place) for place in some):
            if message is not None:
                yield message


async def stored_at(queue: Finds, stream: str, sequence: int) -> Stored | None:
    """The message at one place of `stream`; None if there is none."""
    answer = await queue.find(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
    return None if answer is None else read_stored(answer["message"])


async def _streams(queue: Finds, query: QueueQuery) -> list[Stream]:
    infos = await _all(_stream_info(queue, name) for name in query.streams)
    return [read_stream(info["config"]) for info in infos if info]


async def _buckets(queue: Finds, query: QueueQuery) -> list[Bucket]:
    infos = await _all(_stream_info(queue, bucket_stream(name)) for name in query.buckets)
    return [read_bucket(info["config"]) for info in infos if info]


async def _stream_info(queue: Finds, name: str) -> Json | None:
    return await queue.find(f"STREAM.INFO.{name}", {})


async def _consumers(
    queue: Finds, query: QueueQuery
) -> dict[ConsumerRef, tuple[Consumer, Backlog]]:
    named = [_consumer(queue, *one) for one in query.consumers]
    every = [_consumers_of(queue, stream) for stream in query.all_consumers_of]
    found = await _all([*named, *every])
    return {
        consumer.ref: (consumer, read_backlog(info))
        for infos in found
        for info in infos
        for consumer in [read_consumer(info)]
    }


async def _consumer(queue: Finds, stream: str, durable: str, filter_subject: str) -> list[Json]:
    """The durable; or, if it is not there, whoever stands where it would."""
    info = await queue.find(f"CONSUMER.INFO.{stream}.{durable}", {})
    if info is not None:
        return [info]
    others = await _consumers_of(queue, stream)
    return [one for one in others if read_consumer(one).filter_subject == filter_subject]


async def _consumers_of(queue: Finds, stream: str) -> list[Json]:
    found: list[Json] = []
    while True:
        page = await queue.find(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
        fresh = page["consumers"] if page else []
        found += fresh
        if page is None or not fresh or len(found) >= page["total"]:
            return found


async def _entries(queue: Finds, query: QueueQuery) -> dict[EntryRef, bytes]:
    every = await _all(_refs(queue, bucket, pattern) for bucket, pattern in query.entries)
    refs = dict.fromkeys(ref for some in every for ref in some)
    found: dict[EntryRef, bytes] = {}
    for some in itertools.batched(refs, AT_ONCE):
        values = await _all(newest(queue, ref) for ref in some)
        found |= {ref: value for ref, value in zip(some, values, strict=True) if value is not None}
    return found


async def _refs(queue: Finds, bucket: str, pattern: str) -> list[EntryRef]:
    if not {"*", ">"} & set(pattern.split(".")):
        return [EntryRef(bucket, pattern)]
    return [ref async for page in _pages(queue, bucket, pattern) for ref in page]


async def _pages(queue: Finds, bucket: str, pattern: str) -> AsyncIterator[list[EntryRef]]:
    """The keys that match, as many at a time as JetStream tells at once."""
    prefix, seen = bucket_prefix(bucket), 0
    while True:
        question = {"subjects_filter": f"{prefix}{pattern}", "offset": seen}
        info = await queue.find(f"STREAM.INFO.{bucket_stream(bucket)}", question)
        subjects = info["state"].get("subjects") or {} if info else {}
        yield [EntryRef(bucket, subject.removeprefix(prefix)) for subject in subjects]
        seen += len(subjects)
        if info is None or not subjects or seen >= info.get("total", 0):
            return


async def _all[T](questions: Iterable[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*questions))
