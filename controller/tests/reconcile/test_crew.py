"""Agents that may call each other."""

from typing import Any

import pytest

from controller.api.names import Kind
from controller.model import EntryRef, Key
from controller.reconcile import references
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, is_true, key_of, told
from runtime.contract.agent_config import AgentBinding, AgentConfig
from runtime.contract.catalogue import AgentEntry
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName

NO_MODEL = "spec.modelRef: Stack team/default has no language model none; it has small"
POET = ObjectName(namespace="team", name="poet")


def asking(*names: str) -> list[dict[str, Any]]:
    return [{"agentRef": {"name": name}} for name in names]


async def crew(scene: Scene, **spec: Any) -> tuple[Key, Key, Key]:
    """A Stack, an agent that asks, and the one it asks."""
    keys = (
        scene.cluster.put(samples.stack()),
        scene.cluster.put(samples.agent("editor", agents=asking("poet"))),
        scene.cluster.put(samples.agent("poet", description="Makes verses.", **spec)),
    )
    await scene.rest(*keys)
    return keys


async def test_worker_and_servers_are_told_whom_an_agent_may_ask(scene: Scene) -> None:
    _, editor, _ = await crew(scene)

    text = scene.cluster.child("ConfigMap", "agent-editor")["data"]["agent.json"]
    binding = AgentBinding(agent=POET, description="Makes verses.")
    assert AgentConfig.decode(text).agents == (binding,)
    entry = scene.queue.entries[EntryRef("team_default_catalogue", "agents.team.editor")]
    assert AgentEntry.decode(entry).agents == (POET,)
    assert is_true(scene, editor, "Ready")


async def test_the_queue_lets_it_ask_those_and_nobody_else(scene: Scene) -> None:
    await crew(scene)

    entries = scene.queue.entries
    asks = {
        name: Workload.decode(
            entries[EntryRef("team_default_policy", f"workloads.team.agent-{name}")]
        ).asks
        for name in ("editor", "poet")
    }
    assert asks == {"editor": (POET,), "poet": ()}


async def test_another_description_reaches_those_that_choose_by_it(scene: Scene) -> None:
    keys = await crew(scene)

    scene.cluster.put(samples.agent("poet", description="Only limericks."))
    await scene.rest(*keys)

    config = scene.cluster.child("ConfigMap", "agent-editor")["data"]["agent.json"]
    assert "Only limericks." in config
    assert "Makes verses." not in config


@pytest.mark.parametrize(
    "poet", [{"agents": asking("editor")}, {"agents": asking("editor"), "replicas": 0}]
)
async def test_two_that_ask_each_other_become_ready(scene: Scene, poet: dict[str, Any]) -> None:
    keys = await crew(scene, **poet)

    assert all(is_true(scene, key, "Ready") for key in keys)


async def test_whoever_asks_does_not_wait_for_the_workers_of_the_other(scene: Scene) -> None:
    """A call waits in the queue."""
    keys = _, editor, poet = await crew(scene)

    scene.cluster.child("Deployment", "agent-poet")["status"]["readyReplicas"] = 0
    for key in keys:
        await scene.reconcile(key)

    assert told(scene, poet, "Ready")[:2] == ("False", "Progressing")
    assert is_true(scene, editor, "Ready")


async def test_whoever_asks_waits_until_the_other_can_be_asked(scene: Scene) -> None:
    """What its queue has not been made for would be asked in vain."""
    stack, editor, poet = await crew(scene, modelRef={"name": "none"})

    assert told(scene, editor, "Ready") == (
        "False",
        "DependencyNotReady",
        f"Agent team/poet is not programmed: {NO_MODEL}",
    )

    scene.cluster.put(samples.agent("poet"))
    await scene.rest(stack, editor, poet)
    assert is_true(scene, editor, "Ready")


async def test_whoever_asks_one_that_asks_nobody_hears_who_is_missing(scene: Scene) -> None:
    """The cause is one step further on."""
    stack = scene.cluster.put(samples.stack())
    chief = scene.cluster.put(samples.agent("chief", agents=asking("editor")))
    editor = scene.cluster.put(samples.agent("editor", agents=asking("poet")))

    await scene.rest(stack, chief, editor)

    assert told(scene, chief, "Ready")[2] == (
        "Agent team/editor is not programmed: spec.agents[0].agentRef: there is no Agent poet in "
        "namespace team; create it or name another one"
    )


async def test_what_one_of_a_circle_lacks_is_told_once_however_often_they_look(
    scene: Scene,
) -> None:
    keys = _, editor, poet = await crew(scene, agents=asking("editor"), modelRef={"name": "none"})

    for _ in range(3):
        await scene.rest(*keys)

    assert told(scene, poet, "Ready")[2] == NO_MODEL
    assert told(scene, editor, "Ready")[2] == f"Agent team/poet is not programmed: {NO_MODEL}"


