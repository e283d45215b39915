from controller.tests import samples
from controller.tests.reconcile.scene import Scene, running


async def test_each_change_is_told_once(scene: Scene) -> None:
    *_, agent = await running(scene)
    for _ in range(3):
        await scene.reconcile(agent)

    told = [(one.type, one.reason) for one in scene.cluster.events if one.about == agent]

    assert told == [("Warning", "DependencyNotReady"), ("Normal", "Ready")]


async def test_events_are_told_after_the_status(scene: Scene) -> None:
    """Who reads the Event finds the status as it says."""
    agent = scene.cluster.put(samples.agent())

    await scene.reconcile(agent)

    calls = scene.outside.calls.writes
    assert calls.index("report Agent team/math") < calls.index("event Agent team/math")


async def test_counting_on_is_no_news(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    scene.cluster.put(samples.agent(replicas=5))
    await scene.rest(stack, agent)
    scene.cluster.events.clear()

    for ready in range(5):
        status = scene.cluster.child("Deployment", "agent-math")["status"]
        status["readyReplicas"] = ready
        await scene.reconcile(agent)

    assert [one.reason for one in scene.cluster.events] == ["Progressing"]
