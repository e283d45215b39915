"""What a workload may do on a real server, and that its replies reach nobody else's stream."""

import asyncio

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from runtime.contract.keys import ask_key, effect_key, functions_entry, run_key, tool_entry
from runtime.contract.subjects import (
    DISPATCHER_DURABLE,
    LIST_CONNECTIONS,
    Bucket,
    Stream,
    asked_durable,
    close_connection,
    inbox,
)
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack, service_account

pytestmark = pytest.mark.integration

A = ObjectName(namespace="team", name="a")
B = ObjectName(namespace="team", name="b")
ADD = ObjectName(namespace="team", name="add")
SUB = ObjectName(namespace="team", name="sub")
EMPTY, MALFORMED = b'{"no_wait": true}', b"{"


async def settled(client: Client) -> None:
    """Wait until the server has read, and answered, all that was sent."""
    for _ in range(2):  # the ping of nats.py's first flush overtakes what it should flush
        await client.flush()


async def pulled(client: Client, prefix: str, subject: str) -> Msg:
    """One delivery, asked for at `subject`; it keeps the subject it was published to."""
    inbox_subject = f"{prefix}.pulled"
    subscription = await client.subscribe(inbox_subject)
    await client.publish(subject, b"", reply=inbox_subject)
    return await subscription.next_msg(timeout=2)


async def refusals(running: RunningStack, client: Client, *publishes: str) -> list[str]:
    """Those of the subjects that the server lets `client` not publish to."""
    refused = []
    for subject in publishes:
        running.errors.clear()
        await client.publish(subject, b"")
        await settled(client)
        if any("permissions violation for publish" in str(e).lower() for e in running.errors):
            refused.append(subject)
    return refused


async def is_deaf(running: RunningStack, client: Client, subject: str) -> bool:
    """Whether the server lets `client` not subscribe to the subject."""
    running.errors.clear()
    subscription = await client.subscribe(subject)
    await settled(client)
    refused = any(
        "permissions violation for subscription" in str(e).lower() for e in running.errors
    )
    if not refused:
        await subscription.unsubscribe()
    return refused


async def messages(running: RunningStack) -> dict[str, int]:
    """How many messages each stream of the Stack holds."""
    async with running.connect_as(OPERATOR_WORKLOAD) as operator:
        infos = await operator.jsm().streams_info()
    return {str(info.config.name): info.state.messages for info in infos}


