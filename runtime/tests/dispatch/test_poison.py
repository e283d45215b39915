"""A task that takes its worker down, again and again, with others behind it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from runtime.contract.agent_config import AgentConfig, Execution, Framework, Model, Module, Retry
from runtime.contract.messages import FailureReason, Task
from runtime.contract.runs import RunState
from runtime.contract.subjects import Stream
from runtime.tests.dispatch.processes import Started, start
from runtime.tests.dispatch.scene import (
    MATH,
    STACK,
    Scene,
    dispatcher_config,
    nats_scene,
    new_task,
    until,
)

pytestmark = pytest.mark.integration

ACK_WAIT = 1.0
AGENT = """
import os
from pathlib import Path

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

LOG = Path(__file__).with_name("begun.log")


def answer(state):
    said = state["messages"][-1].content
    with LOG.open("a") as log:
        log.write(said + "\\n")
    if said == "poison":
        os._exit(9)
    return {"messages": [AIMessage(said.upper())]}


graph = StateGraph(MessagesState)
graph.add_node(answer)
graph.add_edge(START, "answer")
graph.add_edge("answer", END)
graph = graph.compile()
"""


def agent_config(scene: Scene, folder: Path) -> AgentConfig:
    assert scene.nats
    math, _ = scene.workloads
    return AgentConfig(
        agent=MATH,
        queue=scene.nats.queue(math),
        durable=str(math.durable),
        framework=Framework.LANGGRAPH,
        module=Module(entrypoint="fragile:graph", path=str(folder)),
        model=Model(id="none", base_url="http://127.0.0.1:1/v1"),
        execution=Execution(ack_wait_seconds=ACK_WAIT),
        retry=Retry(max_attempts=5),
    )


@contextlib.asynccontextmanager
async def restarting(scene: Scene, folder: Path, port: int) -> AsyncIterator[None]:
    """A worker that is started again whenever it falls, as Kubernetes does it."""
    config = agent_config(scene, folder)

    async def keep_up() -> None:
        while True:
            worker = await start(
                folder, "worker", "worker", f"agent/{MATH}", config=config, port=port
            )
            try:
                await worker.process.wait()
            finally:
                await worker.kill()

    keeping = asyncio.create_task(keep_up())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with nats_scene(tmp_path, max_deliver=1000, ack_wait=ACK_WAIT) as made:
        yield made


@pytest.fixture
async def dispatcher(scene: Scene, tmp_path: Path) -> AsyncIterator[Started]:
    config = dispatcher_config(scene)
    started = await start(tmp_path, "dispatcher", "dispatch", f"stack/{STACK}", config=config)
    yield started
    await started.kill()


@pytest.mark.fault(5)
@pytest.mark.timeout(300)  # the worker starts six times, with all that its framework imports
@pytest.mark.usefixtures("dispatcher")
async def test_a_task_that_crashes_its_worker_is_given_up_and_all_others_live(
    scene: Scene, tmp_path: Path, unused_tcp_port: int
) -> None:
    (tmp_path / "fragile.py").write_text(AGENT)
    texts = ["poison", *(f"h{n}" for n in range(20))]
    poison, *healthy = tasks = [new_task(text, seconds=600) for text in texts]
    for task in tasks:
        await scene.accept(task)
        await scene.publish(task)

    async with restarting(scene, tmp_path, unused_tcp_port):
        for task in tasks:
            await scene.ended(task, seconds=200)
        letter = await scene.letter(30)
        await until(lambda: drained(scene))
        await until(lambda: ready(unused_tcp_port), 30)

    begun = Counter((tmp_path / "begun.log").read_text().split())
    assert begun["poison"] == 5
    end = (await scene.held(poison)).record
    assert (end.reason, end.attempt) == (FailureReason.DEAD_LETTERED, 5)
    assert (letter.work, letter.stream, letter.sequence) == (poison.id, Stream.TASKS, 1)
    assert (letter.error, Task.decode(letter.data)) == (end.message, poison)
    assert {(await scene.held(task)).record.state for task in healthy} == {RunState.COMPLETED}
    assert [(await scene.held(t)).record.text for t in healthy] == [f"H{n}" for n in range(20)]
    assert len(await scene.letters()) == 1


async def drained(scene: Scene) -> bool:
    return await scene.read(Stream.TASKS) == []


async def ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        with contextlib.suppress(httpx.HTTPError):
            return (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200
    return False
