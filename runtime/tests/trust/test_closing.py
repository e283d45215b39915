"""Rights that end, or change, while a connection is open: a real server closes it."""

import asyncio
import logging
import time

import nats.errors
import pytest

from runtime.contract.keys import run_key
from runtime.contract.subjects import Bucket, Stream, inbox
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.tests.nats import RunningStack, service_account
from runtime.transport.connection import Generation
from runtime.transport.jetstream import Link
from runtime.transport.port import Unavailable

pytestmark = pytest.mark.integration

A = ObjectName(namespace="team", name="a")
ADD = ObjectName(namespace="team", name="add")
SECONDS = 10.0


async def closed(generation: Generation) -> float:
    """For how long a connection was still open, in seconds."""
    began = time.monotonic()
    await asyncio.wait_for(generation.closed.wait(), SECONDS)
    return time.monotonic() - began


async def renewed(link: Link, before: Generation) -> Generation:
    """The connection that takes the place of one that was closed."""
    await closed(before)
    async with asyncio.timeout(SECONDS):
        while (now := await link.connection.current(SECONDS)) is before:
            await asyncio.sleep(0.05)
    return now


@pytest.mark.fault(26)
async def test_who_is_suspended_is_put_out_and_let_in_no_more(
    nats_stack: RunningStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    a, other = await nats_stack.agent("a"), await nats_stack.agent("b")
    s = nats_stack.subjects
    async with nats_stack.link_as(a) as link, nats_stack.link_as(other) as healthy:
        kept = await healthy.connection.current()

        await nats_stack.put_policy(a.model_copy(update={"suspended": True}))
        await closed(await link.connection.current())
        await nats_stack.put(s.tasks(A), b"work")

        with pytest.raises(nats.errors.AuthorizationError):
            await nats_stack.connect(token=nats_stack.issuer.token(service_account(a), 600))
        assert not link.is_open
        with pytest.raises(Unavailable):
            await link.connection.current(timeout=1)
        assert not kept.closed.is_set()

        await nats_stack.put_policy(a)
        await link.connection.current(SECONDS)
        async with nats_stack.connect_as(a) as client:
            waiting = await client.subscribe(f"{inbox(service_account(a))}.pulled")
            asked = s.pull(Stream.TASKS, str(a.durable))
            await client.publish(asked, b"", reply=waiting.subject)
            assert (await waiting.next_msg(timeout=2)).data == b"work"
    audited = [vars(one) for one in caplog.records if one.name == "k8gentai.audit"]
    assert {one["reason"] for one in audited if one["what"] == "refused"} == {"suspended"}
    (line,) = (one for one in audited if one["what"] == "closed")
    assert (line["who"], line["reason"]) == ("team/agent-a", "it has no rights any more")


@pytest.mark.fault(26)
async def test_who_is_deleted_is_put_out(nats_stack: RunningStack) -> None:
    a = await nats_stack.agent("a")
    async with nats_stack.link_as(a) as link:
        generation = await link.connection.current()

        await nats_stack.delete_policy(a)

        assert await closed(generation) < SECONDS
        with pytest.raises(Unavailable):
            await link.connection.current(timeout=0.5)


@pytest.mark.fault(26)
async def test_a_rule_that_goes_takes_the_right_from_an_open_connection(
    nats_stack: RunningStack,
) -> None:
    a = await nats_stack.agent("a", calls=[ADD])
    s = nats_stack.subjects
    async with nats_stack.link_as(a) as link:
        before = await link.connection.current()
        await link.outbox.publish(s.calls(ADD, A), b"1")

        without: Workload = a.model_copy(update={"calls": ()})
        await nats_stack.put_policy(without)
        now = await renewed(link, before)

        with pytest.raises(Unavailable):
            await now.request(s.calls(ADD, A), b"2", timeout=0.5)
        assert (await now.request(s.direct_get(Bucket.RUNS, run_key(A, "t1")), b"")).headers

        await nats_stack.put_policy(a)
        await renewed(link, now)
        await link.outbox.publish(s.calls(ADD, A), b"3")


async def test_what_has_not_changed_stays_connected(nats_stack: RunningStack) -> None:
    a = await nats_stack.agent("a", calls=[ADD])
    async with nats_stack.link_as(a) as link:
        generation = await link.connection.current()
        await nats_stack.put_policy(a)
        b = await nats_stack.agent("b")
        async with nats_stack.link_as(b) as other:
            await nats_stack.delete_policy(b)
            await closed(await other.connection.current())

        assert not generation.closed.is_set()