async def test_an_agent_may_do_its_work_and_nothing_else(nats_stack: RunningStack) -> None:
    a, b = await nats_stack.agent("a", calls=[ADD], asks=[B]), await nats_stack.agent("b")
    s = nats_stack.subjects
    runs, effects = s.bucket(Bucket.RUNS), s.bucket(Bucket.EFFECTS)
    allowed = (
        s.pull(Stream.TASKS, str(a.durable)),
        f"$JS.ACK.{s.stream(Stream.TASKS)}.{a.durable}.1.1.1.1.0",
        s.pull(Stream.TASKS, asked_durable(str(a.durable))),
        f"$JS.ACK.{s.stream(Stream.TASKS)}.{asked_durable(str(a.durable))}.1.1.1.1.0",
        s.events(A, "api", "t1"),
        s.calls(ADD, A),
        s.asks(B, A),
        s.record(Bucket.RUNS, run_key(A, "t1")),
        s.record(Bucket.CHECKPOINTS, run_key(A, "t1")),
        s.direct_get(Bucket.RUNS, run_key(A, "t1")),
        s.direct_get(Bucket.CHECKPOINTS, run_key(A, "t1")),
        s.direct_get(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.direct_get(Bucket.EFFECTS, ask_key(B, A, "t1", 1, 0)),
        s.direct_get(Bucket.CATALOGUE, functions_entry(ADD)),
        s.direct_get(Bucket.POLICY, "workloads.team.agent-a"),
    )
    refused = (
        s.tasks(A),
        s.tasks(B),
        s.asked(A),
        s.asked(B),
        s.pull(Stream.TASKS, str(b.durable)),
        s.pull(Stream.TASKS, asked_durable(str(b.durable))),
        s.pull(Stream.CALLS, str(a.durable)),
        f"$JS.ACK.{s.stream(Stream.TASKS)}.{b.durable}.1.1.1.1.0",
        s.events(B, "api", "t1"),
        s.calls(SUB, A),
        s.calls(ADD, B),
        s.asks(A, A),
        s.asks(B, B),
        s.pull(Stream.CALLS, DISPATCHER_DURABLE),
        s.record(Bucket.EFFECTS, ask_key(B, A, "t1", 1, 0)),
        s.wake(A, "w"),
        s.cancel(A, "t1"),
        s.record(Bucket.RUNS, run_key(B, "t1")),
        s.record(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.record(Bucket.CATALOGUE, functions_entry(ADD)),
        s.record(Bucket.POLICY, "workloads.team.agent-a"),
        s.record(Bucket.CONVERSATIONS, "heads.c1"),
        s.direct_get(Bucket.RUNS, run_key(B, "t1")),
        s.direct_get(Bucket.EFFECTS, effect_key(ADD, B, "t1", 1, 0)),
        s.direct_get(Bucket.CATALOGUE, functions_entry(SUB)),
        s.direct_get(Bucket.POLICY, "workloads.team.agent-b"),
        f"$JS.API.DIRECT.GET.KV_{s.bucket(Bucket.POLICY)}",
        LIST_CONNECTIONS,
        close_connection("*"),
        f"$JS.API.DIRECT.GET.KV_{runs}",
        f"$JS.API.DIRECT.GET.KV_{effects}.>",
        f"$JS.API.CONSUMER.CREATE.{s.stream(Stream.TASKS)}",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{s.stream(Stream.TASKS)}.x",
        f"$JS.API.CONSUMER.INFO.{s.stream(Stream.TASKS)}.{a.durable}",
        f"$JS.API.CONSUMER.DELETE.{s.stream(Stream.TASKS)}.{a.durable}",
        f"$JS.API.STREAM.INFO.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.MSG.GET.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.PURGE.{s.stream(Stream.TASKS)}",
        "$JS.API.STREAM.NAMES",
        "$SYS.REQ.USER.AUTH",
        "$SYS.REQ.USER.INFO",
        "anything",
    )
    own_inbox = inbox(service_account(a))
    async with nats_stack.connect_as(a) as client:
        assert await refusals(nats_stack, client, *allowed) == []
        assert await refusals(nats_stack, client, *refused) == list(refused)
        for subject in (f"{own_inbox}.>", s.wakes(A), s.cancels(A)):
            assert not await is_deaf(nats_stack, client, subject)
        for subject in (
            "_INBOX.>",
            f"{inbox(service_account(b))}.>",
            "$JS.EVENT.>",
            ">",
            s.wakes(B),
            s.cancels(B),
            s.tasks(A),
            s.every("events"),
            s.every("cancel"),
            "$SYS.>",
        ):
            assert await is_deaf(nats_stack, client, subject), subject


async def test_a_tool_may_do_its_work_and_nothing_else(nats_stack: RunningStack) -> None:
    add, sub = await nats_stack.tool("add"), await nats_stack.tool("sub")
    s = nats_stack.subjects
    allowed = (
        s.pull(Stream.CALLS, str(add.durable)),
        f"$JS.ACK.{s.stream(Stream.CALLS)}.{add.durable}.1.1.1.1.0",
        s.record(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.direct_get(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.record(Bucket.CATALOGUE, functions_entry(ADD)),
        s.direct_get(Bucket.CATALOGUE, functions_entry(ADD)),
        s.direct_get(Bucket.POLICY, "workloads.team.agent-a"),
        s.wake(A, "w"),
    )
    refused = (
        s.pull(Stream.CALLS, str(sub.durable)),
        s.pull(Stream.TASKS, str(add.durable)),
        f"$JS.ACK.{s.stream(Stream.CALLS)}.{sub.durable}.1.1.1.1.0",
        s.record(Bucket.EFFECTS, effect_key(SUB, A, "t1", 1, 0)),
        s.record(Bucket.EFFECTS, ask_key(ADD, A, "t1", 1, 0)),
        s.asks(A, A),
        s.direct_get(Bucket.EFFECTS, effect_key(SUB, A, "t1", 1, 0)),
        s.record(Bucket.CATALOGUE, functions_entry(SUB)),
        s.record(Bucket.POLICY, "workloads.team.agent-a"),
        s.record(Bucket.CATALOGUE, tool_entry(ADD)),
        s.record(Bucket.RUNS, run_key(A, "t1")),
        s.calls(ADD, A),
        s.tasks(A),
        s.events(A, "api", "t1"),
        s.cancel(A, "t1"),
        f"$JS.API.STREAM.INFO.{s.stream(Stream.CALLS)}",
    )
    async with nats_stack.connect_as(add) as client:
        assert await refusals(nats_stack, client, *allowed) == []
        assert await refusals(nats_stack, client, *refused) == list(refused)
        for subject in ("_INBOX.>", ">", s.every("wake"), s.every("calls")):
            assert await is_deaf(nats_stack, client, subject), subject
        assert not await is_deaf(nats_stack, client, s.every("cancel"))  # calls end with their runs


async def test_a_server_submits_and_reads_and_nothing_else(nats_stack: RunningStack) -> None:
    server = await nats_stack.serving(Role.SERVER)
    s = nats_stack.subjects
    refused = (
        s.calls(ADD, A),
        s.events(A, "api", "t1"),
        s.every("dead").replace(">", "tasks.team.a"),
        s.record(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.record(Bucket.CATALOGUE, tool_entry(ADD)),
        s.record(Bucket.POLICY, "workloads.team.agent-a"),
        s.direct_get(Bucket.POLICY, "workloads.team.agent-a"),
        f"$JS.API.STREAM.CREATE.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.DELETE.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.UPDATE.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.PURGE.{s.stream(Stream.TASKS)}",
        f"$JS.API.STREAM.PURGE.KV_{s.bucket(Bucket.RUNS)}",
        f"$JS.API.STREAM.PURGE.{s.stream(Stream.DEAD)}",
        f"$JS.API.STREAM.MSG.DELETE.{s.stream(Stream.EVENTS)}",
        f"$JS.API.CONSUMER.CREATE.{s.stream(Stream.TASKS)}",
        f"$JS.API.CONSUMER.CREATE.{s.stream(Stream.DEAD)}",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{s.stream(Stream.EVENTS)}.x",
        s.pull(Stream.TASKS, "a"),
    )
    async with nats_stack.connect_as(server) as client:
        assert await refusals(nats_stack, client, *refused) == list(refused)
        assert await is_deaf(nats_stack, client, s.every("tasks"))
        assert not await is_deaf(nats_stack, client, s.events_for("api"))
        accepted = await client.jetstream().publish(s.tasks(A), b"{}")
        assert accepted.stream == s.stream(Stream.TASKS)


@pytest.mark.parametrize("who", ["a tool", "the dispatcher"])
async def test_whoever_brings_a_result_wakes_the_agent_once(
    nats_stack: RunningStack, who: str
) -> None:
    """Tools are in the agent's account, the dispatcher is beyond the border."""
    a, add = await nats_stack.agent("a", calls=[ADD]), await nats_stack.tool("add")
    dispatcher = await nats_stack.serving(Role.DISPATCHER)
    waker = add if who == "a tool" else dispatcher
    s = nats_stack.subjects
    async with nats_stack.connect_as(a) as woken, nats_stack.connect_as(waker) as client:
        heard = await woken.subscribe(s.wakes(A))
        await settled(woken)
        for key in (b"k1", b"k2"):
            await client.publish(s.wake(A, "w"), key)
        assert [(await heard.next_msg(timeout=2)).data for _ in range(2)] == [b"k1", b"k2"]


async def test_a_dispatcher_moves_dead_letters_and_nothing_else(nats_stack: RunningStack) -> None:
    dispatcher = await nats_stack.serving(Role.DISPATCHER)
    s = nats_stack.subjects
    tasks = s.stream(Stream.TASKS)
    allowed = (
        s.tasks(A),
        s.events(A, "api", "t1"),
        s.dead(Stream.TASKS, A),
        s.cancel(A, "t1"),
        s.wake(A, "w"),
        s.pull(Stream.ADVISORIES, DISPATCHER_DURABLE),
        s.pull(Stream.CALLS, DISPATCHER_DURABLE),
        f"$JS.ACK.{s.stream(Stream.CALLS)}.{DISPATCHER_DURABLE}.1.1.1.1.0",
        s.record(Bucket.EFFECTS, ask_key(B, A, "t1", 1, 0)),
        s.record(Bucket.CONVERSATIONS, "lease.dispatcher"),
        s.record(Bucket.CHECKPOINTS, "team.a.t1"),
        s.direct_get(Bucket.CHECKPOINTS, "team.a.t1"),
        s.direct_get(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        s.record(Bucket.EFFECTS, effect_key(ADD, A, "t1", 1, 0)),
        f"$JS.API.STREAM.MSG.GET.{tasks}",
        f"$JS.API.STREAM.MSG.DELETE.{tasks}",
    )
    refused = (
        s.pull(Stream.ADVISORIES, "another"),
        s.pull(Stream.CALLS, "add"),
        s.calls(ADD, A),
        s.asks(B, A),
        s.record(Bucket.POLICY, "workloads.team.agent-a"),
        s.record(Bucket.CATALOGUE, tool_entry(ADD)),
        s.pull(Stream.TASKS, "a"),
        f"$JS.API.STREAM.DELETE.{tasks}",
        f"$JS.API.STREAM.PURGE.{tasks}",
        f"$JS.API.STREAM.MSG.DELETE.{s.stream(Stream.EVENTS)}",
        f"$JS.API.CONSUMER.CREATE.{tasks}",
    )
    async with nats_stack.connect_as(dispatcher) as client:
        assert await refusals(nats_stack, client, *allowed) == []
        assert await refusals(nats_stack, client, *refused) == list(refused)


@pytest.mark.fault(22)
async def test_another_agents_work_is_out_of_reach(nats_stack: RunningStack) -> None:
    a, b = await nats_stack.agent("a"), await nats_stack.agent("b")
    s = nats_stack.subjects
    await nats_stack.put(s.tasks(B), b"{}")
    async with nats_stack.connect_as(b) as worker, nats_stack.connect_as(a) as attacker:
        held = await pulled(worker, inbox(service_account(b)), s.pull(Stream.TASKS, str(b.durable)))
        attempts = (
            s.tasks(B),
            held.reply,
            s.pull(Stream.TASKS, str(b.durable)),
            f"$JS.API.CONSUMER.CREATE.{s.stream(Stream.TASKS)}.{b.durable}",
        )
        assert await refusals(nats_stack, attacker, *attempts) == list(attempts)
        for subject in ("_INBOX.>", "$JS.EVENT.>", ">"):
            assert await is_deaf(nats_stack, attacker, subject)
    async with nats_stack.connect_as(OPERATOR_WORKLOAD) as operator:
        info = await operator.jsm().consumer_info(s.stream(Stream.TASKS), str(b.durable))
    assert info.num_ack_pending == 1


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "aim", ["own tasks", "another's tasks", "another's run", "another's event"]
)
async def test_no_reply_of_the_server_reaches_a_stream(nats_stack: RunningStack, aim: str) -> None:
    a, b = await nats_stack.agent("a"), await nats_stack.agent("b")
    s = nats_stack.subjects
    target = {
        "own tasks": s.tasks(A),
        "another's tasks": s.tasks(B),
        "another's run": s.record(Bucket.RUNS, run_key(B, "t1")),
        "another's event": s.events(B, "api", "t1"),
    }[aim]
    pull = s.pull(Stream.TASKS, str(a.durable))
    own_run = run_key(A, "t1")
    async with nats_stack.connect_as(a) as attacker:
        await attacker.request(s.record(Bucket.RUNS, own_run), b"arbitrary bytes", timeout=2)
        before = await messages(nats_stack)
        await attacker.publish(pull, EMPTY, reply=target)
        await attacker.publish(pull, MALFORMED, reply=target)
        await attacker.publish(s.direct_get(Bucket.RUNS, own_run), b"", reply=target)
        await attacker.publish(s.direct_get(Bucket.RUNS, run_key(A, "none")), b"", reply=target)
        await attacker.publish(
            f"$JS.API.CONSUMER.INFO.{s.stream(Stream.TASKS)}.{a.durable}", b"", reply=target
        )
        for traced in (s.events(A, "api", "t1"), inbox(service_account(a))):
            headers = {"Nats-Trace-Dest": target, "Nats-Trace-Only": "true"}
            await attacker.publish(traced, b"", headers=headers)
        await settled(attacker)
        await asyncio.sleep(0.1)  # for a message that would come, wrongly
        assert await messages(nats_stack) == before

        # With a message waiting: it stays the one it was, delivered into the void or not at all.
        await nats_stack.put(s.tasks(A), b"{}")
        held = before | {s.stream(Stream.TASKS): before[s.stream(Stream.TASKS)] + 1}
        await attacker.publish(pull, b"", reply=target)
        await settled(attacker)
        await asyncio.sleep(0.1)  # the same
        assert await messages(nats_stack) == held

        # An ack takes its one message away; neither the confirmation nor the next message adds any.
        for word in (b"+ACK", b"+NXT"):
            await nats_stack.put(s.tasks(A), b"{}")
            own = await pulled(attacker, inbox(service_account(a)), pull)
            await attacker.publish(own.reply, word, reply=target)
            await settled(attacker)
            await asyncio.sleep(0.1)  # the same
            assert await messages(nats_stack) == held

    async with nats_stack.connect_as(b) as victim:
        reply = await victim.request(s.pull(Stream.TASKS, str(b.durable)), EMPTY, timeout=2)
        assert reply.headers is not None
        assert reply.headers["Status"] == "404"


@pytest.mark.fault(22)
async def test_a_reply_cannot_settle_anothers_delivery(nats_stack: RunningStack) -> None:
    a, b = await nats_stack.agent("a"), await nats_stack.agent("b")
    s = nats_stack.subjects
    await nats_stack.put(s.tasks(B), b"{}")
    async with nats_stack.connect_as(b) as worker, nats_stack.connect_as(a) as attacker:
        held = await pulled(worker, inbox(service_account(b)), s.pull(Stream.TASKS, str(b.durable)))
        nats_stack.errors.clear()
        await attacker.publish(s.direct_get(Bucket.RUNS, run_key(A, "none")), b"", reply=held.reply)
        await settled(attacker)
        assert any("publish with reply" in str(error).lower() for error in nats_stack.errors)
    async with nats_stack.connect_as(OPERATOR_WORKLOAD) as operator:
        info = await operator.jsm().consumer_info(s.stream(Stream.TASKS), str(b.durable))
    assert info.num_ack_pending == 1


async def test_a_roll_up_of_ones_own_key_clears_nobody_elses(nats_stack: RunningStack) -> None:
    """With roll-ups allowed, this header would empty the whole bucket."""
    a = await nats_stack.agent("a")
    s = nats_stack.subjects
    await nats_stack.put(s.record(Bucket.RUNS, run_key(B, "t1")), b"b's")
    async with nats_stack.connect_as(a) as attacker:
        for rollup in ("all", "sub"):
            reply = await attacker.request(
                s.record(Bucket.RUNS, run_key(A, "t1")),
                b"x",
                headers={"Nats-Rollup": rollup},
                timeout=2,
            )
            assert b"rollup not permitted" in reply.data
    async with nats_stack.connect_as(OPERATOR_WORKLOAD) as operator:
        kept = await operator.request(s.direct_get(Bucket.RUNS, run_key(B, "t1")), b"", timeout=2)
    assert kept.data == b"b's"


@pytest.mark.fault(37)
async def test_one_name_in_two_namespaces_is_two_identities(nats_stack: RunningStack) -> None:
    here = await nats_stack.agent("a")
    there_name = ObjectName(namespace="other", name="a")
    there = Workload(role=Role.AGENT, name=there_name, durable="a-other")
    await nats_stack.put_policy(there)
    s = nats_stack.subjects
    attempts = (
        s.pull(Stream.TASKS, str(here.durable)),
        s.record(Bucket.RUNS, run_key(A, "t1")),
        s.events(A, "api", "t1"),
    )
    async with nats_stack.connect_as(there) as client:
        assert await refusals(nats_stack, client, *attempts) == list(attempts)
        assert await refusals(nats_stack, client, s.events(there_name, "api", "t1")) == []
    assert inbox(service_account(here)) != inbox(service_account(there))
