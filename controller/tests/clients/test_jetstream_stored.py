"""Reading the messages of a stream, on a real NATS server behind a real auth callout."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from controller.clients.jetstream import JetStream
from controller.model import Discard, Retention, Stored, Stream
from runtime.tests.nats import RunningStack

pytestmark = pytest.mark.integration

ROOT = "k8gentai.team.default"
LOG = Stream(
    name="team_default_LOG",
    owner="Stack team/default",
    subjects=(f"{ROOT}.a.>",),
    retention=Retention.LIMITS,
    discard=Discard.OLD,
    duplicate_window=timedelta(seconds=30),
)


async def newest_first(streams: JetStream, queue: RunningStack) -> list[Stored]:
    return [one async for one in streams.stored(queue.url, LOG.name)]


async def test_messages_come_newest_first_with_all_they_hold(
    streams: JetStream, queue: RunningStack
) -> None:
    assert await newest_first(streams, queue) == [], "there is no such stream"
    await streams.apply(queue.url, LOG)
    assert await newest_first(streams, queue) == [], "there was never a message"
    began = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(1, 21):
        headers = {"Number": f"n: {number}", "Other": ""}
        await queue.put(f"{ROOT}.a.{number}", b"\x00%d" % number, headers)

    found = await newest_first(streams, queue)

    assert [one.sequence for one in found] == [*range(20, 0, -1)]
    assert all(began < one.time < datetime.now(UTC) for one in found)
    assert dataclasses.replace(found[0], time=began) == Stored(
        20, f"{ROOT}.a.20", {"Number": "n: 20", "Other": ""}, b"\x0020", began
    )
    assert await streams.stored_at(queue.url, LOG.name, 20) == found[0]


async def test_gaps_are_passed_over(streams: JetStream, queue: RunningStack) -> None:
    await streams.apply(queue.url, LOG)
    for number in range(1, 21):
        await queue.put(f"{ROOT}.a.{number % 2}", b"")
    await streams.purge(queue.url, LOG.name, f"{ROOT}.a.0")

    assert [one.sequence for one in await newest_first(streams, queue)] == [*range(19, 0, -2)]
    assert await streams.stored_at(queue.url, LOG.name, 20) is None
    await streams.purge(queue.url, LOG.name, f"{ROOT}.a.>")
    assert await newest_first(streams, queue) == []
