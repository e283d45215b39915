"""What the operator's client promises, on a real NATS server behind a real auth callout."""

import asyncio
import contextlib
import dataclasses
import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock
import pytest

from controller.clients.jetstream import ANSWER_SECONDS, CONNECT_SECONDS, JetStream
from controller.errors import QueueRefused, QueueUnavailable
from controller.local.issuer import LocalIssuer
from controller.model import (
    Backlog,
    Bucket,
    Consumer,
    Discard,
    EntryRef,
    KvEntry,
    QueueFacts,
    QueueQuery,
    QueueThing,
    Retention,
    Stream,
)
from runtime.tests.nats import OPERATOR, OPERATOR_WORKLOAD, RunningStack

pytestmark = pytest.mark.integration

OWNER = "Stack team/default"
ROOT = "k8gentai.team.default"
WORK = Stream(
    name="team_default_WORK",
    owner=OWNER,
    subjects=(f"{ROOT}.work.>",),
    retention=Retention.WORK_QUEUE,
    discard=Discard.NEW,
    max_bytes=1 << 20,
    max_messages_per_subject=1000,
    discard_new_per_subject=True,
)
LOG = Stream(
    name="team_default_LOG",
    owner=OWNER,
    subjects=(f"{ROOT}.a.>", f"{ROOT}.b.*"),
    retention=Retention.LIMITS,
    discard=Discard.OLD,
    max_age=timedelta(seconds=30),
    duplicate_window=timedelta(seconds=30),
)
NOTES = Bucket(name="team_default_notes", owner=OWNER, ttl=timedelta(hours=1), max_bytes=1 << 20)
PLAIN = Bucket(name="team_default_plain", owner=OWNER)
CURSOR = Consumer(
    stream=WORK.name,
    durable="math-0a1b2c3d",
    filter_subject=f"{ROOT}.work.team.math",
    owner="Agent team/math 7f4c1e1e",
    ack_wait=timedelta(seconds=10),
    max_deliver=100,
    max_ack_pending=40,
)
WHOLE = dataclasses.replace(
    CURSOR, stream=LOG.name, durable="all", filter_subject="", max_deliver=-1
)
NOTE = KvEntry(bucket=NOTES.name, key="agents.team.math", value=b"\x00 a value")
EVERYTHING: tuple[QueueThing, ...] = (WORK, LOG, NOTES, PLAIN, CURSOR, WHOLE, NOTE)
QUERY = QueueQuery(
    streams=(WORK.name, LOG.name),
    buckets=(NOTES.name, PLAIN.name),
    consumers=((CURSOR.stream, CURSOR.durable, CURSOR.filter_subject),),
    all_consumers_of=(LOG.name,),
    entries=((NOTES.name, "agents.*.*"), (PLAIN.name, ">")),
)
FACTS = QueueFacts(
    streams={WORK.name: WORK, LOG.name: LOG},
    buckets={NOTES.name: NOTES, PLAIN.name: PLAIN},
    consumers={CURSOR.ref: CURSOR, WHOLE.ref: WHOLE},
    backlogs={CURSOR.ref: Backlog(), WHOLE.ref: Backlog()},
    entries={NOTE.ref: NOTE.value},
)


async def _apply(streams: JetStream, url: str, *things: QueueThing) -> None:
    for thing in things:
        await streams.apply(url, thing)


def _signal(queue: RunningStack, what: signal.Signals) -> None:
    process = queue.server._process
    assert process is not None
    process.send_signal(what)
    # The kernel stops its threads one after the other.
    while what is signal.SIGSTOP and psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


async def test_what_was_applied_is_what_is_observed(
    streams: JetStream, queue: RunningStack
) -> None:
    await _apply(streams, queue.url, *EVERYTHING, *EVERYTHING)

    assert await streams.observe(queue.url, QUERY) == FACTS


async def test_what_is_not_there_is_absent(streams: JetStream, queue: RunningStack) -> None:
    assert await streams.observe(queue.url, QUERY) == QueueFacts()


