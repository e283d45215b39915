"""Signed calls over a real NATS server, to a tool that is a process of its own."""

import asyncio
import json
import os
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.contract.agent_config import Execution, Module, Retry, ToolConfig
from runtime.contract.dead_letter import LastWords
from runtime.contract.messages import Task
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.work import task_work
from runtime.identity.delegation import Delegations
from runtime.state.rights import Rights
from runtime.tests.nats import OPERATOR_WORKLOAD
from runtime.tests.tools.place import agent_config, call, task
from runtime.tests.trust.test_accepting import access
from runtime.tests.trust.token_requests import user_token
from runtime.tests.trust.token_scene import ADD, Scene
from runtime.tools.calls import Calls
from runtime.tools.port import Announced
from runtime.tools.toolbox import CatalogueToolbox
from runtime.worker.slots import Places

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SOURCE = """
    import pathlib

    def add(a: int, b: int) -> int:
        '''Add two numbers.'''
        with (pathlib.Path(__file__).parent / "effects").open("a") as effects:
            effects.write(f"{a}+{b}\\n")
        return a + b
"""


@dataclass
class ToolProcess:
    """The worker of the tool `add`, and what it did."""

    folder: Path

    def happened(self) -> list[str]:
        effects = self.folder / "effects"
        return effects.read_text().splitlines() if effects.exists() else []

    def refusals(self) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        return [line for line in lines if line["logger"] == "k8gentai.audit"]


@pytest_asyncio.fixture(loop_scope="module")
async def tool(scene: Scene, tmp_path: Path) -> AsyncIterator[ToolProcess]:
    assert scene.add.durable
    (tmp_path / "users_add.py").write_text(textwrap.dedent(SOURCE))
    config = ToolConfig(
        tool=ADD,
        queue=scene.running.queue(scene.add),
        durable=scene.add.durable,
        python=Module(entrypoint="users_add:add", path=str(tmp_path)),
        execution=Execution(timeout_seconds=30),
        retry=Retry(max_attempts=3),
        require_grant=True,
        tokens=access(scene, scene.add),
    )
    path = tmp_path / "tool.json"
    path.write_bytes(config.encode())
    environment = {
        "K8GENTAI_CONFIG": str(path),
        "K8GENTAI_HEALTH_PORT": "0",
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_TERMINATION_LOG": str(tmp_path / "last-words"),
    }
    with (tmp_path / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtime", "worker", f"tool/{ADD}"),
            env=os.environ | environment,
            stderr=log,
        )
    yield ToolProcess(tmp_path)
    process.terminate()
    await process.wait()


async def granted(scene: Scene, asked: Task) -> Task:
    server, stack = scene.client(scene.server), scene.running.stack
    grant = await server.task_grant(
        user_token(scene.users), stack, scene.math.name, task_work(asked)
    )
    return asked.model_copy(update={"grant": grant, "user": scene.users.principal("ada")})


@pytest.mark.fault(21)
async def test_a_granted_call_runs_and_a_planted_one_is_terminated(
    scene: Scene, tool: ToolProcess
) -> None:
    """What an administrator of the queue itself puts there is no work either."""
    planted = call(a=13).model_copy(update={"grant": "a.e30.c"})
    subject = scene.running.subjects.calls(ADD, scene.math.name)
    await scene.running.put(subject, planted.encode())

    async def tell(_: Announced) -> None:
        """Nobody listens."""

    async with scene.running.link_as(scene.math) as link:
        effects = link.store(Bucket.EFFECTS)
        calls = Calls(link.outbox, effects, link.subjects, caller=scene.math.name, worker="w1")
        box = CatalogueToolbox(
            agent_config(),
            link.store(Bucket.CATALOGUE),
            Rights(link.store(Bucket.POLICY)),
            calls,
            Places.with_own(1),
            delegations=Delegations(scene.client(scene.math)),
        )
        async with calls.running():
            await box.open()
            (add,) = box.bind(await granted(scene, task(seconds=60)), tell)
            assert await add.call({"a": 2, "b": 3}) == "5"

    assert tool.happened() == ["2+3"]
    assert [(one["subject"], one["work"]) for one in tool.refusals()] == [(subject, planted.id)]
    async with scene.running.link_as(OPERATOR_WORKLOAD) as link:
        words = await last_words(scene)
        assert words.reason == "malformed: unsigned"
        assert words.subject == subject
        assert await link.store(Bucket.EFFECTS).get(planted.id) is None


async def last_words(scene: Scene) -> LastWords:
    """What the queue keeps of a message that was terminated."""
    stream = scene.running.subjects.stream(Stream.ADVISORIES)
    end = time.monotonic() + 10
    async with scene.running.connect_as(OPERATOR_WORKLOAD) as client:
        while time.monotonic() < end:
            info = await client.jetstream().stream_info(stream)
            if info.state.messages:
                message = await client.jetstream().get_msg(stream, seq=info.state.last_seq)
                return LastWords.heard(json.loads(message.data or b"{}")["reason"])
    raise AssertionError("nothing was terminated")