@pytest.mark.parametrize("others", [(), ("poet",)])
async def test_an_agent_that_names_itself_is_told_that_and_nothing_else(
    scene: Scene, others: tuple[str, ...]
) -> None:
    """Neither that it waits for itself, nor for others that are not there to be asked yet."""
    stack = scene.cluster.put(samples.stack())
    selfish = scene.cluster.put(samples.agent("selfish", agents=asking(*others, "selfish")))
    poet = scene.cluster.put(samples.agent("poet", modelRef={"name": "none"}))
    await scene.rest(stack, selfish, poet)

    message = (
        f"spec.agents[{len(others)}].agentRef: it names the Agent itself, which cannot call "
        "itself; remove it"
    )
    assert told(scene, selfish, "Ready") == ("False", "Invalid", message)


async def test_an_agent_that_is_not_there_is_named_with_the_way_out(scene: Scene) -> None:
    stack, editor, poet = await crew(scene)
    before = scene.cluster.child("Deployment", "agent-editor")
    scene.cluster.objects.pop(poet)

    await scene.reconcile(editor)

    message = (
        "spec.agents[0].agentRef: there is no Agent poet in namespace team; "
        "create it or name another one"
    )
    assert told(scene, editor, "ResolvedRefs") == ("False", "RefNotFound", message)
    assert told(scene, editor, "Ready") == ("False", "RefNotFound", message)
    assert scene.cluster.child("Deployment", "agent-editor") == before

    scene.cluster.put(samples.agent("poet"))
    await scene.rest(stack, editor, poet)
    assert is_true(scene, editor, "Ready")


async def test_an_agent_that_is_going_is_not_asked_any_more(scene: Scene) -> None:
    _, editor, poet = await crew(scene)
    scene.delete(poet)

    await scene.reconcile(editor)

    assert told(scene, editor, "ResolvedRefs") == (
        "False",
        "RefNotFound",
        "spec.agents[0].agentRef: Agent team/poet is being deleted; name another one",
    )


async def test_an_agent_that_breaks_the_schema_is_told_as_such(scene: Scene) -> None:
    _, editor, poet = await crew(scene)
    scene.cluster.objects[poet] = {**scene.cluster.objects[poet], "spec": {"framework": 7}}

    await scene.reconcile(editor)

    status, reason, message = told(scene, editor, "ResolvedRefs")
    assert (status, reason) == ("False", "RefNotFound")
    assert message.startswith("spec.agents[0].agentRef: Agent team/poet is not valid (")


async def test_one_agent_named_twice_is_a_conflict(scene: Scene) -> None:
    """With its namespace and without: the schema cannot see that it is the same."""
    stack, _, poet = await crew(scene)
    twice = [*asking("poet"), {"agentRef": {"name": "poet", "namespace": "team"}}]
    editor = scene.cluster.put(samples.agent("editor", agents=twice))

    await scene.rest(stack, poet, editor)

    status, reason, message = told(scene, editor, "Accepted")
    assert (status, reason) == ("False", "Conflict")
    assert message.startswith("spec.agents[1].agentRef: Agent team/poet and Agent team/poet would")


@pytest.mark.parametrize(("allowed", "reason"), [("Same", "RefNotPermitted"), ("All", None)])
async def test_an_agent_elsewhere_has_to_permit_it(
    scene: Scene, allowed: str, reason: str | None
) -> None:
    home = {"stackRef": {"name": "default", "namespace": "team"}}
    uses = [{"agentRef": {"name": "poet", "namespace": "guests"}}]
    poet = samples.agent("poet", "guests", **home, allowedNamespaces={"from": allowed})
    keys = _, editor, _ = (
        scene.cluster.put(samples.stack(allowedNamespaces={"from": "All"})),
        scene.cluster.put(samples.agent("editor", agents=uses)),
        scene.cluster.put(poet),
    )

    await scene.rest(*keys)

    if reason is None:
        assert is_true(scene, editor, "Ready")
        return
    assert told(scene, editor, "ResolvedRefs") == (
        "False",
        reason,
        (
            "spec.agents[0].agentRef: Agent guests/poet does not permit the namespace team; "
            "its owner can, by spec.allowedNamespaces of the Agent"
        ),
    )
    assert told(scene, editor, "Stalled")[0] == "True"


async def test_all_of_a_crew_can_go_at_once(scene: Scene) -> None:
    """Each of them names one that is going: neither waits for the other."""
    _, editor, poet = await crew(scene, agents=asking("editor"))
    scene.delete(editor)
    scene.delete(poet)

    await scene.rest(editor, poet)

    assert not {editor, poet} & scene.cluster.objects.keys()
    assert not [ref for ref in scene.cluster.owned if ref.name.startswith("agent-")]


def test_the_agents_it_may_ask_wake_it() -> None:
    body = samples.agent(agents=[*asking("poet"), {"agentRef": {"name": "far", "namespace": "x"}}])

    assert {key_of(Kind.AGENT, "poet").ref, key_of(Kind.AGENT, "far", "x").ref} <= references(body)