async def test_values_are_counted(streams: JetStream, queue: RunningStack) -> None:
    notes = [
        KvEntry(bucket=NOTES.name, key=f"agents.team.{place}", value=str(place % 3).encode())
        for place in range(7)
    ]
    await _apply(streams, queue.url, NOTES, *notes, NOTE)
    await streams.delete_entry(queue.url, notes[0].ref)

    async def count(pattern: str, bucket: str = NOTES.name) -> int:
        return await streams.count(queue.url, bucket, pattern, lambda value: value == b"0")

    assert await count("agents.team.*") == 2
    assert await count("agents.other.*") == 0
    assert await count(">", "team_default_nothing") == 0


async def test_a_change_arrives(streams: JetStream, queue: RunningStack) -> None:
    changed: tuple[QueueThing, ...] = (
        dataclasses.replace(WORK, max_bytes=2 << 20),
        dataclasses.replace(NOTES, ttl=timedelta()),
        dataclasses.replace(CURSOR, max_deliver=7, ack_wait=timedelta(seconds=20)),
        dataclasses.replace(NOTE, value=b"another"),
    )
    await _apply(streams, queue.url, *EVERYTHING, *changed)

    facts = await streams.observe(queue.url, QUERY)

    found: list[object] = [
        facts.streams[WORK.name],
        facts.buckets[NOTES.name],
        facts.consumers[CURSOR.ref],
        KvEntry(NOTE.bucket, NOTE.key, facts.entries[NOTE.ref]),
    ]
    assert found == list(changed)


async def test_a_stream_of_somebody_else_is_left_alone(
    streams: JetStream, queue: RunningStack
) -> None:
    subjects = queue.subjects
    foreign = dataclasses.replace(WORK, name=f"{subjects.root}".replace(".", "_"))
    async with queue.connect_as(OPERATOR_WORKLOAD) as client:
        await client.jsm().add_stream(name=foreign.name, subjects=["orders.>"])
        await client.jetstream().publish(f"{ROOT}.events.x", b"hello")

        with pytest.raises(QueueRefused, match="there is a stream of that name, of somebody else"):
            await streams.apply(queue.url, foreign)

        info = await client.jsm().stream_info(foreign.name)
    assert info.config.subjects == ["orders.>"]
    query = QueueQuery(streams=(foreign.name,))
    assert (await streams.observe(queue.url, query)).streams[foreign.name].owner == ""


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        pytest.param(
            dataclasses.replace(WORK, name="other"), "overlap", id="subjects of another stream"
        ),
        pytest.param(
            dataclasses.replace(WORK, retention=Retention.LIMITS),
            "retention policy",
            id="a property that cannot change",
        ),
        pytest.param(
            dataclasses.replace(CURSOR, durable="other"), "not unique", id="an overlapping filter"
        ),
        pytest.param(
            dataclasses.replace(NOTE, value=bytes(2 << 20)), "too many", id="more than a message"
        ),
        pytest.param(
            dataclasses.replace(WORK, name="big", subjects=("x",), max_bytes=1 << 60),
            "insufficient storage",
            id="no space",
        ),
    ],
)
async def test_what_nats_does_not_accept_is_said_in_its_words(
    streams: JetStream, queue: RunningStack, thing: QueueThing, words: str
) -> None:
    await _apply(streams, queue.url, WORK, NOTES, CURSOR)

    with pytest.raises(QueueRefused, match=words):
        await streams.apply(queue.url, thing)


@pytest.mark.parametrize("thing", [CURSOR, NOTE], ids=["consumer", "entry"])
async def test_what_has_no_place_yet_is_tried_again(
    streams: JetStream, queue: RunningStack, thing: QueueThing
) -> None:
    said = ""
    async with asyncio.timeout(60):
        while not said or "not let in" in said:  # a busy trust plane takes its time
            with pytest.raises(QueueUnavailable) as refused:
                await streams.apply(queue.url, thing)
            said = str(refused.value)

    assert "not there yet" in said


async def test_who_stands_in_a_consumers_place_is_found(
    streams: JetStream, queue: RunningStack
) -> None:
    """A re-created Agent has another durable; the old one would refuse its filter."""
    before = dataclasses.replace(CURSOR, durable="math-ffffffff", owner="Agent team/math old")
    await _apply(streams, queue.url, WORK, before)

    facts = await streams.observe(queue.url, QUERY)

    assert facts.consumers == {before.ref: before}


