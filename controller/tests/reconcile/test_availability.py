"""What clients are told of an Agent that cannot work: why, and whether they should wait."""

from typing import Any

import pytest

from controller.api.names import ANNOTATION_REVISION
from controller.model import Container, EntryRef, Key, Pod
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, running, told, with_code
from runtime.contract.catalogue import AgentEntry, AgentState, FunctionSpec, ToolFunctions

NO_TOOL = (
    "spec.tools[0].toolRef: there is no Tool add in namespace team; create it or name another one"
)
CRASHED: dict[str, Any] = {"exit_code": 78, "last_words": "no module"}
WITH_TOOL: dict[str, Any] = {"tools": [{"toolRef": {"name": "add"}}]}


def entry_of(scene: Scene) -> AgentEntry:
    ref = EntryRef("team_default_catalogue", "agents.team.math")
    return AgentEntry.decode(scene.queue.entries[ref])


def a_pod(scene: Scene, name: str, component: str, **facts: Any) -> Pod:
    template = scene.cluster.child("Deployment", name)["spec"]["template"]
    revision = template["metadata"]["annotations"][ANNOTATION_REVISION]
    container = Container(name="worker", ready=False, **facts)
    return Pod(name=f"{name}-0", component=component, revision=revision, containers=(container,))


async def not_ready(scene: Scene, key: Key, name: str, **facts: Any) -> None:
    """Let the one worker of `key` be as these facts say."""
    scene.cluster.child("Deployment", name)["status"]["readyReplicas"] = 0
    component = "worker" if name.startswith("agent-") else "tool-worker"
    scene.cluster.running[key] = (a_pod(scene, name, component, **facts),)
    await scene.reconcile(key)


@pytest.mark.parametrize(
    ("facts", "reason", "message"),
    [
        pytest.param(
            {**CRASHED, "waiting": "CrashLoopBackOff"},
            "CrashLoop",
            "worker stopped (CrashLoop)",
            id="its module raises",
        ),
        pytest.param(
            {**CRASHED, "waiting": "ContainerCreating"},
            "CrashLoop",
            "worker stopped (CrashLoop)",
            id="its module raised",
        ),
        pytest.param(
            {"waiting": "ImagePullBackOff", "message": "no such image"},
            "DependencyNotReady",
            "worker cannot start (ImagePullBackOff)",
            id="its image cannot be pulled",
        ),
    ],
)
async def test_workers_that_cannot_start(
    scene: Scene, facts: dict[str, Any], reason: str, message: str
) -> None:
    *_, agent = await running(scene)
    assert entry_of(scene).state is AgentState.READY

    await not_ready(scene, agent, "agent-math", **facts)

    entry = entry_of(scene)
    shown = f"{message}; the status of Agent team/math says why"
    assert (entry.state, entry.reason, entry.message) == (AgentState.UNAVAILABLE, reason, shown)
    why = facts.get("last_words") or facts["message"]
    assert told(scene, agent, "Ready")[2].endswith(f": {why}")
    assert entry.accepting  # who does not wait is taken in


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param({}, "Progressing", id="for the first time"),
        pytest.param({"restarts": 2, "exit_code": 137}, "CrashLoop", id="after it was restarted"),
        pytest.param(CRASHED, "CrashLoop", id="once what it refused is mended"),
    ],
)
async def test_workers_that_only_start(scene: Scene, facts: dict[str, Any], reason: str) -> None:
    """How often one ended is never forgotten: one that runs may become ready."""
    *_, agent = await running(scene)

    await not_ready(scene, agent, "agent-math", **facts)

    assert (entry_of(scene).state, entry_of(scene).reason) == (AgentState.NOT_READY, reason)


async def test_one_worker_that_starts_is_enough(scene: Scene) -> None:
    *_, agent = await running(scene)
    stuck = a_pod(scene, "agent-math", "worker", waiting="CrashLoopBackOff")
    scene.cluster.child("Deployment", "agent-math")["status"]["readyReplicas"] = 0
    scene.cluster.running[agent] = (stuck, a_pod(scene, "agent-math", "worker"))

    await scene.reconcile(agent)

    assert entry_of(scene).state is AgentState.NOT_READY


async def test_workers_that_start_while_the_server_cannot(scene: Scene) -> None:
    """They need it for models alone, and wait for these."""
    stack, _, agent = await running(scene)
    scene.cluster.child("Deployment", "server-default")["status"]["readyReplicas"] = 0
    waiting = a_pod(scene, "server-default", "server", waiting="CrashLoopBackOff")
    scene.cluster.running[stack] = (waiting,)
    await scene.reconcile(stack)
    assert told(scene, stack, "Ready")[1] == "CrashLoop"

    await not_ready(scene, agent, "agent-math")

    entry = entry_of(scene)
    assert (entry.state, entry.reason) == (AgentState.NOT_READY, "DependencyNotReady")


