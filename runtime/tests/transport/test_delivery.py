"""Deliveries on a real server: pulled ahead, kept alive, settled, handed back."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.desired.nats import MAX_PAYLOAD_BYTES
from runtime.contract.keys import run_key
from runtime.contract.subjects import DISPATCHER_DURABLE, Bucket, Stream, asked_durable
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack, prove, running_stack
from runtime.transport.jetstream import Link
from runtime.transport.keeper import Keeper
from runtime.transport.port import PayloadTooLarge, Stopped
from runtime.transport.pull import PullInbox

pytestmark = pytest.mark.integration

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")
ACK_WAIT = 1.0
SLOTS = 8


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[RunningStack]:
    async with running_stack(STACK, tmp_path) as running:
        yield running


async def math(nats: RunningStack, ack_wait: float = ACK_WAIT) -> Workload:
    workload = await nats.agent("math", ack_wait=ack_wait)
    assert workload.durable
    return workload


@contextlib.asynccontextmanager
async def worker(
    nats: RunningStack, workload: Workload, *, slots: int = 4, seconds: float = 3600
) -> AsyncIterator[PullInbox]:
    queue = nats.queue(workload, seconds)
    assert workload.durable
    async with nats.link_as(workload, seconds) as link:
        with Keeper(queue, prove(queue), ack_wait_seconds=ACK_WAIT) as keeper:
            while not keeper.is_open:
                await asyncio.sleep(0.01)
            inbox = await link.inbox(
                keeper, Stream.TASKS, workload.durable, slots=slots, hold_seconds=60
            )
            yield inbox
            await inbox.stop()


@contextlib.asynccontextmanager
async def publisher(nats: RunningStack) -> AsyncIterator[Link]:
    async with nats.link_as(await nats.serving(Role.SERVER)) as link:
        yield link


async def submit(link: Link, *texts: str) -> None:
    for text in texts:
        await link.outbox.publish(link.subjects.tasks(MATH), text.encode(), msg_id=text)


async def take(inbox: PullInbox, count: int) -> list[str]:
    taken = []
    for _ in range(count):
        delivery = await asyncio.wait_for(inbox.next(), 5)
        taken.append(delivery.data.decode())
        await delivery.ack()
    return taken


async def test_work_is_delivered_in_order_and_gone_when_acked(nats: RunningStack) -> None:
    workload = await math(nats)
    texts = [f"m{n}" for n in range(50)]
    async with publisher(nats) as link, worker(nats, workload) as inbox:
        await submit(link, *texts)
        assert await take(inbox, 50) == texts
    async with nats.link_as(await nats.serving(Role.DISPATCHER)) as link:
        assert await link.reader(Stream.TASKS).last(link.subjects.tasks(MATH)) is None


async def test_a_message_with_a_known_id_is_kept_once(nats: RunningStack) -> None:
    await math(nats)
    async with publisher(nats) as link:
        first = await link.outbox.publish(link.subjects.tasks(MATH), b"x", msg_id="x")
        again = await link.outbox.publish(link.subjects.tasks(MATH), b"x", msg_id="x")
    assert (again.sequence, again.duplicate) == (first.sequence, True)


@pytest.mark.parametrize("headers", [{}, {"Of-Some": "length"}], ids=["bare", "with headers"])
async def test_what_is_just_too_large_is_refused_and_breaks_no_connection(
    nats: RunningStack, headers: dict[str, str]
) -> None:
    """The server counts the headers, and breaks the connection of whoever sends too much."""
    await math(nats)
    async with publisher(nats) as link:
        subject, most, kept = link.subjects.tasks(MATH), MAX_PAYLOAD_BYTES, 0
        for size in range(most - 100, most + 2):
            with contextlib.suppress(PayloadTooLarge):
                await link.outbox.publish(subject, bytes(size), msg_id="x", headers=headers)
                kept = size
        assert (await link.outbox.publish(subject, b"x", msg_id="x", headers=headers)).duplicate
    assert most - 100 < kept < most


@pytest.mark.fault(2)
async def test_a_delivery_is_kept_while_the_event_loop_is_blocked(nats: RunningStack) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload) as inbox:
        await submit(link, "long")
        delivery = await asyncio.wait_for(inbox.next(), 5)
        time.sleep(3 * ACK_WAIT)  # an agent's code that never yields
        await delivery.ack()
        await submit(link, "next")
        following = await asyncio.wait_for(inbox.next(), 5)
        assert (following.data, following.number) == (b"next", 1)
        await following.ack()


async def test_a_delivery_nobody_holds_is_delivered_again(nats: RunningStack) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload) as inbox:
        await submit(link, "x")
        delivery = await asyncio.wait_for(inbox.next(), 5)
        await delivery.leave()
        again = await asyncio.wait_for(inbox.next(), ACK_WAIT + 2)
        assert (again.data, again.number) == (b"x", 2)
        await again.ack()


async def test_nak_hands_back_at_once_and_term_never(nats: RunningStack) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload, slots=1) as inbox:
        await submit(link, "x")
        await (await asyncio.wait_for(inbox.next(), 5)).nak()
        again = await asyncio.wait_for(inbox.next(), 1)
        assert again.number == 2
        await again.term("for good")
        await submit(link, "y")
        assert await take(inbox, 1) == ["y"]


async def test_what_a_stopped_worker_had_not_begun_goes_back(nats: RunningStack) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload, slots=4) as inbox:
        await submit(link, "a", "b", "c")
        begun = await asyncio.wait_for(inbox.next(), 5)
        await asyncio.sleep(0.1)  # the others have been pulled by then
        await inbox.stop()
        with pytest.raises(Stopped):
            await inbox.next()
        async with worker(nats, workload) as other:
            assert sorted(await take(other, 2)) == ["b", "c"]
            await begun.ack()


async def test_all_slots_can_be_filled_after_requests_have_run_out(nats: RunningStack) -> None:
    """Some of a request's messages had come by then, and others had been asked for meanwhile."""
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload, slots=SLOTS) as inbox:
        for n in range(20):
            await submit(link, f"steady {n}")
            await take(inbox, 1)
            await asyncio.sleep(0.13)  # the request before has run out by then
        await submit(link, *(f"burst {n}" for n in range(2 * SLOTS)))
        for _ in range(SLOTS):
            await asyncio.wait_for(inbox.next(), 0.8)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.next(), 0.5)