async def test_every_consumer_is_found_however_many(
    streams: JetStream, queue: RunningStack
) -> None:
    many = [
        dataclasses.replace(CURSOR, durable=f"a{n}", filter_subject=f"{ROOT}.work.team.a{n}")
        for n in range(300)
    ]
    await _apply(streams, queue.url, WORK)
    await asyncio.gather(*(streams.apply(queue.url, one) for one in many))

    facts = await streams.observe(queue.url, QueueQuery(all_consumers_of=(WORK.name,)))

    assert facts.consumers == {one.ref: one for one in many}


async def test_the_backlog_counts_what_waits_and_what_is_under_way(
    streams: JetStream, queue: RunningStack
) -> None:
    await _apply(streams, queue.url, WORK, CURSOR)
    async with queue.connect_as(OPERATOR_WORKLOAD) as client:
        jetstream = client.jetstream()
        for _ in range(3):
            await jetstream.publish(CURSOR.filter_subject, b"")
        await (await jetstream.pull_subscribe_bind(CURSOR.durable, stream=WORK.name)).fetch(1)

        facts = await streams.observe(queue.url, QUERY)

    assert facts.backlogs[CURSOR.ref] == Backlog(waiting=2, in_flight=1)


async def test_a_deleted_key_is_gone_and_watchers_are_told(
    streams: JetStream, queue: RunningStack
) -> None:
    other = KvEntry(NOTES.name, "agents.team.poet", b"stays")
    await _apply(streams, queue.url, NOTES, NOTE, other)
    subject = f"$KV.{NOTES.name}.{NOTE.key}"
    async with queue.connect_as(OPERATOR_WORKLOAD) as client:
        watching = await client.jetstream().subscribe(subject, ordered_consumer=True)
        assert (await watching.next_msg(5)).data == NOTE.value

        for _ in range(2):
            await streams.delete_entry(queue.url, NOTE.ref)
        facts = await streams.observe(queue.url, QUERY)
        mark = await watching.next_msg(5)
        await watching.unsubscribe()

    assert facts.entries == {other.ref: b"stays"}
    assert mark.headers is not None
    assert mark.headers["KV-Operation"] == "DEL"
    assert mark.headers["Nats-TTL"] == "60s", "no trace is left in the end"


async def test_removal_may_be_repeated_and_of_what_never_was(
    streams: JetStream, queue: RunningStack
) -> None:
    async def remove() -> None:
        await streams.delete_entry(queue.url, EntryRef(NOTES.name, NOTE.key))
        await streams.purge(queue.url, LOG.name, f"{ROOT}.a.>")
        await streams.delete_consumer(queue.url, CURSOR.ref)
        for stream in (WORK.name, LOG.name, f"KV_{NOTES.name}", f"KV_{PLAIN.name}"):
            await streams.delete_stream(queue.url, stream)

    await remove()
    await _apply(streams, queue.url, *EVERYTHING)
    await remove()
    await remove()

    assert await streams.observe(queue.url, QUERY) == QueueFacts()


async def test_a_purge_takes_just_its_subjects(streams: JetStream, queue: RunningStack) -> None:
    other = KvEntry(NOTES.name, "agents.other.math", b"stays")
    await _apply(streams, queue.url, NOTES, NOTE, other)

    await streams.purge(queue.url, f"KV_{NOTES.name}", f"$KV.{NOTES.name}.agents.team.>")

    assert (await streams.observe(queue.url, QUERY)).entries == {other.ref: b"stays"}


async def test_nats_that_is_down_costs_all_together_a_few_seconds(
    streams: JetStream, queue: RunningStack
) -> None:
    await _apply(streams, queue.url, WORK)
    await queue.server.stop(signal.SIGKILL)
    began = time.monotonic()

    answers = await asyncio.gather(
        *(streams.observe(queue.url, QUERY) for _ in range(200)), return_exceptions=True
    )

    assert time.monotonic() - began < 2 * ANSWER_SECONDS, "one may take that long, and no more do"
    assert {type(answer) for answer in answers} == {QueueUnavailable}
    assert all(f"{queue.url} cannot be reached" in str(answer) for answer in answers)
    assert all("Connect call failed" in str(answer) for answer in answers)


