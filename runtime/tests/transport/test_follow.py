"""Following a stream or bucket that is deleted and made again, as after a loss of the disk."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from runtime.contract.keys import AGENT_ENTRIES
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Role
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack
from runtime.transport.port import Entry

pytestmark = pytest.mark.integration


async def remake(nats: RunningStack, stream: str) -> None:
    async with nats.connect_as(OPERATOR_WORKLOAD) as client:
        config = (await client.jsm().stream_info(stream)).config
        await client.jsm().delete_stream(stream)
        await client.jsm().add_stream(config)


async def values(watch: AsyncIterator[Entry | None], count: int) -> list[bytes | None]:
    async with asyncio.timeout(8):
        return [
            entry.value if entry else None for entry in [await anext(watch) for _ in range(count)]
        ]


@pytest.mark.parametrize("role", [Role.SERVER, Role.DISPATCHER])
@pytest.mark.parametrize("after", [1, 5])
async def test_a_bucket_that_is_made_again_is_still_watched(
    nats_stack: RunningStack, role: Role, after: int
) -> None:
    """With fewer keys than before, or with so many that the old position lies among them."""
    bucket = nats_stack.subjects.bucket(Bucket.CATALOGUE)
    async with (
        nats_stack.link_as(await nats_stack.serving(role)) as link,
        nats_stack.connect_as(OPERATOR_WORKLOAD) as operator,
    ):
        watch = link.store(Bucket.CATALOGUE).watch(AGENT_ENTRIES)
        await write(operator, bucket, b"old", 3)
        assert await values(watch, 4) == [b"old", b"old", b"old", None]

        await remake(nats_stack, f"KV_{bucket}")
        await write(operator, bucket, b"new", after)

        assert await values(watch, after) == [b"new"] * after


async def write(operator: Client, bucket: str, value: bytes, count: int) -> None:
    for number in range(count):
        await operator.jetstream().publish(f"$KV.{bucket}.agents.team.a{number}", value)


async def test_a_stream_that_is_made_again_is_still_read(nats_stack: RunningStack) -> None:
    subjects = nats_stack.subjects
    async with (
        nats_stack.link_as(await nats_stack.serving(Role.SERVER)) as link,
        nats_stack.connect_as(OPERATOR_WORKLOAD) as operator,
    ):
        subject = f"{subjects.root}.events.team.math.api.t1"
        for text in (b"1", b"2", b"3"):
            await operator.jetstream().publish(subject, text)
        reading = link.reader(Stream.EVENTS).read(subject, start_sequence=2)
        assert [(await anext(reading)).data for _ in range(2)] == [b"2", b"3"]

        await remake(nats_stack, subjects.stream(Stream.EVENTS))
        await operator.jetstream().publish(subject, b"4")

        assert (await asyncio.wait_for(anext(reading), 8)).data == b"4"
