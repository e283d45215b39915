"""Runs that go on after their worker was lost: what the handler keeps, and real processes."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from runtime.adapters.port import AgentFailure, Answer, ModelBusy, Run, Step, Text
from runtime.contract.agent_config import (
    AgentConfig,
    Execution,
    Framework,
    Model,
    Module,
    OnCrash,
    Retry,
)
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket, checkpoint_key
from runtime.state.checkpoints import Checkpoints
from runtime.tests.agent.test_handler import MATH, Place
from runtime.tests.agents import model_url
from runtime.tests.dispatch.processes import start
from runtime.tests.dispatch.scene import Scene, nats_scene, new_task, until
from runtime.worker.outcomes import Again, Done

__all__ = ["model_url"]  # a fixture

ACK_WAIT = 1.0
RESUMING = Retry(max_attempts=3, on_crash=OnCrash.RESUME)


async def kept(place: Place) -> bytes | None:
    store = place.link.store(Bucket.CHECKPOINTS)
    return await Checkpoints(store).of(MATH, "t0", 9).load()


async def going_on(run: Run) -> AsyncIterator[Step]:
    """Say what was kept; without anything, keep something and hand the run back."""
    assert run.checkpoint is not None
    found = await run.checkpoint.load()
    if found is None:
        await run.checkpoint.save(b"so far")
        raise ModelBusy("try again")
    yield Answer(found.decode())


async def test_the_next_attempt_finds_what_was_kept_and_its_end_takes_it_away() -> None:
    place = Place(going_on, retry=RESUMING)
    task = await place.accept()
    assert isinstance(await place.handler.handle(await place.delivery()), Again)
    assert await kept(place) == b"so far"
    await place.publish(task.encode())
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).text == "so far"
    assert await kept(place) is None


async def test_a_run_that_fails_leaves_nothing() -> None:
    async def failing(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is not None
        yield Text("so far")
        await run.checkpoint.save(b"so far")
        raise AgentFailure("no more")

    place = Place(failing, retry=RESUMING)
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).state is RunState.FAILED
    assert await kept(place) is None


@pytest.mark.parametrize("on_crash", [OnCrash.RESTART, OnCrash.FAIL])
async def test_an_agent_that_does_not_resume_is_given_nothing_and_drops_what_is_old(
    on_crash: OnCrash,
) -> None:
    async def anew(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is None
        yield Answer(f"attempt {run.attempt}")

    place = Place(anew, retry=Retry(max_attempts=3, on_crash=on_crash))
    store = place.link.store(Bucket.CHECKPOINTS)
    task = await place.accept(attempt=1)
    await Checkpoints(store).of(MATH, task.id, 1).save(b"old")
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).text == "attempt 2"
    assert await kept(place) is None


# The second step waits in its first attempt for the end of its worker; a line of `done` is a step.
GRAPH = """
    import asyncio
    from pathlib import Path

    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    FOLDER = Path(__file__).parent

    def do(name):
        with (FOLDER / "done").open("a") as done:
            done.write(name + "\\n")

    async def held():
        if not (FOLDER / "held").exists():
            (FOLDER / "held").touch()
            await asyncio.sleep(3600)
"""
STEPS = """
    async def first(state):
        do("first")
        return {"messages": [AIMessage("first")]}

    async def second(state):
        await held()
        do("second")
        return {"messages": [AIMessage(f"after {state['messages'][-1].text}")]}

    graph = StateGraph(MessagesState)
    graph.add_node(first)
    graph.add_node(second)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
"""
TURNS = """
    from langchain.agents import create_agent

    async def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        await held()
        do(f"{a}+{b}")
        return str(a + b)

    def graph(context):
        return create_agent(context.model, [add])
"""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with nats_scene(tmp_path, max_deliver=1000, ack_wait=ACK_WAIT) as made:
        yield made


def agent(
    scene: Scene, folder: Path, source: str, url: str, on_crash: OnCrash = OnCrash.RESUME
) -> AgentConfig:
    assert scene.nats
    math, _ = scene.workloads
    lines = (GRAPH + source).splitlines()
    (folder / "users_graph.py").write_text("\n".join(line.removeprefix("    ") for line in lines))
    return AgentConfig(
        agent=math.name,
        queue=scene.nats.queue(math),
        durable=str(math.durable),
        framework=Framework.LANGGRAPH,
        module=Module(entrypoint="users_graph:graph", path=str(folder)),
        model=Model(id="stand-in", base_url=url),
        execution=Execution(ack_wait_seconds=ACK_WAIT),
        retry=Retry(max_attempts=3, on_crash=on_crash),
    )


async def killed_in_the_second_step(scene: Scene, folder: Path, config: AgentConfig) -> str:
    """A worker ends by SIGKILL, another one takes its task over; gives the answer."""
    task = new_task("What is 12 + 30?")
    await scene.accept(task)
    await scene.publish(task)
    words = ("worker", f"agent/{config.agent}")
    key, store = checkpoint_key(config.agent, task.id), scene.caller.store(Bucket.CHECKPOINTS)

    async def is_held() -> bool:
        return (folder / "held").exists()

    first = await start(folder, "first", *words, config=config)
    try:
        await until(is_held, 60)
        resumes = config.retry.on_crash is OnCrash.RESUME
        assert (await store.get(key) is not None) == resumes
    finally:
        await first.kill()
    assert first.process.returncode == -signal.SIGKILL
    second = await start(folder, "second", *words, config=config)
    try:
        await scene.ended(task, seconds=60)

        async def is_gone() -> bool:
            return await store.get(key) is None

        await until(is_gone)
    finally:
        await second.kill()
    record = (await scene.held(task)).record
    assert (record.state, record.attempt) == (RunState.COMPLETED, 2)
    return str(record.text)


def done(folder: Path) -> list[str]:
    return (folder / "done").read_text().split()


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("on_crash", "steps"),
    [
        (OnCrash.RESUME, ["first", "second"]),
        (OnCrash.RESTART, ["first", "first", "second"]),
    ],
)
async def test_a_worker_killed_between_two_steps_is_followed_by_one_that_goes_on(
    scene: Scene, tmp_path: Path, on_crash: OnCrash, steps: list[str]
) -> None:
    config = agent(scene, tmp_path, STEPS, "http://127.0.0.1:1/v1", on_crash)
    assert await killed_in_the_second_step(scene, tmp_path, config) == "after first"
    assert done(tmp_path) == steps


@contextlib.asynccontextmanager
async def counted(url: str, asked: list[bytes]) -> AsyncIterator[str]:
    """The model at `url` at another address; what it is asked there is added to `asked`."""

    async def passed_on(request: web.Request) -> web.Response:
        asked.append(await request.read())
        async with ClientSession() as client, client.post(url + request.path, data=asked[-1]) as to:
            return web.Response(body=await to.read(), content_type=to.content_type)

    app = web.Application()
    app.router.add_post("/{path:.*}", passed_on)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await asyncio.wait_for(runner.cleanup(), 5)


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(180)
async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    asked: list[bytes] = []
    async with counted(model_url.removesuffix("/v1"), asked) as url:
        config = agent(scene, tmp_path, TURNS, url)
        answer = await killed_in_the_second_step(scene, tmp_path, config)
    assert "42" in answer
    assert done(tmp_path) == ["12+30"]
    assert len(asked) == 2, "one turn for the call, one for the answer"