async def test_an_inbox_that_grows_delivers_more_and_one_that_shrinks_less(
    nats: RunningStack,
) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload, slots=1) as inbox:
        await submit(link, *(f"m{n}" for n in range(4)))
        held = [await asyncio.wait_for(inbox.next(), 5)]
        await inbox.resize(2)
        held.append(await asyncio.wait_for(inbox.next(), 5))
        await inbox.resize(1)
        await held.pop().ack()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.next(), 0.3)
        await held.pop().ack()
        assert await take(inbox, 2) == ["m2", "m3"]


async def test_what_is_signalled_again_is_kept_once(nats: RunningStack) -> None:
    async with publisher(nats) as link, nats.link_as(await math(nats)) as agent:
        subject = link.subjects.events(MATH, "o", "t1")
        for _ in range(2):
            await agent.outbox.signal(subject, b"the end", msg_id="t1-end")
        await agent.outbox.publish(subject, b"after it")
        kept = link.reader(Stream.EVENTS).read(subject)
        assert [(await anext(kept)).data for _ in range(2)] == [b"the end", b"after it"]


async def test_who_stumbles_over_one_signal_hears_the_next_ones(
    nats: RunningStack, caplog: pytest.LogCaptureFixture
) -> None:
    """What is heard is taken where the connection is read, and must not end that."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    def on_signal(subject: str, _data: bytes) -> None:
        heard.put_nowait(subject)
        if subject.endswith("t1"):
            raise LookupError(subject)

    async with publisher(nats) as server, nats.link_as(await math(nats)) as link:
        listening = await link.outbox.listen(link.subjects.cancels(MATH), on_signal)
        await link.store(Bucket.RUNS).get(run_key(MATH, "t0"))  # by then it is known who listens
        subjects = [link.subjects.cancel(MATH, f"t{number}") for number in range(3)]
        for subject in subjects:
            await server.outbox.signal(subject)
        async with asyncio.timeout(5):
            assert [await heard.get() for _ in subjects] == subjects
        await listening.close()
    assert [record.message for record in caplog.records].count("a message was not taken") == 1


@pytest.mark.fault(25)
async def test_work_goes_on_while_credentials_are_renewed(nats: RunningStack) -> None:
    """Three renewals, each make before break; every message is taken exactly once."""
    workload = await math(nats)
    texts = [f"m{n}" for n in range(60)]
    async with publisher(nats) as link, worker(nats, workload, seconds=2) as inbox:
        taken: list[str] = []

        async def produce() -> None:
            for text in texts:
                await submit(link, text)
                nats.queue(workload, 2)  # the token file is renewed all the time
                await asyncio.sleep(0.1)

        producing = asyncio.create_task(produce())
        taken += await take(inbox, len(texts))
        await producing
    assert taken == texts


@pytest.mark.fault(12)
async def test_workers_come_back_after_the_server_was_killed(nats: RunningStack) -> None:
    workload = await math(nats)
    async with publisher(nats) as link, worker(nats, workload) as inbox:
        await submit(link, "before")
        await nats.server.stop(signal.SIGKILL)
        await nats.server.start()
        await submit(link, "after")
        # At least once: what was delivered just before the kill may come again.
        taken: set[str] = set()
        while taken != {"before", "after"}:
            taken.update(await take(inbox, 1))


async def test_a_worker_stops_although_its_server_goes_meanwhile(nats: RunningStack) -> None:
    """As when a namespace is deleted: pulls have just been ended, then nobody answers."""
    workload = await math(nats)
    async with (
        publisher(nats) as link,
        worker(nats, workload) as inbox,
        nats.connect_as(OPERATOR_WORKLOAD) as operator,
    ):
        await submit(link, "one", "two")
        await take(inbox, 2)  # so that several pulls are open
        tasks = nats.subjects.stream(Stream.TASKS)
        await operator.jetstream().delete_consumer(tasks, str(workload.durable))
        await asyncio.sleep(0.1)  # the open pulls have been ended by then
        stopping = asyncio.create_task(inbox.stop())
        await asyncio.sleep(0.3)  # it waits for its pulls by then

        await nats.server.stop(signal.SIGKILL)

        await asyncio.wait_for(stopping, 5)


async def test_two_inboxes_of_one_stream_have_each_its_own_deliveries(nats: RunningStack) -> None:
    """Those of an Agent: what fills one of them leaves the other its places."""
    workload = await math(nats)
    queue, durable = nats.queue(workload), str(workload.durable)
    subjects = (nats.subjects.tasks(MATH), nats.subjects.asked(MATH))
    async with nats.link_as(workload) as link:
        with Keeper(queue, prove(queue), ack_wait_seconds=ACK_WAIT) as keeper:
            inboxes = [
                await link.inbox(keeper, Stream.TASKS, one, slots=1, hold_seconds=60)
                for one in (durable, asked_durable(durable))
            ]
            for subject in subjects:
                await nats.put(subject, b"first")
                await nats.put(subject, b"second")
            for inbox, subject in zip(inboxes, subjects, strict=True):
                for data in (b"first", b"second"):
                    delivery = await asyncio.wait_for(inbox.next(), 5)
                    assert (delivery.subject, delivery.data) == (subject, data)
                    assert delivery.number == 1
                    await delivery.ack()
            for inbox in inboxes:
                await inbox.stop()


async def test_two_inboxes_of_one_connection_ask_each_for_itself(nats: RunningStack) -> None:
    """What ends a request of one must not have the other ask again, and both ask more and more."""
    dispatcher = await nats.serving(Role.DISPATCHER)
    queue, streams = nats.queue(dispatcher), (Stream.CALLS, Stream.ADVISORIES)
    async with (
        nats.link_as(dispatcher) as link,
        nats.connect_as(OPERATOR_WORKLOAD) as operator,
    ):
        infos = [
            f"$JS.API.CONSUMER.INFO.{link.subjects.stream(stream)}.{DISPATCHER_DURABLE}"
            for stream in streams
        ]
        with Keeper(queue, prove(queue), ack_wait_seconds=ACK_WAIT) as keeper:
            inboxes = [
                await link.inbox(keeper, stream, DISPATCHER_DURABLE, slots=4, hold_seconds=60)
                for stream in streams
            ]
            await asyncio.sleep(4)  # each request lives for one second here
            waiting = [
                json.loads((await operator.request(info)).data)["num_waiting"] for info in infos
            ]
            for inbox in inboxes:
                await inbox.stop()
    assert max(waiting) <= 1
