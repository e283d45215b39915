"""A worker and a bare framework, started on a queue that runs, and timed until they are there."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import processes
import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock

from runtime.contract.agent_config import (
    AgentConfig,
    Declarative,
    Execution,
    Framework,
    Model,
    Retry,
)
from runtime.contract.messages import Message, Options, Role, Started, Task, decode_event
from runtime.contract.runs import REVISION, RunRecord
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.state.runs import Runs
from runtime.tests.nats import RunningStack
from runtime.transport.jetstream import Link

ORIGIN = "bench"
START_SECONDS = 120.0
SETTLE_SECONDS = 2.0
MEGABYTE = 1_000_000
NO_MODEL = "http://127.0.0.1:9/v1"

# What whoever writes such an agent by hand imports: an agent from instructions and its model.
IMPORTS: Mapping[Framework, str] = {
    Framework.LANGGRAPH: """
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
""",
    Framework.CREWAI: """
from crewai import LLM, Agent, Crew, Task
from crewai.llms.providers.openai.completion import OpenAICompletion
""",
    Framework.AG2: """
from ag2 import Agent
from ag2.config import OpenAIConfig
""",
    Framework.LLAMA_STACK: """
from llama_stack_client import AsyncLlamaStackClient
from llama_stack_client.lib.agents.agent import AsyncAgent
""",
    Framework.BEEAI: """
from beeai_framework.adapters.openai import OpenAIChatModel
from beeai_framework.agents.requirement import RequirementAgent
""",
}
BARE = "{imports}\nprint('ready', flush=True)\ninput()\n"
# The agent as a worker makes it, without a queue.
MADE = """
import asyncio, pathlib, sys
from runtime.processes import agent
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig

config = AgentConfig.decode(pathlib.Path(sys.argv[1]).read_bytes())
kept = asyncio.run(build(config, ()))
print('ready', flush=True)
input()
"""
SURROUNDINGS = {
    # Neither side may ask anybody on the way, and both find their bytecode as in an image.
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True, slots=True)
class Start:
    """One start: how long it took, what it cost, and what it holds.

    Units:
        `seconds` on the clock, `cpu` of processor time, `memory` in megabytes.
    """

    seconds: float
    cpu: float
    memory: float


class Starts:
    """One framework on a queue that runs."""

    def __init__(
        self, framework: Framework, python: str, nats: RunningStack, server: Link, folder: Path
    ) -> None:
        self._framework = framework
        self._python = python
        self._nats = nats
        self._server = server
        self._folder = folder

    async def bare(self) -> Start:
        """The framework's own imports, and nothing else."""
        code = BARE.format(imports=IMPORTS[self._framework])
        return await self._until_it_says([self._python, "-c", code])

    async def made(self) -> Start:
        """All imports of a worker, and the agent made."""
        config = await self._config(await self._agent())
        return await self._until_it_says([self._python, "-c", MADE, str(config)])

    async def _until_it_says(self, command: Sequence[str]) -> Start:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | SURROUNDINGS,
            cwd=processes.ROOT,
        )
        if process.stdin is None or process.stdout is None:
            raise processes.NotRunning("it has no pipes")
        try:
            async with asyncio.timeout(START_SECONDS):
                while (line := await process.stdout.readline()).strip() != b"ready":
                    if not line:
                        raise processes.NotRunning(f"{command[0]} ended before it was ready")
            return await settled(psutil.Process(process.pid), time.perf_counter() - began)
        except TimeoutError as error:
            late = f"{command[0]} was not ready in {START_SECONDS:.0f} s"
            raise processes.NotRunning(late) from error
        finally:
            process.kill()
            await process.communicate()

    async def cold(self) -> Start:
        """A worker, until the first event of a task that has waited for it."""
        agent = await self._agent()
        config = await self._config(agent)
        task = waiting(self._nats.stack, agent.name)
        first: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def on_event(_subject: str, data: bytes) -> None:
            event = decode_event(data)
            if not first.done() and event.task == task.id and isinstance(event, Started):
                first.set_result(time.perf_counter())

        subscription = await self._server.outbox.listen(
            self._nats.subjects.events_for(ORIGIN), on_event
        )
        try:
            await self._accept(task)
            async with self._worker(agent, config) as (process, log, began):
                lives = asyncio.to_thread(processes.wait, process, log, START_SECONDS, first.done)
                watching = asyncio.create_task(lives)
                racing: set[asyncio.Future[Any]] = {first, watching}
                await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    await watching  # it says why
                start = weighed(process, time.perf_counter() - began)
                await watching
                return replace(start, seconds=first.result() - began)
        finally:
            await subscription.close()

    async def idle(self) -> Start:
        """A worker that is ready and has nothing to do."""
        agent = await self._agent()
        config = await self._config(agent)
        async with self._worker(agent, config) as (process, log, began):
            await asyncio.to_thread(
                processes.wait, process, log, START_SECONDS, lambda: '"ready"' in log.read_text()
            )
            return await settled(process, time.perf_counter() - began)

    @asynccontextmanager
    async def _worker(
        self, agent: Workload, config: Path
    ) -> AsyncIterator[tuple[psutil.Process, Path, float]]:
        """A worker of `agent`, its log, and when it was started."""
        log = config.with_suffix(".log")
        environment = SURROUNDINGS | {
            "K8GENTAI_CONFIG": str(config),
            "K8GENTAI_HOST": "127.0.0.1",
            "K8GENTAI_HEALTH_PORT": "0",
            "K8GENTAI_DRAIN_SECONDS": "0",
            "K8GENTAI_TERMINATION_LOG": str(config.with_suffix(".last")),
        }
        command = [self._python, "-m", "runtime", "worker", f"agent/{agent.name}"]
        began = time.perf_counter()
        with ExitStack() as stack:
            process = stack.enter_context(
                processes.started(command, log, signal.SIGTERM, environment)
            )
            try:
                yield process, log, began
            finally:
                # In a thread: the trust plane, which answers for it, is in this loop.
                await asyncio.to_thread(stack.close)

    async def _agent(self) -> Workload:
        """An Agent that nobody has worked for yet."""
        return await self._nats.agent(f"bench-{secrets.token_hex(4)}")

    async def _config(self, agent: Workload) -> Path:
        config = AgentConfig(
            agent=agent.name,
            queue=self._nats.queue(agent),
            durable=str(agent.durable),
            framework=self._framework,
            declarative=Declarative(instructions="Answer."),
            model=Model(id="none", base_url=NO_MODEL),
            execution=Execution(timeout_seconds=60),
            retry=Retry(max_attempts=1),
        )
        path = self._folder / f"{agent.name.name}.json"
        await asyncio.to_thread(path.write_bytes, config.encode())
        return path

    async def _accept(self, task: Task) -> None:
        """As a server does it: the record, then the task."""
        held = await Runs(self._server.store(Bucket.RUNS)).accept(RunRecord(task=task))
        await self._server.outbox.publish(
            self._nats.subjects.tasks(task.agent),
            task.encode(),
            msg_id=task.id,
            headers={REVISION: str(held.revision)},
        )


def waiting(stack: ObjectName, agent: ObjectName) -> Task:
    """A task of `agent` that somebody reads along."""
    now = time.time()
    return Task(
        id=f"bench-{secrets.token_hex(8)}",
        stack=stack,
        agent=agent,
        origin=ORIGIN,
        input=(Message(role=Role.USER, text="Hello"),),
        options=Options(stream=True),
        created=now,
        deadline=now + START_SECONDS,
    )


def weighed(process: psutil.Process, seconds: float) -> Start:
    """What a start came to that took so many seconds and has just come to its end."""
    memory = processes.memory([process]) * processes.MIB / MEGABYTE
    return Start(seconds, processes.cpu_seconds([process]), memory)


async def settled(process: psutil.Process, seconds: float) -> Start:
    """The same, with the memory it holds after a while."""
    start = weighed(process, seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    return replace(start, memory=weighed(process, seconds).memory)
