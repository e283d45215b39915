"""The operator is killed after each of its calls; a new one brings it to the same end."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.api.names import Kind
from controller.model import Key
from controller.tests import samples
from controller.tests.fakes import Killed
from controller.tests.reconcile.scene import Scene, running, with_code

TOOLS = [{"toolRef": {"name": "add"}}]

type Act = Callable[[Scene], Key]


def create(scene: Scene) -> Key:
    return scene.cluster.put(samples.agent("late", tools=TOOLS))


def update(scene: Scene) -> Key:
    changed: dict[str, Any] = {"execution": {"ackWaitSeconds": 20}, "replicas": 2}
    return scene.cluster.put(samples.agent(tools=TOOLS, **changed))


def delete(scene: Scene) -> Key:
    key = Key(Kind.AGENT, "team", "math")
    scene.delete(key)
    return key


def create_stack(scene: Scene) -> Key:
    return scene.cluster.put(samples.stack("second"))


def delete_stack(scene: Scene) -> Key:
    key = Key(Kind.STACK, "team", "default")
    scene.delete(key)
    return key


def delete_tool(scene: Scene) -> Key:
    key = Key(Kind.TOOL, "team", "add")
    scene.delete(key)
    return key


async def finish(scene: Scene, key: Key) -> None:
    if key in scene.cluster.objects:
        await scene.rest(key)


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    "act",
    [create, update, delete, create_stack, delete_stack, delete_tool],
    ids=lambda act: act.__name__,
)
async def test_killed_after_any_call_it_converges_to_the_same(scene: Scene, act: Act) -> None:
    await running(with_code(scene))
    key = act(scene)
    scene.outside.calls.made.clear()
    undisturbed = scene.copy()
    await finish(undisturbed, key)
    wanted = undisturbed.outside.snapshot()
    calls = len(undisturbed.outside.calls.made)
    assert calls > 5

    for fatal in range(1, calls + 1):
        disturbed = scene.copy()
        disturbed.outside.calls.fatal = fatal
        with pytest.raises(Killed):
            await finish(disturbed, key)
        disturbed.outside.calls.fatal = None
        disturbed.world = disturbed.outside.world()
        await finish(disturbed, key)
        assert disturbed.outside.snapshot() == wanted, f"killed after call {fatal}"
