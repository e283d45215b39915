"""A worker that is killed while its agent waits, and another one that takes the run over."""

import asyncio
import contextlib
import signal
import textwrap
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import ClientSession, web

from runtime.contract.agent_config import (
    AgentConfig,
    Execution,
    Framework,
    Model,
    Module,
    OnCrash,
    Retry,
)
from runtime.contract.keys import checkpoint_key
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket
from runtime.tests.dispatch.processes import start
from runtime.tests.dispatch.scene import Scene, nats_scene, new_task, until

ACK_WAIT = 1.0
SOON_SECONDS = 120.0  # a framework takes long to import where many processes do so

# What calls `held` waits in its first attempt for the end of its worker; a line of `done` is what
# came to its end.
HEAD = """
    import asyncio
    from pathlib import Path

    FOLDER = Path(__file__).parent

    def do(name):
        with (FOLDER / "done").open("a") as done:
            done.write(name + "\\n")

    async def held():
        if not (FOLDER / "held").exists():
            (FOLDER / "held").touch()
            await asyncio.sleep(3600)
"""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with nats_scene(tmp_path, max_deliver=1000, ack_wait=ACK_WAIT) as made:
        yield made


def agent(
    scene: Scene,
    folder: Path,
    source: str,
    url: str,
    *,
    framework: Framework = Framework.LANGGRAPH,
    model_id: str = "stand-in",
    on_crash: OnCrash = OnCrash.RESUME,
) -> AgentConfig:
    """The configuration of the object `agent` in `source`."""
    assert scene.nats
    math, _ = scene.workloads
    source = textwrap.dedent(HEAD) + textwrap.dedent(source)
    (folder / "users_agent.py").write_text(source)
    return AgentConfig(
        agent=math.name,
        queue=scene.nats.queue(math),
        durable=str(math.durable),
        framework=framework,
        model=Model(id=model_id, base_url=url),
        module=Module(entrypoint="users_agent:agent", path=str(folder)),
        execution=Execution(ack_wait_seconds=ACK_WAIT),
        retry=Retry(max_attempts=3, on_crash=on_crash),
    )


async def killed_while_held(
    scene: Scene, folder: Path, config: AgentConfig, question: str = "What is 12 + 30?"
) -> str:
    """A worker ends by SIGKILL, another one takes its task over; gives the answer."""
    task = new_task(question)
    await scene.accept(task)
    await scene.publish(task)
    words = ("worker", f"agent/{config.agent}")
    key, store = checkpoint_key(config.agent, task.id), scene.caller.store(Bucket.CHECKPOINTS)

    async def is_held() -> bool:
        return (folder / "held").exists()

    first = await start(folder, "first", *words, config=config)
    try:
        await until(is_held, SOON_SECONDS)
        resumes = config.retry.on_crash is OnCrash.RESUME
        assert (await store.get(key) is not None) == resumes
    finally:
        await first.kill()
    assert first.process.returncode == -signal.SIGKILL
    second = await start(folder, "second", *words, config=config)
    try:
        await scene.ended(task, seconds=SOON_SECONDS)

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


@contextlib.asynccontextmanager
async def counted(url: str, asked: list[bytes]) -> AsyncIterator[str]:
    """The model at `url` at another address; what it is asked there is added to `asked`."""

    async def passed_on(request: web.Request) -> web.Response:
        asked.append(await request.read())
        to_model = url + request.path
        headers = {"Content-Type": request.content_type}
        async with (
            ClientSession(headers=headers) as client,
            client.post(to_model, data=asked[-1]) as to,
        ):
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


async def goes_on_after_a_kill(
    scene: Scene, folder: Path, source: str, url: str, *, before: Sequence[str] = (), **facts: Any
) -> None:
    """The agent in `source` is killed in its tool `add`; its model is asked nothing again.

    What it has done before, at a turn of its model each, it does not do again either.
    """
    asked: list[bytes] = []
    async with counted(url.removesuffix("/v1"), asked) as listened:
        config = agent(scene, folder, source, listened, **facts)
        answer = await killed_while_held(scene, folder, config)
    assert "42" in answer
    assert done(folder) == [*before, "12+30"]
    assert len(asked) == len(before) + 2, "one turn for the call, one for the answer"


async def goes_on_behind_a_call(
    scene: Scene, folder: Path, source: str, url: str, **facts: Any
) -> None:
    """The agent in `source` is killed in the second call of its tool `add`: the first stays."""
    asked: list[bytes] = []
    async with counted(url.removesuffix("/v1"), asked) as listened:
        config = agent(scene, folder, source, listened, **facts)
        answer = await killed_while_held(scene, folder, config, "What is 1 + 2 + 30?")
    assert "33" in answer
    assert done(folder) == ["1+2", "3+30"]
    assert len(asked) == 3, "one turn for each call, one for the answer"


class KilledContract:
    """What the next worker does not do again, of agents that remember their own tools.

    Shape:
        source  of the agent `agent` with a tool `add` that is held where its arguments are `HELD`.
    """

    framework: ClassVar[Framework]
    source: ClassVar[str]

    async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
        self, scene: Scene, tmp_path: Path, model_url: str
    ) -> None:
        source = self.source + held_at(12, 30)
        await goes_on_after_a_kill(scene, tmp_path, source, model_url, framework=self.framework)

    async def test_a_users_own_tool_is_not_called_again(
        self, scene: Scene, tmp_path: Path, model_url: str
    ) -> None:
        source = self.source + held_at(3, 30)
        await goes_on_behind_a_call(scene, tmp_path, source, model_url, framework=self.framework)


def held_at(a: int, b: int) -> str:
    """A line of an agent's source."""
    return f"\n    HELD = ({a}, {b})\n"
