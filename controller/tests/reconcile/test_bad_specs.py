import copy
from typing import Any

import pytest

from controller.api.names import Kind
from controller.model import Key
from controller.tests import samples
from controller.tests.api.bad_specs import BAD, Bad
from controller.tests.reconcile.scene import Scene, is_true, running, told, with_code


@pytest.mark.fault(18)
@pytest.mark.parametrize("bad", [one for one in BAD if one.at.startswith("spec")], ids=str)
async def test_a_spec_the_schema_forbids_is_told_and_changes_nothing(
    scene: Scene, bad: Bad
) -> None:
    """Where no API server stands before us, as in embedded mode and after a downgrade."""
    body = copy.deepcopy(bad.body())
    body["metadata"]["namespace"] = "team"
    key = scene.cluster.put(body)

    progress = await scene.reconcile(key)

    status, reason, message = told(scene, key, "Ready")
    assert (status, reason) == ("False", "Invalid")
    assert message == f"{bad.at}: {bad.message}"
    assert is_true(scene, key, "Stalled")
    assert not progress.finished
    assert [ref for ref in scene.cluster.owned if ref.namespace == "team"] == []


@pytest.mark.fault(18)
async def test_a_bad_edit_leaves_the_system_running_and_its_revert_restores_it(
    scene: Scene,
) -> None:
    keys = await running(scene)
    agent = keys[-1]
    good = copy.deepcopy(scene.cluster.objects[agent])
    wanted = (copy.deepcopy(scene.cluster.owned), dict(scene.queue.consumers))

    scene.cluster.put(samples.agent(framework="Cobol"))
    for key in keys:
        await scene.reconcile(key)

    assert (scene.cluster.owned, scene.queue.consumers) == wanted
    assert told(scene, agent, "Ready")[1] == "Invalid"
    # What an autoscaler or a person reads of the workers that run on is still there.
    status = scene.cluster.objects[agent]["status"]
    assert (status["replicas"], status["selector"]) == (1, good["status"]["selector"])
    scene.outside.calls.made.clear()
    await scene.reconcile(agent)
    assert scene.outside.calls.writes == []
    assert is_true(scene, keys[0], "Ready")

    scene.cluster.put({**good, "metadata": {"name": "math", "namespace": "team"}})
    await scene.rest(*keys)
    assert is_true(scene, agent, "Ready")
    assert scene.cluster.child("Deployment", "agent-math")["spec"]["replicas"] == 1


UNSUPPORTED = [
    pytest.param(
        {"triggers": [{"schedule": "@daily", "input": "go"}]},
        "spec.triggers: a trigger is not in this version; remove it and submit by the API",
        id="triggers",
    ),
    pytest.param(
        {"scaling": {"engine": "KEDA"}},
        "spec.scaling.engine: KEDA is not in this version; use Builtin",
        id="keda",
    ),
]


@pytest.mark.fault(18)
@pytest.mark.parametrize(("spec", "message"), UNSUPPORTED)
async def test_what_this_version_cannot_do_is_refused_by_name(
    scene: Scene, spec: dict[str, Any], message: str
) -> None:
    stack, tool, _ = await running(scene)
    agent = scene.cluster.put(samples.agent("late", **spec))

    await scene.reconcile(agent)

    assert told(scene, agent, "Accepted") == ("False", "UnsupportedValue", message)
    assert told(scene, agent, "Ready") == ("False", "UnsupportedValue", message)
    assert [ref for ref in scene.cluster.owned if ref.name == "agent-late"] == []
    assert is_true(scene, stack, "Ready")
    assert is_true(scene, tool, "Ready")


async def test_a_pod_that_kubernetes_refuses_is_the_podtemplates_fault(scene: Scene) -> None:
    with_code(scene)
    stack = scene.cluster.put(samples.stack())
    template = {"spec": {"priorityClassName": "none"}}
    agent = scene.cluster.put(samples.agent(podTemplate=template))
    other = scene.cluster.put(samples.agent("other"))
    scene.cluster.refused = lambda child: (
        "Kubernetes does not accept it: no such priority"
        if child.ref.name == "agent-math" and child.ref.kind == "Deployment"
        else None
    )

    await scene.rest(stack, agent, other)

    message = "spec.podTemplate: Kubernetes does not accept it: no such priority"
    assert told(scene, agent, "Accepted") == ("False", "Invalid", message)
    assert told(scene, agent, "Ready")[:2] == ("False", "Invalid")
    assert is_true(scene, other, "Ready")


async def test_an_object_of_somebody_else_is_not_taken_over(scene: Scene) -> None:
    stack, agent = scene.cluster.put(samples.stack()), scene.cluster.put(samples.agent())
    await scene.rest(stack)
    account = Key(Kind.AGENT, "team", "agent-math").ref
    scene.cluster.foreign.add(type(account)("v1", "ServiceAccount", "team", "agent-math"))

    progress = await scene.reconcile(agent)

    assert told(scene, agent, "Programmed") == (
        "False",
        "Pending",
        "ServiceAccount team/agent-math exists and somebody else manages it",
    )
    assert progress.again_in == 30.0