async def test_nats_that_comes_back_is_found_again(streams: JetStream, queue: RunningStack) -> None:
    await _apply(streams, queue.url, WORK)
    await queue.server.stop(signal.SIGKILL)
    with pytest.raises(QueueUnavailable):
        await streams.observe(queue.url, QUERY)

    await queue.server.start()

    facts = QueueFacts()
    async with asyncio.timeout(30):  # the trust plane has to come back to it, too
        while not facts.streams:
            with contextlib.suppress(QueueUnavailable):
                facts = await streams.observe(queue.url, QUERY)
    assert facts.streams == {WORK.name: WORK}


async def test_nats_that_hangs_is_waited_for_seconds(
    streams: JetStream, queue: RunningStack
) -> None:
    await _apply(streams, queue.url, WORK)
    _signal(queue, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(QueueUnavailable, match="no answer in time"):
            await streams.observe(queue.url, QUERY)
    finally:
        _signal(queue, signal.SIGCONT)

    assert time.monotonic() - began < CONNECT_SECONDS + ANSWER_SECONDS
    assert (await streams.observe(queue.url, QUERY)).streams == {WORK.name: WORK}


async def test_a_connection_is_renewed_before_its_proof_ends(
    streams: JetStream, queue: RunningStack, token_file: Path
) -> None:
    """Tokens that live for two seconds are no reason for one question to fail."""
    began, names = time.monotonic(), set()
    async with queue.connect_as(OPERATOR_WORKLOAD) as client:
        while time.monotonic() - began < 6:
            queue.issuer.write_token(token_file, OPERATOR, 2)
            await streams.observe(queue.url, QUERY)
            names.add(id(streams._doors[queue.url]._client))
            await asyncio.sleep(0.02)
        assert client.is_connected

    assert len(names) >= 3, "several connections have followed each other"


async def test_trust_that_is_away_leaves_an_open_connection_as_it_is(
    streams: JetStream, queue: RunningStack, token_file: Path
) -> None:
    queue.issuer.write_token(token_file, OPERATOR, 6)
    await streams.observe(queue.url, QUERY)
    await queue.stop_trust()
    await asyncio.sleep(4.4)  # past seven tenths of its life: it tries to renew, in vain
    began = time.monotonic()

    await streams.observe(queue.url, QUERY)

    assert time.monotonic() - began < 1


async def test_who_is_not_the_operator_is_not_let_in(queue: RunningStack, tmp_path: Path) -> None:
    path = tmp_path / "foreign.token"
    LocalIssuer("k8gentai").write_token(path, OPERATOR, 3600)

    async with JetStream(OPERATOR, path).running() as streams:
        with pytest.raises(QueueUnavailable, match=f"{queue.url} cannot be reached"):
            await streams.observe(queue.url, QUERY)


@pytest.mark.parametrize("text", [None, "", "no token", "a.b.c"])
async def test_without_a_proof_the_way_is_closed(
    queue: RunningStack, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "broken.token"
    if text is not None:
        path.write_text(text)

    async with JetStream(OPERATOR, path).running() as streams:
        with pytest.raises(QueueUnavailable, match=r"broken\.token"):
            await streams.observe(queue.url, QUERY)


async def test_forget_does_not_end_those_who_wait_for_the_connection(
    streams: JetStream, queue: RunningStack
) -> None:
    """A Stack that goes closes the way; its Tools may be about to ask, and must live on."""
    await queue.stop_trust()  # so that a handshake takes its time
    asking = [asyncio.create_task(streams.observe(queue.url, QUERY)) for _ in range(3)]
    await asyncio.sleep(0.2)  # their handshakes are under way by then

    await streams.forget(queue.url)

    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {QueueUnavailable}


async def test_forget_closes_and_the_next_question_opens(
    streams: JetStream, queue: RunningStack
) -> None:
    await _apply(streams, queue.url, WORK)
    client = streams._doors[queue.url]._client
    await streams.forget(queue.url)
    await streams.forget(queue.url)

    assert client is not None
    assert client.is_closed
    assert (await streams.observe(queue.url, QUERY)).streams == {WORK.name: WORK}
