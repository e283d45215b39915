from typing import Any

import pytest

from controller.model import EntryRef, Key
from controller.tests import samples
from controller.tests.fakes import ready_pod
from controller.tests.reconcile.scene import Scene, running, told
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName

TASKS = "team_default_TASKS"
SUBJECT = "k8gentai.team.default.tasks.team.math"
NAME = ObjectName(namespace="team", name="math")
TOOLS = [{"toolRef": {"name": "add"}}]


def entry(scene: Scene) -> AgentEntry:
    value = scene.queue.entries[EntryRef("team_default_catalogue", "agents.team.math")]
    return AgentEntry.decode(value)


def record(scene: Scene, task: str, state: RunState) -> EntryRef:
    """What AMF, workers and the dispatcher keep of one task."""
    sent = Task(
        id=task,
        stack=ObjectName(namespace="team", name="default"),
        agent=NAME,
        origin="api",
        input=(),
        created=0,
        deadline=0,
    )
    ref = EntryRef("team_default_runs", f"team.math.{task}")
    scene.queue.entries[ref] = RunRecord(task=sent, state=state).encode()
    return ref


async def drained(scene: Scene, **spec: Any) -> Key:
    stack, _, agent = await running(scene)
    scene.cluster.put(samples.agent(tools=TOOLS, **spec))
    await scene.rest(stack, agent)
    return agent


def nothing_is_left(scene: Scene, agent: Key) -> bool:
    return (
        agent not in scene.cluster.objects
        and not [ref for ref in scene.cluster.owned if ref.name == "agent-math"]
        and not [ref for ref in scene.queue.consumers if ref.durable.startswith("math-")]
        and not [ref for ref in scene.queue.entries if ref.key.endswith(("math", "agent-math"))]
        and not scene.queue.messages.get(TASKS)
    )


@pytest.mark.fault(19)
async def test_drain_lets_queued_and_running_work_end(scene: Scene) -> None:
    agent = await drained(scene)
    scene.queue.messages[TASKS] = [SUBJECT, SUBJECT]
    scene.delete(agent)

    for _ in range(3):
        progress = await scene.reconcile(agent)
        scene.wait(1)
        assert progress.again_in == 1.0
    assert not entry(scene).accepting
    assert not entry(scene).cancelling
    assert scene.cluster.child("Deployment", "agent-math")
    *reason, message = told(scene, agent, "Ready")
    assert reason == ["False", "Pending"]
    assert message.startswith("it is being deleted and waits for 2 tasks to end, until ")
    assert message.endswith(
        " UTC at the latest (spec.drainSeconds: 600); "
        "spec.deletionPolicy: Cancel cancels what is left at once"
    )

    scene.queue.messages[TASKS] = []
    await scene.rest(agent)

    assert nothing_is_left(scene, agent)


@pytest.mark.fault(19)
async def test_an_idle_agent_takes_no_new_tasks_before_its_workers_go(scene: Scene) -> None:
    agent = await drained(scene)
    scene.delete(agent)

    progress = await scene.reconcile(agent)

    assert progress.again_in == 1.0
    assert not entry(scene).accepting
    assert scene.cluster.child("Deployment", "agent-math")
    assert told(scene, agent, "Ready")[2] == "it is being deleted and takes no new tasks"


@pytest.mark.fault(19)
@pytest.mark.parametrize("looks", range(4))
async def test_a_task_accepted_while_an_idle_agent_goes_is_done(scene: Scene, looks: int) -> None:
    """Whoever is told 200 at any moment of a deletion finds workers, and nothing is purged."""
    agent = await drained(scene)
    pod = ready_pod("agent-math-0", "worker", "1")
    scene.cluster.running[agent] = (pod,)  # it takes a while to stop
    scene.delete(agent)
    for _ in range(looks):
        await scene.reconcile(agent)
        assert not entry(scene).accepting
    scene.queue.messages[TASKS] = [SUBJECT]  # sent by one who had looked at the catalogue before

    await scene.reconcile(agent)

    assert scene.queue.messages[TASKS] == [SUBJECT]
    assert not entry(scene).accepting
    assert scene.cluster.child("Deployment", "agent-math")
    scene.queue.messages[TASKS] = []
    scene.cluster.running.clear()
    await scene.rest(agent)
    assert nothing_is_left(scene, agent)


async def test_a_task_that_waits_outside_the_queue_is_waited_for(scene: Scene) -> None:
    """The next task of a busy conversation is in the record alone."""
    agent = await drained(scene)
    waiting = record(scene, "t1", RunState.WAITING)
    ended = record(scene, "t0", RunState.COMPLETED)
    scene.delete(agent)

    await scene.reconcile(agent)
    assert scene.cluster.child("Deployment", "agent-math")

    record(scene, "t1", RunState.COMPLETED)
    scene.wait(5)
    await scene.rest(agent)

    assert nothing_is_left(scene, agent)
    assert {waiting, ended} <= scene.queue.entries.keys()  # who asked can still read the answer


