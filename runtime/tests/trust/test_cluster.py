"""Three servers are one queue: whoever is let in by one of them reaches the streams on all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.contract.keys import run_key
from runtime.contract.subjects import Bucket, Stream, inbox
from runtime.contract.value import ObjectName
from runtime.tests.nats import RunningStack, running_stack, service_account

pytestmark = pytest.mark.integration

A = ObjectName(namespace="team", name="a")


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[RunningStack]:
    stack = ObjectName(namespace="team", name="default")
    async with running_stack(stack, tmp_path, replicas=3) as running:
        yield running


async def test_a_worker_does_its_work_by_way_of_any_server(three: RunningStack) -> None:
    agent = await three.agent("a")
    subjects, own_inbox = three.subjects, inbox(service_account(agent))
    for number, server in enumerate(three.servers):
        by_one = replace(three, servers=(server,))
        await three.put(subjects.tasks(A), b"work %d" % number)
        async with by_one.connect_as(agent) as client:
            arrived = await client.subscribe(f"{own_inbox}.pulled")
            pull = subjects.pull(Stream.TASKS, str(agent.durable))
            await client.publish(pull, b"", reply=f"{own_inbox}.pulled")
            delivery = await arrived.next_msg(timeout=5)
            assert delivery.data == b"work %d" % number
            await client.request(delivery.reply, b"+ACK", timeout=5)

            key = run_key(A, f"t{number}")
            await client.request(subjects.record(Bucket.RUNS, key), b"record", timeout=5)
            stored = await client.request(subjects.direct_get(Bucket.RUNS, key), timeout=5)
            assert stored.data == b"record"
