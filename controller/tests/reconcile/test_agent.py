from dataclasses import replace
from typing import Any

import pytest

from controller.api.agent import Framework
from controller.api.names import Kind
from controller.model import EntryRef
from controller.tests import samples
from controller.tests.fakes import ready_pod
from controller.tests.reconcile.scene import Scene, is_true, key_of, running, told, with_code
from runtime.contract.catalogue import AgentEntry
from runtime.contract.value import ObjectName


async def test_from_apply_to_ready(scene: Scene) -> None:
    *_, agent = await running(scene)

    assert scene.cluster.child("Deployment", "agent-math")["spec"]["replicas"] == 1
    assert [one.durable[:5] for one in scene.queue.consumers.values()].count("math-") == 2
    status = scene.cluster.objects[agent]["status"]
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert status["url"] == "http://stack-default.team.svc:8321/v1"
    assert (status["model"], status["type"]) == ("math", "Declarative")
    assert status["selector"] == (
        "app.kubernetes.io/name=agent,app.kubernetes.io/instance=math,"
        "app.kubernetes.io/component=worker"
    )
    assert told(scene, agent, "Ready") == ("True", "Ready", "1 of 1 worker ready")


async def test_at_rest_nothing_is_written(scene: Scene) -> None:
    """An operator that looks again and again must not cost anybody anything."""
    keys = await running(scene)
    scene.outside.calls.made.clear()
    scene.wait(300)

    for key in keys:
        progress = await scene.reconcile(key)
        assert not progress.finished

    assert scene.outside.calls.writes == []


async def test_a_new_operator_finds_everything_in_order(scene: Scene) -> None:
    keys = await running(scene)
    scene.outside.calls.made.clear()
    scene.world = scene.outside.world()

    for key in keys:
        await scene.reconcile(key)

    assert scene.outside.calls.writes == []


async def test_an_agent_waits_for_its_stack_and_says_so(scene: Scene) -> None:
    agent = scene.cluster.put(samples.agent())

    progress = await scene.reconcile(agent)

    message = (
        "spec.stackRef: there is no Stack default in namespace team; create it or name another one"
    )
    assert told(scene, agent, "ResolvedRefs") == ("False", "RefNotFound", message)
    assert told(scene, agent, "Ready") == ("False", "RefNotFound", message)
    assert scene.cluster.owned == {}
    assert progress.again_in is None  # the Stack wakes it


async def test_a_worker_is_not_started_before_its_queue_is_there(scene: Scene) -> None:
    scene.cluster.put(samples.stack())
    agent = scene.cluster.put(samples.agent())

    progress = await scene.reconcile(agent)

    assert {ref.kind for ref in scene.cluster.owned} == {
        "ServiceAccount",
        "ConfigMap",
        "NetworkPolicy",
    }
    status, reason, message = told(scene, agent, "Programmed")
    assert (status, reason) == ("False", "Pending")
    assert message == "the Stack has not made its stream team_default_TASKS yet"
    assert progress.again_in is not None


async def test_a_stack_of_an_older_version_is_waited_for(scene: Scene) -> None:
    """Its stream takes nothing yet of what agents ask of each other; the workers go on."""
    stack, _, agent = await running(scene)
    tasks = scene.queue.streams["team_default_TASKS"]
    subject = "k8gentai.team.default.tasks.>"
    scene.queue.streams[tasks.name] = replace(tasks, subjects=(subject,))
    asked = next(ref for ref in scene.queue.consumers if ref.durable.endswith("_asked"))
    del scene.queue.consumers[asked]

    progress = await scene.reconcile(agent)

    sentence = (
        "the Stack has not let its stream team_default_TASKS take "
        "k8gentai.team.default.asked.team.math yet"
    )
    assert told(scene, agent, "Programmed") == ("False", "Pending", sentence)
    assert progress.again_in is not None
    assert scene.cluster.child("Deployment", "agent-math")
    await scene.rest(stack, agent)
    assert asked in scene.queue.consumers
    assert told(scene, agent, "Programmed")[0] == "True"


async def test_nats_down_while_applying_is_told_and_made_good(scene: Scene) -> None:
    with_code(scene)
    stack, agent = scene.cluster.put(samples.stack()), scene.cluster.put(samples.agent())
    scene.nats_is_down()
    await scene.reconcile(stack)

    progress = await scene.reconcile(agent)

    assert told(scene, agent, "Programmed") == (
        "Unknown",
        "Pending",
        f"NATS at {samples.QUEUE_URL} does not answer",
    )
    assert told(scene, agent, "Ready") == (
        "False",
        "DependencyNotReady",
        f"Stack team/default is not ready: NATS at {samples.QUEUE_URL} does not answer",
    )
    assert progress.again_in == 2.0

    scene.nats_is_back()
    await scene.rest(stack, agent)
    assert is_true(scene, agent, "Ready")


