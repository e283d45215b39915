from datetime import timedelta

import pytest

from controller.desired.streams import (
    bucket_ttl,
    copies,
    desired_buckets,
    desired_streams,
    dispatcher_consumers,
)
from controller.model import Discard, Retention
from controller.tests.desired.views import the_stack
from controller.tests.fakes import SITE
from runtime.contract.subjects import Bucket, Stream

STACK = the_stack(
    messaging={"managed": {"replicas": 5, "storage": "1Gi"}},
    retention={"taskSeconds": 100, "eventSeconds": 10, "deadLetterSeconds": 1000},
)
STREAMS = {stream.name.rpartition("_")[2]: stream for stream in desired_streams(STACK, SITE)}


def test_every_stream_and_bucket_of_the_contract_is_made() -> None:
    assert set(STREAMS) == {stream.value for stream in Stream}
    assert {one.name for one in desired_buckets(STACK, SITE)} == {
        f"team_default_{bucket}" for bucket in Bucket
    }


@pytest.mark.parametrize("name", ["TASKS", "CALLS"])
def test_work_is_refused_rather_than_forgotten(name: str) -> None:
    stream = STREAMS[name]

    assert (stream.retention, stream.discard) == (Retention.WORK_QUEUE, Discard.NEW)
    assert stream.max_age == timedelta()
    assert stream.discard_new_per_subject
    assert stream.max_messages_per_subject > 0
    assert stream.max_bytes > 0


def test_events_last_as_long_as_a_task_may_and_then_as_long_as_promised() -> None:
    # A run works for 100 s, waits for people for 100 s, and can be followed for 10 s more.
    assert STREAMS["EVENTS"].max_age == timedelta(seconds=210)
    assert STREAMS["DEAD"].max_age == timedelta(seconds=1000)


def test_a_dead_letter_is_kept_once_for_as_long_as_it_is_kept() -> None:
    assert STREAMS["DEAD"].duplicate_window == STREAMS["DEAD"].max_age


def test_no_stream_remembers_ids_longer_than_messages() -> None:
    """nats-server refuses a duplicate window above the age of the stream."""
    short = the_stack(retention={"taskSeconds": 1, "eventSeconds": 1, "deadLetterSeconds": 1})

    for stream in desired_streams(short, SITE):
        assert not stream.max_age or stream.duplicate_window <= stream.max_age


def test_advisories_of_both_queues_are_kept_for_the_dispatcher() -> None:
    assert STREAMS["ADVISORIES"].subjects == (
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.team_default_CALLS.*",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.team_default_TASKS.*",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.team_default_CALLS.*",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.team_default_TASKS.*",
    )
    consumer, _ = dispatcher_consumers(STACK)
    assert (consumer.stream, consumer.durable) == ("team_default_ADVISORIES", "dispatcher")
    assert consumer.max_deliver == -1


def test_what_agents_have_asked_for_is_apart_from_what_clients_want() -> None:
    assert STREAMS["TASKS"].subjects == (
        "k8gentai.team.default.asked.>",
        "k8gentai.team.default.tasks.>",
    )


def test_what_agents_ask_of_each_other_is_for_the_dispatcher() -> None:
    assert STREAMS["CALLS"].subjects == (
        "k8gentai.team.default.asks.>",
        "k8gentai.team.default.calls.>",
    )
    _, consumer = dispatcher_consumers(STACK)
    assert (consumer.stream, consumer.durable) == ("team_default_CALLS", "dispatcher")
    assert consumer.filter_subject == "k8gentai.team.default.asks.>"
    assert consumer.max_deliver == -1


def test_streams_and_buckets_fit_into_what_jetstream_takes() -> None:
    streams = [stream.max_bytes for stream in STREAMS.values()]
    buckets = [bucket.max_bytes for bucket in desired_buckets(STACK, SITE)]

    assert min(*streams, *buckets) > 0
    assert sum(streams + buckets) < 1024**3 * 3 / 4


def test_there_are_at_most_three_copies() -> None:
    assert {stream.replicas for stream in STREAMS.values()} == {3}
    assert copies(the_stack(messaging={"managed": {"replicas": 1}}), SITE) == 1
    assert copies(the_stack(messaging={"external": {"url": "nats://n:4222"}}), SITE) == 1


def test_a_run_record_outlasts_every_wait() -> None:
    """No Agent may have a longer timeout than `taskSeconds`."""
    kept = STACK.spec.retention

    for bucket in (Bucket.RUNS, Bucket.EFFECTS, Bucket.CHECKPOINTS):
        assert bucket_ttl(bucket, kept) > timedelta(seconds=kept.task_seconds)
    for bucket in (Bucket.CONVERSATIONS, Bucket.CATALOGUE, Bucket.POLICY):
        assert bucket_ttl(bucket, kept) == timedelta()