async def test_a_rollout_that_fails_leaves_the_workers_that_are_ready(scene: Scene) -> None:
    *_, agent = await running(scene)
    crashing = a_pod(scene, "agent-math", "worker", exit_code=78, last_words="no module")
    scene.cluster.running[agent] = (crashing,)

    await scene.reconcile(agent)

    assert told(scene, agent, "Ready")[1] == "CrashLoop"
    assert entry_of(scene).state is AgentState.NOT_READY


async def test_scaled_to_zero_waits_for_whoever_scales_it_up(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    scene.cluster.put(samples.agent(replicas=0, **WITH_TOOL))

    await scene.rest(stack, agent)

    assert entry_of(scene).state is AgentState.READY


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        pytest.param({"exit_code": 78, "last_words": "no"}, AgentState.UNAVAILABLE, id="crashes"),
        pytest.param({}, AgentState.NOT_READY, id="starts"),
    ],
)
@pytest.mark.parametrize("has_worker", [False, True])
async def test_a_tool_that_is_not_ready(
    scene: Scene, facts: dict[str, Any], state: AgentState, *, has_worker: bool
) -> None:
    """A worker that was ready once knows what the tool can do, and goes on."""
    _, tool, agent = await running(scene)
    if not has_worker:
        scene.cluster.child("Deployment", "agent-math")["status"]["readyReplicas"] = 0
    await not_ready(scene, tool, "tool-add", **facts)

    await scene.reconcile(agent)

    entry = entry_of(scene)
    reason = "CrashLoop" if facts else "Progressing"
    assert entry.message == (
        f"Tool team/add is not ready ({reason}); the status of Agent team/math says why"
    )
    assert told(scene, agent, "Ready")[2].startswith("Tool team/add is not ready: ")
    assert entry.state is (AgentState.NOT_READY if has_worker else state)


async def test_a_tool_that_crashes_after_its_functions_were_known(scene: Scene) -> None:
    """A worker that starts finds them in the catalogue, and does not wait."""
    _, tool, agent = await running(scene)
    ref = EntryRef("team_default_catalogue", "functions.team.add")
    revision = scene.cluster.objects[tool]["status"]["revision"]
    functions = (FunctionSpec(name="add", input_schema={}),)
    said = ToolFunctions(
        tool=tool.object_name, revision=revision, digest="sha256:", functions=functions
    )
    scene.queue.entries[ref] = said.encode()
    await scene.reconcile(tool)
    await not_ready(scene, tool, "tool-add", waiting="CrashLoopBackOff")
    assert told(scene, tool, "Ready")[1] == "CrashLoop"

    await not_ready(scene, agent, "agent-math")

    assert entry_of(scene).state is AgentState.NOT_READY


async def test_an_agent_whose_tool_is_missing_is_there_and_says_so(scene: Scene) -> None:
    with_code(scene)
    stack = scene.cluster.put(samples.stack())
    agent = scene.cluster.put(samples.agent(**WITH_TOOL))

    await scene.rest(stack, agent)

    entry = entry_of(scene)
    assert (entry.state, entry.reason, entry.message) == (
        AgentState.UNAVAILABLE,
        "RefNotFound",
        NO_TOOL,
    )
    assert not entry.accepting
    assert not [ref for ref in scene.cluster.owned if ref.name == "agent-math"]
    pending = "nothing is changed until the spec is put right"
    assert told(scene, agent, "Programmed") == ("False", "Pending", pending)

    tool = scene.cluster.put(samples.tool())
    await scene.rest(stack, tool, agent)
    assert entry_of(scene).state is AgentState.READY
    assert entry_of(scene).accepting


async def test_a_spec_that_breaks_later_leaves_what_clients_are_told_as_it_was(
    scene: Scene,
) -> None:
    """What runs stays as it is, and answers."""
    *_, agent = await running(scene)
    before = entry_of(scene)
    scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "sub"}}]))

    await scene.reconcile(agent)

    assert entry_of(scene) == before


async def test_workers_that_recover_while_their_spec_is_broken(scene: Scene) -> None:
    *_, agent = await running(scene)
    before = entry_of(scene)
    await not_ready(scene, agent, "agent-math", waiting="CrashLoopBackOff")
    broken = entry_of(scene)
    scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "sub"}}]))
    await scene.reconcile(agent)
    assert broken.state is AgentState.UNAVAILABLE
    assert entry_of(scene) == broken

    await not_ready(scene, agent, "agent-math")
    assert entry_of(scene).state is AgentState.NOT_READY
    scene.cluster.settle()
    await scene.reconcile(agent)

    assert entry_of(scene) == before
    assert told(scene, agent, "Ready")[1] == "RefNotFound"
    assert told(scene, agent, "Programmed")[0] == "False"


async def test_one_that_was_never_made_goes_without_a_trace(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())
    agent = scene.cluster.put(samples.agent(**WITH_TOOL))
    await scene.rest(stack, agent)
    scene.delete(agent)

    for _ in range(4):
        await scene.reconcile(agent)

    assert agent not in scene.cluster.objects
    assert EntryRef("team_default_catalogue", "agents.team.math") not in scene.queue.entries
