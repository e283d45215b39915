"""A task of a conversation that has a run record, and perhaps nothing in the queue."""

import time

import pytest

from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Task
from runtime.contract.subjects import Stream
from runtime.dispatch.decide import UNPUBLISHED_SECONDS
from runtime.dispatch.ends import Ends
from runtime.dispatch.turns import CROWDED_SECONDS, KNOWN_SECONDS, Turns
from runtime.state.conversation_head import Admitted
from runtime.tests.dispatch.scene import USER, Scene, new_task, until


async def admit(scene: Scene, created: float) -> Task:
    """What the API server does before it publishes a task."""
    await scene.conversations.open("c", USER)
    task = new_task(conversation="c")
    admission = await scene.conversations.admit(
        "c",
        USER,
        task.id,
        agent=task.agent,
        when_busy=WhenBusy.QUEUE,
        now=created,
        deadline=task.deadline,
    )
    assert isinstance(admission, Admitted)
    task = task.model_copy(update={"sequence": admission.sequence, "created": created})
    await scene.accept(task)
    return task


async def queued(scene: Scene) -> list[str]:
    return [Task.decode(stored.data).id for stored in await scene.read(Stream.TASKS)]


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("late", [True, False])
async def test_a_task_whose_server_died_before_publishing_is_published(
    scene: Scene, *, late: bool, published: bool
) -> None:
    """It died before or after the dispatcher began to lead, or it did publish and lives."""
    created = time.time() - UNPUBLISHED_SECONDS + 0.5
    task = None if late else await admit(scene, created)
    async with scene.dispatching() as dispatcher:

        async def leads() -> bool:
            return dispatcher.leads

        await until(leads)
        task = task or await admit(scene, created)
        if published:
            await scene.publish(task)

        async def in_queue() -> bool:
            return time.time() > created + UNPUBLISHED_SECONDS + 0.5 and bool(await queued(scene))

        await until(in_queue, seconds=5)

    assert await queued(scene) == [task.id]


@pytest.mark.parametrize("crowded", [True, False])
async def test_no_copy_is_published_that_the_queue_might_not_know(
    scene: Scene, *, crowded: bool
) -> None:
    """Long after, the task may well be among those that wait for the Agent."""
    now = time.time()
    task, other = await admit(scene, now - KNOWN_SECONDS - 1), new_task()
    if crowded:
        await scene.publish(other)
    async with scene.ports() as ports:
        turns = Turns(ports, Ends(ports))
        again = await turns.look("c", now)
        await turns.look("c", now)

    assert again == (now + CROWDED_SECONDS if crowded else None)
    assert await queued(scene) == [other.id if crowded else task.id]
