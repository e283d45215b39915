"""Calls over a real NATS server to tools that are processes of their own."""

import asyncio
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.contract.agent_config import (
    Execution,
    Module,
    Retry,
    SideEffects,
    ToolBinding,
    ToolConfig,
)
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.tests.nats import RunningStack
from runtime.tests.tools.place import agent_config, task
from runtime.tools.calls import Calls
from runtime.tools.port import Announced, ToolFailure, ToolFunction
from runtime.tools.toolbox import CatalogueToolbox
from runtime.worker.slots import Places

pytestmark = pytest.mark.integration

ADD = ObjectName(namespace="team", name="add")
ACK_WAIT = 2.0
# Each effect is a line in the file; a file `die` takes the worker down right after the effect. A
# file `poisonous` lets 13 do so each time, while the other calls take their time. A file `keyed`
# makes it a tool that has an effect once for each key.
SOURCE = """
    import os, pathlib, signal, time

    from runtime.tools.key import call_key

    FOLDER = pathlib.Path(__file__).parent

    def is_new() -> bool:
        try:
            (FOLDER / f"key-{call_key()}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def add(a: int, b: int) -> int:
        '''Add two numbers.'''
        if (FOLDER / "keyed").exists() and not is_new():
            return a + b
        with (FOLDER / "effects").open("a") as effects:
            effects.write(f"{a}+{b}\\n")
        if (FOLDER / "die").exists():
            (FOLDER / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if (FOLDER / "poisonous").exists():
            time.sleep(0.3 if a == 13 else 0.6)
            if a == 13:
                os.kill(os.getpid(), signal.SIGKILL)
        return a + b
"""


