import copy

import pytest

from controller.errors import ClusterUnavailable, StaleView
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, is_true, running, told

TOOLS = [{"toolRef": {"name": "add"}}]


@pytest.mark.fault(17)
async def test_an_older_spec_is_not_acted_upon(scene: Scene) -> None:
    """A list from an older resourceVersion must not roll anything back."""
    *_, agent = await running(scene)
    old = copy.deepcopy(scene.cluster.objects[agent])
    scene.cluster.put(samples.agent(tools=TOOLS, replicas=3))
    await scene.rest(agent)
    new = scene.cluster.objects[agent]
    wanted = scene.cluster.child("Deployment", "agent-math")
    scene.cluster.objects[agent] = old

    with pytest.raises(StaleView):
        await scene.reconcile(agent)

    assert scene.cluster.child("Deployment", "agent-math") == wanted
    scene.cluster.objects[agent] = new
    await scene.rest(agent)
    assert is_true(scene, agent, "Ready")


@pytest.mark.fault(17)
async def test_a_new_process_knows_an_older_spec_by_its_status(scene: Scene) -> None:
    *_, agent = await running(scene)
    old_spec = scene.cluster.objects[agent]["spec"]
    scene.cluster.put(samples.agent(tools=TOOLS, replicas=3))
    await scene.rest(agent)
    body = scene.cluster.objects[agent]
    metadata = {**body["metadata"], "generation": 1}
    scene.cluster.objects[agent] = {**body, "metadata": metadata, "spec": old_spec}
    scene.world = scene.outside.world()

    with pytest.raises(StaleView):
        await scene.reconcile(agent)


@pytest.mark.fault(17)
async def test_a_reference_that_seems_gone_takes_nothing_away(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    wanted = (dict(scene.cluster.owned), dict(scene.queue.consumers))
    hidden = scene.cluster.objects.pop(stack)

    await scene.reconcile(agent)

    assert (dict(scene.cluster.owned), dict(scene.queue.consumers)) == wanted
    scene.cluster.objects[stack] = hidden
    await scene.rest(agent)
    assert is_true(scene, agent, "Ready")


@pytest.mark.fault(17)
async def test_waking_in_any_order_and_twice_ends_the_same(scene: Scene) -> None:
    stack, tool, agent = await running(scene)
    wanted = scene.outside.snapshot()

    for key in (agent, agent, stack, tool, agent, stack):
        await scene.reconcile(key)

    assert scene.outside.snapshot() == wanted


async def test_an_object_that_is_gone_needs_nothing(scene: Scene) -> None:
    *_, agent = await running(scene)
    scene.cluster.objects.pop(agent)

    assert (await scene.reconcile(agent)).finished


async def test_kubernetes_down_is_an_error_that_knows_when_to_come_back(scene: Scene) -> None:
    *_, agent = await running(scene)
    scene.cluster.is_down = True

    with pytest.raises(ClusterUnavailable) as down:
        await scene.reconcile(agent)

    assert down.value.retry_after == 2.0


async def test_kubernetes_going_down_in_the_middle_is_made_good(scene: Scene) -> None:
    *_, agent = await running(scene)
    scene.cluster.put(samples.agent(tools=TOOLS, replicas=3))
    scene.cluster.refused = lambda _: _down(scene)

    with pytest.raises(ClusterUnavailable):
        await scene.reconcile(agent)

    scene.cluster.is_down, scene.cluster.refused = False, lambda _: None
    await scene.rest(agent)
    assert told(scene, agent, "Ready")[2] == "3 of 3 workers ready"


def _down(scene: Scene) -> str | None:
    scene.cluster.is_down = True
    raise ClusterUnavailable("Kubernetes does not answer")
