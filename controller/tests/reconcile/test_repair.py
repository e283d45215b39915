from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.model import ConsumerRef, EntryRef
from controller.tests.reconcile.scene import Scene, running


def cursor(scene: Scene) -> ConsumerRef:
    return next(ref for ref in scene.queue.consumers if ref.durable.startswith("math-"))


def without_consumer(scene: Scene) -> None:
    del scene.queue.consumers[cursor(scene)]


def with_other_max_deliver(scene: Scene) -> None:
    ref = cursor(scene)
    scene.queue.consumers[ref] = replace(scene.queue.consumers[ref], max_deliver=1)


def without_identity(scene: Scene) -> None:
    del scene.queue.entries[EntryRef("team_default_policy", "workloads.team.agent-math")]


def without_deployment(scene: Scene) -> None:
    scene.cluster.owned = {
        ref: body
        for ref, body in scene.cluster.owned.items()
        if (ref.kind, ref.name) != ("Deployment", "agent-math")
    }


def with_another_image(scene: Scene) -> None:
    pod = scene.cluster.child("Deployment", "agent-math")["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "example/other:1"


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without_consumer, "consumer math-"),
        (with_other_max_deliver, "consumer math-"),
        (without_identity, "entry workloads.team.agent-math was gone; it is made again"),
        (without_deployment, "Deployment team/agent-math was gone; it is made again"),
        (with_another_image, None),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_somebody_takes_away_is_put_back(
    scene: Scene, damage: Callable[[Scene], None], told: str | None
) -> None:
    keys = await running(scene)
    wanted = scene.outside.snapshot()
    scene.cluster.events.clear()
    damage(scene)
    assert scene.outside.snapshot() != wanted

    await scene.rest(*keys)

    assert scene.outside.snapshot() == wanted
    messages = [event.message for event in scene.cluster.events if event.reason == "Programmed"]
    assert told is None or any(message.startswith(told) for message in messages)
    assert told is not None or messages == []


@pytest.mark.fault(20)
async def test_a_stream_that_was_changed_is_as_it_was(scene: Scene) -> None:
    stack, *_ = await running(scene)
    name = "team_default_TASKS"
    wanted = scene.queue.streams[name]
    scene.queue.streams[name] = replace(wanted, max_bytes=1)

    await scene.reconcile(stack)

    assert scene.queue.streams[name] == wanted