class ToolProcesses:
    """The workers of the tool `add`, and the effects they had."""

    def __init__(self, nats: RunningStack, workload: Workload, folder: Path) -> None:
        self._nats = nats
        self._workload = workload
        self.folder = folder
        self.running: list[asyncio.subprocess.Process] = []
        (folder / "users_add.py").write_text(textwrap.dedent(SOURCE))

    def happened(self) -> list[str]:
        effects = self.folder / "effects"
        return sorted(effects.read_text().splitlines()) if effects.exists() else []

    async def start(self, side_effects: SideEffects = SideEffects.IDEMPOTENT) -> None:
        assert self._workload.durable
        config = ToolConfig(
            tool=ADD,
            queue=self._nats.queue(self._workload),
            durable=self._workload.durable,
            python=Module(entrypoint="users_add:add", path=str(self.folder)),
            side_effects=side_effects,
            execution=Execution(timeout_seconds=30, ack_wait_seconds=ACK_WAIT),
            retry=Retry(max_attempts=3),
        )
        path = self.folder / "tool.json"
        path.write_bytes(config.encode())
        env = os.environ | {
            "K8GENTAI_CONFIG": str(path),
            "K8GENTAI_HEALTH_PORT": "0",
            "K8GENTAI_HOST": "127.0.0.1",
            "K8GENTAI_TERMINATION_LOG": str(self.folder / "last-words"),
        }
        command = [sys.executable, "-m", "runtime", "worker", f"tool/{ADD}"]
        with (self.folder / "log").open("ab") as log:
            started = await asyncio.create_subprocess_exec(*command, env=env, stderr=log)
        self.running.append(started)

    async def ended(self) -> list[int]:
        """Wait for all of them; gives their exit codes."""
        async with asyncio.timeout(20):
            return [await process.wait() for process in self.running]

    async def stop(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await self.ended()


@pytest.fixture
async def tool(nats_stack: RunningStack, tmp_path: Path) -> AsyncIterator[ToolProcesses]:
    folder = tmp_path / "tool"
    folder.mkdir()
    made = ToolProcesses(nats_stack, await nats_stack.tool("add", ack_wait=ACK_WAIT), folder)
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def bound(
    nats: RunningStack, worker: str = "w1", told: list[Announced] | None = None
) -> AsyncIterator[ToolFunction]:
    """The tool as a worker process of the agent `math` calls it in the task `t1`."""
    agent = await nats.agent("math", calls=[ADD])
    async with nats.link_as(agent) as link:
        effects = link.store(Bucket.EFFECTS)
        calls = Calls(link.outbox, effects, link.subjects, caller=agent.name, worker=worker)
        config = agent_config(ToolBinding(tool=ADD, timeout_seconds=30), agent=agent.name)
        box = CatalogueToolbox(config, link.store(Bucket.CATALOGUE), calls, Places.with_own(1))
        heard = told if told is not None else []

        async def tell(what: Announced) -> None:
            heard.append(what)

        async with calls.running():
            await asyncio.wait_for(box.open(), 30)
            (add,) = box.bind(task(seconds=60), tell)
            yield add


async def call(nats: RunningStack, *pairs: tuple[int, int], worker: str = "w1") -> list[Any]:
    async with bound(nats, worker) as add:
        return await asyncio.gather(
            *(add.call({"a": a, "b": b}) for a, b in pairs), return_exceptions=True
        )


async def test_calls_go_to_a_tool_and_back(nats_stack: RunningStack, tool: ToolProcesses) -> None:
    await tool.start()
    told: list[Announced] = []
    async with bound(nats_stack, told=told) as add:
        assert add.spec.description == "Add two numbers."
        assert await add.call({"a": 2, "b": 3}) == "5"
        assert await asyncio.gather(*(add.call({"a": a, "b": 1}) for a in range(20))) == [
            str(a + 1) for a in range(20)
        ]
    assert len(tool.happened()) == 21
    assert len(told) == 42


@pytest.mark.fault(1)
async def test_an_agents_rerun_elsewhere_makes_no_second_effect(
    nats_stack: RunningStack, tool: ToolProcesses
) -> None:
    await tool.start()
    pairs = [(1, 1), (1, 1), (2, 3)]
    assert await call(nats_stack, *pairs, worker="w1") == ["2", "2", "5"]
    assert await call(nats_stack, *reversed(pairs), worker="w2") == ["5", "2", "2"]
    assert tool.happened() == ["1+1", "1+1", "2+3"]


async def test_calls_wait_for_a_tool_that_is_scaled_to_zero(
    nats_stack: RunningStack, tool: ToolProcesses
) -> None:
    await tool.start()
    assert await call(nats_stack, (1, 1)) == ["2"]
    await tool.stop()
    calling = asyncio.create_task(call(nats_stack, (1, 2), (3, 4)))
    await asyncio.sleep(1)  # nobody answers meanwhile
    assert not calling.done()
    await tool.start()
    assert await calling == ["3", "7"]


@pytest.mark.parametrize(
    ("side_effects", "keyed", "answer", "happened"),
    [
        pytest.param(SideEffects.NONE, False, "5", ["2+3", "2+3"], id="repeated"),
        pytest.param(SideEffects.IDEMPOTENT, True, "5", ["2+3"], id="known by its key"),
        pytest.param(SideEffects.AT_MOST_ONCE, False, None, ["2+3"], id="in doubt"),
    ],
)
@pytest.mark.fault(1)
async def test_a_tool_killed_between_effect_and_record(
    nats_stack: RunningStack,
    tool: ToolProcesses,
    side_effects: SideEffects,
    keyed: bool,
    answer: str | None,
    happened: list[str],
) -> None:
    if keyed:
        (tool.folder / "keyed").touch()
    (tool.folder / "die").touch()
    await tool.start(side_effects)
    calling = asyncio.create_task(call(nats_stack, (2, 3)))
    assert await tool.ended() == [-signal.SIGKILL]
    await tool.start(side_effects)
    (result,) = await asyncio.wait_for(calling, 30)
    if answer is None:
        assert isinstance(result, ToolFailure)
        assert str(result) == "a worker was lost while it ran add; it may have happened"
    else:
        assert result == answer
    assert tool.happened() == happened


@pytest.mark.fault(5)
async def test_a_call_that_crashes_its_workers_takes_no_other_call_along(
    nats_stack: RunningStack, tool: ToolProcesses
) -> None:
    (tool.folder / "poisonous").touch()
    await tool.start()
    pairs = [(1, 1), (13, 13), (2, 2), (3, 3)]
    calling = asyncio.create_task(call(nats_stack, *pairs))
    for _ in range(3):
        assert await tool.running[-1].wait() == -signal.SIGKILL
        await tool.start()
    one, poison, two, three = await asyncio.wait_for(calling, 30)
    assert (one, two, three) == ("2", "4", "6")
    assert isinstance(poison, ToolFailure)
    assert str(poison) == "add took 3 workers down, so it was given up"
    assert tool.happened().count("13+13") == 3


async def test_a_tool_that_cannot_be_loaded_says_why_at_its_end(
    nats_stack: RunningStack, tool: ToolProcesses
) -> None:
    del nats_stack
    (tool.folder / "users_add.py").write_text("import nowhere_at_all")
    await tool.start()
    assert await tool.ended() == [78]
    assert (tool.folder / "last-words").read_text() == (
        'spec.python.entrypoint "users_add:add": users_add.py:1 ModuleNotFoundError: No module '
        "named 'nowhere_at_all'; if nowhere_at_all is a file of yours, add it to the ConfigMap of "
        "spec.python.configMapRef; else for `make up`, let PYTHONPATH name a folder that has it "
        "(pip install --target); in a cluster, build an image FROM the runtime image that has it "
        "and your module, and name it in spec.python.image in place of configMapRef"
    )