async def test_an_edit_reaches_running_workers_while_nats_is_down(scene: Scene) -> None:
    *_, agent = await running(scene)
    scene.nats_is_down()
    scene.cluster.put(samples.agent(source={"declarative": {"instructions": "Be brief."}}))

    await scene.reconcile(agent)

    config = scene.cluster.child("ConfigMap", "agent-math")["data"]["agent.json"]
    assert "Be brief." in config


async def test_new_instructions_roll_out_and_only_they(scene: Scene) -> None:
    *_, agent = await running(scene)
    before = scene.cluster.child("Deployment", "agent-math")
    spec: dict[str, Any] = {"tools": [{"toolRef": {"name": "add"}}]}

    scene.cluster.put(samples.agent(source={"declarative": {"instructions": "Be brief."}}, **spec))
    await scene.rest(agent)

    after = scene.cluster.child("Deployment", "agent-math")
    changed = {
        name
        for name, value in after["spec"]["template"]["metadata"].items()
        if value != before["spec"]["template"]["metadata"].get(name)
    }
    assert changed == {"annotations"}
    assert after["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    assert told(scene, agent, "Ready")[0] == "True"


async def test_more_replicas_roll_nothing_out(scene: Scene) -> None:
    *_, agent = await running(scene)
    before = scene.cluster.child("Deployment", "agent-math")["spec"]

    scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "add"}}], replicas=3))
    await scene.rest(agent)

    after = scene.cluster.child("Deployment", "agent-math")["spec"]
    assert (before["replicas"], after["replicas"]) == (1, 3)
    assert after["template"] == before["template"]


