"""The same reconciles on a real NATS server: nothing twice, all is repaired, all goes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.clients.jetstream import JetStream
from controller.model import Consumer, ConsumerRef, EntryRef, KvEntry, QueueFacts, QueueQuery
from controller.reconcile import World
from controller.tests import samples
from controller.tests.fakes import SITE
from controller.tests.reconcile.scene import Scene, is_true, with_code
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket, Stream, asked_durable
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR, OPERATOR_WORKLOAD, RunningStack, running_stack
from runtime.transport.port import Unavailable

pytestmark = pytest.mark.integration

NAME = ObjectName(namespace="team", name="default")
TASKS = "k8gentai.team.default.tasks.team.math"
CALLS = "k8gentai.team.default.calls.team.add.team.math"
ASKED = "k8gentai.team.default.asked.team.math"
ALL = QueueQuery(
    streams=tuple(f"team_default_{stream}" for stream in Stream),
    buckets=tuple(f"team_default_{bucket}" for bucket in Bucket),
    all_consumers_of=tuple(f"team_default_{stream}" for stream in Stream),
    entries=tuple((f"team_default_{bucket}", ">") for bucket in Bucket),
)


class OnNats(Scene):
    """A cluster in memory beside a queue that is real."""

    def __init__(self, queue: RunningStack, streams: JetStream) -> None:
        super().__init__()
        self.nats = queue
        self.streams = streams
        outside = self.outside
        self.world = World(
            cluster=outside.cluster,
            streams=streams,
            servers=outside.servers,
            site=SITE,
            version="0.1.0",
        )
        with_code(self)
        self.stack = self.cluster.put(samples.stack(messaging={"external": {"url": queue.url}}))
        self.tool = self.cluster.put(samples.tool())
        self.agent = self.cluster.put(samples.agent(tools=[{"toolRef": {"name": "add"}}]))

    async def settled(self) -> QueueFacts:
        """Two rounds, and what there is afterwards."""
        for _ in range(2):
            for key in (self.stack, self.tool, self.agent):
                if key in self.cluster.objects:
                    await self.reconcile(key)
            self.cluster.settle()
        for key in (self.stack, self.tool, self.agent):
            if key in self.cluster.objects:
                await self.reconcile(key)
        return await self.facts()

    async def facts(self) -> QueueFacts:
        return await self.streams.observe(self.nats.url, ALL)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[OnNats]:
    token_file = tmp_path / "operator.token"
    async with running_stack(NAME, tmp_path) as queue:
        queue.issuer.write_token(token_file, OPERATOR, 3600)
        async with JetStream(OPERATOR, token_file).running() as streams:
            yield OnNats(queue, streams)


def cursors(facts: QueueFacts) -> dict[str, Consumer]:
    """The consumers by the name of their object; of an Agent that of what clients want."""
    found = sorted(facts.consumers.items(), reverse=True)
    return {ref.durable.rpartition("-")[0]: one for ref, one in found}


async def last_sequences(scene: OnNats) -> list[int]:
    """How much was ever written to each stream."""
    names = [f"team_default_{stream}" for stream in Stream]
    names += [f"KV_team_default_{bucket}" for bucket in Bucket]
    async with scene.nats.connect_as(OPERATOR_WORKLOAD) as client:
        infos = [await client.jetstream().stream_info(name) for name in names]
    return [info.state.last_seq for info in infos]


async def test_at_rest_nothing_is_written(scene: OnNats) -> None:
    before = await scene.settled()
    assert all(is_true(scene, key, "Ready") for key in (scene.stack, scene.tool, scene.agent))
    written = await last_sequences(scene)

    after = await scene.settled()

    assert after == before
    assert await last_sequences(scene) == written


@pytest.mark.fault(20)
async def test_what_is_taken_away_or_changed_is_put_back(scene: OnNats) -> None:
    wanted = await scene.settled()
    math, add = cursors(wanted)["math"], cursors(wanted)["add"]
    await scene.streams.apply(scene.nats.url, replace(math, max_deliver=1))
    await scene.streams.delete_consumer(scene.nats.url, add.ref)
    identity = EntryRef("team_default_policy", "workloads.team.agent-math")
    await scene.streams.delete_entry(scene.nats.url, identity)
    assert await scene.facts() != wanted

    assert await scene.settled() == wanted

    told = [event.message for event in scene.cluster.events]
    assert f"consumer {math.durable} of {math.stream} had been changed; it is as it was" in told
    assert f"consumer {add.durable} of {add.stream} was gone; it is made again" in told


async def test_a_queue_of_an_older_version_becomes_what_it_should_be(scene: OnNats) -> None:
    """Then, what agents had asked for was in one queue with what clients wanted."""
    wanted = await scene.settled()
    math = cursors(wanted)["math"]
    tasks = wanted.streams[math.stream]
    asked = ConsumerRef(math.stream, asked_durable(math.durable))
    await scene.streams.delete_consumer(scene.nats.url, asked)
    old = replace(tasks, subjects=("k8gentai.team.default.tasks.>",))
    await scene.streams.apply(scene.nats.url, old)
    await scene.nats.put(TASKS, b"{}")

    for key in (scene.agent, scene.stack, scene.agent):
        await scene.reconcile(key)

    facts = await scene.facts()
    assert facts.consumers == wanted.consumers
    assert facts.backlogs[math.ref].total == 1


@pytest.mark.fault(19)
async def test_a_deleted_agent_drains_and_leaves_nothing(scene: OnNats) -> None:
    await scene.settled()
    record = KvEntry("team_default_runs", "team.math.t1", waiting_record())
    await scene.nats.put(TASKS, b"{}")
    await scene.streams.apply(scene.nats.url, record)
    scene.delete(scene.agent)

    await scene.reconcile(scene.agent)
    entry = (await scene.facts()).entries[EntryRef("team_default_catalogue", "agents.team.math")]
    assert not AgentEntry.decode(entry).accepting
    assert scene.cluster.child("Deployment", "agent-math")

    await scene.streams.purge(scene.nats.url, "team_default_TASKS", TASKS)  # a worker took it
    await scene.reconcile(scene.agent)
    assert scene.cluster.child("Deployment", "agent-math")  # the record has no end yet

    ended = RunRecord.decode(record.value).model_copy(update={"state": RunState.COMPLETED})
    await scene.streams.apply(scene.nats.url, replace(record, value=ended.encode()))
    scene.wait(5)
    facts = await scene.settled()

    assert scene.agent not in scene.cluster.objects
    assert set(cursors(facts)) == {"add", ""}  # the dispatcher's has no digest
    assert {ref.key for ref in facts.entries if "math" in ref.key} == {"team.math.t1"}


@pytest.mark.fault(37)
async def test_an_agent_made_again_finds_no_old_message(scene: OnNats) -> None:
    await scene.settled()
    await scene.nats.put(TASKS, b"{}")
    await scene.nats.put(ASKED, b"{}")
    scene.cluster.objects.pop(scene.agent)
    scene.agent = scene.cluster.put(samples.agent())

    facts = await scene.settled()

    assert not any(backlog.total for backlog in facts.backlogs.values())
    assert is_true(scene, scene.agent, "Ready")


@pytest.mark.fault(26)
async def test_a_rule_that_goes_takes_the_right_from_a_worker_that_is_connected(
    scene: OnNats,
) -> None:
    targets = [{"kind": "Tool", "name": "add"}]
    rule = {"from": {"agents": ["math"]}, "to": {"tools": ["add"]}}
    scene.cluster.put(samples.policy(targetRefs=targets, access=[rule]))
    facts = await scene.settled()
    told = facts.entries[EntryRef("team_default_policy", "workloads.team.agent-math")]
    async with scene.nats.link_as(Workload.decode(told)) as link:
        before = await link.connection.current()
        await link.outbox.publish(CALLS, b"1")

        scene.cluster.put(samples.policy(targetRefs=targets))
        await scene.reconcile(scene.agent)
        await asyncio.wait_for(before.closed.wait(), 10)

        after = await link.connection.current(10)
        with pytest.raises(Unavailable):
            await after.request(CALLS, b"2", timeout=0.5)


async def test_a_deleted_stack_leaves_an_external_queue_empty(scene: OnNats) -> None:
    await scene.settled()
    scene.delete(scene.stack)

    progress = await scene.reconcile(scene.stack)

    assert progress.finished
    assert await scene.facts() == QueueFacts()


@pytest.mark.fault(19)
async def test_nats_that_dies_while_an_agent_is_deleted_holds_nobody_up_for_ever(
    scene: OnNats,
) -> None:
    await scene.settled()
    scene.delete(scene.agent)
    await scene.nats.server.stop()

    progress = await scene.reconcile(scene.agent)
    assert not progress.finished
    scene.wait(600)
    progress = await scene.reconcile(scene.agent)

    assert progress.finished
    assert [ref for ref in scene.cluster.owned if ref.name == "agent-math"] == []


def waiting_record() -> bytes:
    task = Task(
        id="t1",
        stack=NAME,
        agent=ObjectName(namespace="team", name="math"),
        origin="api",
        input=(),
        created=0,
        deadline=0,
    )
    return RunRecord(task=task, state=RunState.WAITING).encode()