@pytest.mark.fault(19)
async def test_workers_stay_while_nobody_can_count_what_is_left(scene: Scene) -> None:
    agent = await drained(scene)
    record(scene, "t1", RunState.WAITING)
    scene.outside.streams.uncountable.add("team_default_runs")
    scene.delete(agent)

    for _ in range(3):
        await scene.reconcile(agent)
        scene.wait(6)

    assert scene.cluster.child("Deployment", "agent-math")
    assert "waits to learn what is left" in told(scene, agent, "Programmed")[2]
    scene.outside.streams.uncountable.clear()
    await scene.reconcile(agent)
    assert not entry(scene).accepting
    assert scene.cluster.child("Deployment", "agent-math")


async def test_the_records_are_not_looked_through_each_second(scene: Scene) -> None:
    agent = await drained(scene)
    record(scene, "t1", RunState.WAITING)
    scene.delete(agent)
    await scene.reconcile(agent)  # the last look before it is closed
    scene.outside.calls.made.clear()

    for _ in range(10):
        await scene.reconcile(agent)
        scene.wait(1)

    assert scene.outside.calls.made.count("read team_default_runs") == 2


@pytest.mark.fault(19)
async def test_cancel_asks_for_the_end_of_everything(scene: Scene) -> None:
    agent = await drained(scene, deletionPolicy="Cancel")
    scene.queue.messages[TASKS] = [SUBJECT]
    scene.delete(agent)

    await scene.reconcile(agent)

    assert (entry(scene).accepting, entry(scene).cancelling) == (False, True)
    assert told(scene, agent, "Ready")[2] == "it is being deleted and cancels 1 task"
    scene.queue.messages[TASKS] = []  # the dispatcher and the workers have ended it
    await scene.rest(agent)
    assert nothing_is_left(scene, agent)


@pytest.mark.fault(19)
async def test_a_drain_ends_in_time_whatever_still_runs(scene: Scene) -> None:
    agent = await drained(scene, drainSeconds=100)
    scene.queue.messages[TASKS] = [SUBJECT]
    scene.delete(agent)

    await scene.reconcile(agent)
    assert not entry(scene).cancelling
    scene.wait(91)
    await scene.reconcile(agent)
    assert entry(scene).cancelling
    scene.wait(9)
    progress = await scene.reconcile(agent)

    assert progress.finished
    assert nothing_is_left(scene, agent)


@pytest.mark.fault(19)
async def test_with_nats_down_a_condition_says_so_and_deletion_ends_in_time(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    scene.nats_is_down()
    scene.delete(agent)

    await scene.reconcile(agent)

    assert told(scene, agent, "Programmed") == (
        "Unknown",
        "Pending",
        (
            "it is being deleted and waits to learn what is left in the queue; "
            f"NATS at {samples.QUEUE_URL} does not answer"
        ),
    )
    scene.wait(600)
    progress = await scene.reconcile(agent)
    assert progress.finished
    assert [ref for ref in scene.cluster.owned if ref.name == "agent-math"] == []

    # What could not be removed is removed once NATS is back.
    scene.nats_is_back()
    await scene.reconcile(stack)
    assert nothing_is_left(scene, agent)


async def test_what_was_never_made_is_not_waited_for(scene: Scene) -> None:
    stack, agent = scene.cluster.put(samples.stack()), scene.cluster.put(samples.agent())
    scene.nats_is_down()
    await scene.reconcile(stack)
    scene.delete(agent)

    progress = await scene.reconcile(agent)

    assert progress.finished


async def test_all_deleted_at_once_goes_at_once(scene: Scene) -> None:
    """`kubectl delete -f` of a folder: the queue goes too, so there is nothing to drain."""
    keys = await running(scene)
    scene.queue.messages[TASKS] = [SUBJECT]
    for key in keys:
        scene.delete(key)

    for key in keys:
        await scene.reconcile(key)

    assert scene.cluster.objects == {}
    left = [ref.name for ref in scene.cluster.owned]
    assert left == ["k8gentai-trust"]


async def test_an_agent_whose_tool_goes_too_still_drains(scene: Scene) -> None:
    _, tool, agent = await running(scene)
    scene.queue.messages[TASKS] = [SUBJECT]
    scene.delete(tool)
    scene.delete(agent)

    await scene.reconcile(agent)

    assert not entry(scene).accepting
    assert scene.cluster.child("Deployment", "agent-math")


async def test_an_unreadable_object_can_be_deleted(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    body = scene.cluster.objects[agent]
    scene.cluster.objects[agent] = {**body, "spec": {"framework": "LangGraph"}}
    scene.delete(agent)

    progress = await scene.reconcile(agent)
    scene.wait(60)
    await scene.reconcile(stack)

    assert progress.finished
    assert nothing_is_left(scene, agent)