async def test_scaled_to_zero_is_ready(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    scene.cluster.put(samples.agent(replicas=0))

    await scene.rest(stack, agent)

    assert told(scene, agent, "Ready")[:2] == ("True", "ScaledToZero")


async def test_a_suspended_agent_takes_no_tasks(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    scene.cluster.put(samples.agent(suspend=True, replicas=2))

    await scene.rest(stack, agent)

    assert scene.cluster.child("Deployment", "agent-math")["spec"]["replicas"] == 0
    assert not entry_of(scene).accepting


async def test_an_agent_of_a_stack_that_is_not_ready_is_not_ready(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    server = scene.cluster.child("Deployment", "server-default")
    server["status"]["readyReplicas"] = 0
    await scene.reconcile(stack)

    await scene.reconcile(agent)

    assert told(scene, agent, "Ready") == (
        "False",
        "DependencyNotReady",
        "Stack team/default is not ready: 0 of 1 API server ready",
    )
    assert not entry_of(scene).ready
    status = scene.cluster.objects[agent]["status"]
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)


async def test_a_broken_reference_leaves_the_running_workload_alone(scene: Scene) -> None:
    *_, agent = await running(scene)
    before = scene.cluster.child("Deployment", "agent-math")
    scene.cluster.put(samples.agent(replicas=5, tools=[{"toolRef": {"name": "sub"}}]))

    await scene.reconcile(agent)

    assert scene.cluster.child("Deployment", "agent-math") == before
    assert told(scene, agent, "Ready") == (
        "False",
        "RefNotFound",
        (
            "spec.tools[0].toolRef: there is no Tool sub in namespace team; "
            "create it or name another one"
        ),
    )
    assert is_true(scene, agent, "Accepted")


async def test_the_tools_of_its_tools_are_shown(scene: Scene) -> None:
    _, tool, agent = await running(scene)
    status = scene.cluster.objects[tool]["status"]
    status["tools"] = [{"name": "add", "description": "", "schemaDigest": "sha256:1"}]

    await scene.reconcile(agent)

    shown = scene.cluster.objects[agent]["status"]["tools"]
    assert [one["name"] for one in shown] == ["add"]


@pytest.mark.fault(37)
async def test_an_agent_made_again_under_its_name_inherits_nothing(scene: Scene) -> None:
    """Its consumer is another one, and what waited for the first is forgotten."""
    stack, _, agent = await running(scene)
    old = [ref for ref in scene.queue.consumers if ref.durable.startswith("math-")]
    stream = old[0].stream
    scene.queue.messages[stream] = [
        f"k8gentai.team.default.{kind}.team.math" for kind in ("tasks", "asked")
    ]
    scene.cluster.objects.pop(agent)  # by force, without its finalizer
    scene.cluster.put(samples.agent())

    await scene.rest(stack, agent)

    new = [ref for ref in scene.queue.consumers if ref.durable.startswith("math-")]
    assert len(new) == len(old) == 2
    assert set(new).isdisjoint(old)
    assert scene.queue.messages[stream] == []


@pytest.mark.fault(37)
async def test_agents_of_one_name_in_two_namespaces_share_nothing(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack(allowedNamespaces={"from": "All"}))
    home = scene.cluster.put(samples.agent())
    away = scene.cluster.put(
        samples.agent(namespace="guests", stackRef={"name": "default", "namespace": "team"})
    )

    await scene.rest(stack, home, away)

    cursors = [one for one in scene.queue.consumers.values() if one.durable.startswith("math-")]
    assert len({one.durable for one in cursors}) == 4
    assert {one.filter_subject for one in cursors} == {
        "k8gentai.team.default.tasks.team.math",
        "k8gentai.team.default.asked.team.math",
        "k8gentai.team.default.tasks.guests.math",
        "k8gentai.team.default.asked.guests.math",
    }
    assert scene.cluster.objects[away]["status"]["model"] == "guests.math"


async def test_clients_are_told_what_an_agent_is_and_can(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    entry = entry_of(scene)
    assert entry.version == "1"
    assert entry.tools == (ObjectName(namespace="team", name="add"),)
    assert "Streaming" in entry.capabilities
    worker = {"name": "worker", "image": "example/mine:1"}
    scene.cluster.put(samples.agent(podTemplate={"spec": {"containers": [worker]}}))

    await scene.rest(stack, agent)

    entry = entry_of(scene)
    assert (entry.version, entry.capabilities) == ("2", ())  # of another image nobody knows


async def test_the_image_shown_is_the_one_that_runs(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    assert scene.cluster.objects[agent]["status"]["image"].endswith("/worker-langgraph:dev")
    worker = {"name": "worker", "image": "example/mine:1"}
    scene.cluster.put(samples.agent(podTemplate={"spec": {"containers": [worker]}}))

    await scene.rest(stack, agent)

    assert scene.cluster.objects[agent]["status"]["image"] == "example/mine:1"


@pytest.mark.parametrize("framework", Framework)
async def test_what_its_framework_was_shown_to_do_is_reported(
    scene: Scene, framework: Framework
) -> None:
    scene.cluster.put(samples.stack())
    agent = scene.cluster.put(samples.agent(framework=framework.value))

    await scene.reconcile(agent)

    shown = scene.cluster.objects[agent]["status"]["capabilities"]
    assert {"Streaming", "Tools", "Cancel"} <= set(shown)
    assert ("ModelRetry" in shown) is (framework is not Framework.LLAMA_STACK)


async def test_of_an_image_of_the_users_nothing_is_promised(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    worker = {"name": "worker", "image": "example/mine:1"}
    scene.cluster.put(samples.agent(podTemplate={"spec": {"containers": [worker]}}))

    await scene.rest(stack, agent)

    assert scene.cluster.objects[agent]["status"]["capabilities"] == []


async def test_what_it_can_do_is_shown_until_its_workers_have_stopped(scene: Scene) -> None:
    *_, agent = await running(scene)
    scene.cluster.running[agent] = (ready_pod("agent-math-0", "worker", "1"),)
    scene.delete(agent)

    for _ in range(4):
        await scene.reconcile(agent)
        status = scene.cluster.objects[agent]["status"]
        assert "Streaming" in status["capabilities"]
    assert not [ref for ref in scene.cluster.owned if ref.name == "agent-math"]


async def test_what_runs_can_do_what_it_could_while_the_spec_is_wrong(scene: Scene) -> None:
    *_, agent = await running(scene)
    before = scene.cluster.objects[agent]["status"]["capabilities"]
    scene.cluster.put(samples.agent(podTemplate={"spec": 7}))

    await scene.reconcile(agent)

    assert scene.cluster.objects[agent]["status"]["capabilities"] == before != []


async def test_a_pod_template_that_takes_the_image_away_is_survived(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    worker = {"name": "worker", "image": None, "env": None}
    scene.cluster.put(samples.agent(podTemplate={"spec": {"containers": [worker]}}))

    await scene.reconcile(agent)  # raises nothing; Kubernetes refuses such a pod

    assert is_true(scene, stack, "Ready")


async def test_a_stack_elsewhere_has_to_permit_it(scene: Scene) -> None:
    scene.cluster.put(samples.stack())
    away = scene.cluster.put(
        samples.agent(namespace="guests", stackRef={"name": "default", "namespace": "team"})
    )

    await scene.reconcile(away)

    status, reason, message = told(scene, away, "ResolvedRefs")
    assert (status, reason) == ("False", "RefNotPermitted")
    assert message == (
        "spec.stackRef: Stack team/default does not permit the namespace guests; "
        "its owner can, by spec.allowedNamespaces of the Stack"
    )
    assert told(scene, away, "Stalled")[0] == "True"
    assert scene.cluster.owned == {}


def entry_of(scene: Scene, name: str = "math") -> AgentEntry:
    value = scene.queue.entries[EntryRef("team_default_catalogue", f"agents.team.{name}")]
    entry = AgentEntry.decode(value)
    assert entry.agent == ObjectName(namespace="team", name=name)
    return entry


def test_keys_are_shown_as_people_say_them() -> None:
    assert str(key_of(Kind.AGENT, "math")) == "Agent team/math"
