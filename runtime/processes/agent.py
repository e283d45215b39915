"""The worker of an Agent: everything put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from runtime.adapters.port import Adapter, BadAgent
from runtime.adapters.registry import build
from runtime.agent.handler import TaskHandler
from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.subjects import Bucket, Stream, asked_durable
from runtime.processes import worker
from runtime.processes.process import CannotStart, Readiness
from runtime.processes.worker import Host
from runtime.settings import Settings
from runtime.state.checkpoints import Checkpoints
from runtime.state.runs import Runs
from runtime.tools.calls import Calls
from runtime.tools.errors import BadSpec
from runtime.tools.toolbox import CatalogueToolbox
from runtime.worker.slots import Places


async def run_agent(settings: Settings) -> None:
    """Work for the Agent until asked to stop.

    Raises:
        CannotStart: what the user gave cannot run.
    """
    config = AgentConfig.decode(settings.config.read_bytes())

    async def work(on: Host) -> None:
        await _work(on, config)

    await worker.host(settings, config.queue, config.execution, work)


async def _work(on: Host, config: AgentConfig) -> None:
    link = on.link
    effects = link.store(Bucket.EFFECTS)
    process = on.settings.process
    calls = Calls(link.outbox, effects, link.subjects, caller=config.agent, worker=process)
    places = Places.with_own(config.execution.concurrency)
    toolbox = CatalogueToolbox(config, link.store(Bucket.CATALOGUE), calls, places)
    async with calls.running():
        handler = TaskHandler(
            config=config,
            worker=process,
            adapter=await _adapter(config, toolbox, on.readiness),
            toolbox=toolbox,
            runs=Runs(link.store(Bucket.RUNS)),
            checkpoints=Checkpoints(link.store(Bucket.CHECKPOINTS)),
            outbox=link.outbox,
            places=places,
        )
        on.readiness.parts.append(toolbox.why_not)
        async with _keeping_up(config, toolbox, handler), _cancelling(on, config, handler):
            durables = {
                config.durable: places.clients,
                asked_durable(config.durable): places.asked,
            }
            await on.work(Stream.TASKS, durables, config.execution, handler)


async def _adapter(config: AgentConfig, toolbox: CatalogueToolbox, readiness: Readiness) -> Adapter:
    readiness.starting = "the agent is being loaded"
    try:
        await toolbox.open()
        return await build(config, toolbox.specs)
    except (BadAgent, BadSpec) as error:
        raise CannotStart(str(error)) from error


@contextlib.asynccontextmanager
async def _keeping_up(
    config: AgentConfig, toolbox: CatalogueToolbox, handler: TaskHandler
) -> AsyncIterator[None]:
    """Build the agent anew whenever its tools offer something else."""

    async def rebuild(specs: tuple[FunctionSpec, ...]) -> None:
        handler.adapter = await build(config, specs)

    following = asyncio.create_task(toolbox.follow(rebuild), name="follow the tools")
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@contextlib.asynccontextmanager
async def _cancelling(on: Host, config: AgentConfig, handler: TaskHandler) -> AsyncIterator[None]:
    def on_cancel(subject: str, _: bytes) -> None:
        handler.cancel(subject.rpartition(".")[2])

    cancels = on.link.subjects.cancels(config.agent)
    subscription = await on.link.outbox.listen(cancels, on_cancel)
    try:
        yield
    finally:
        await subscription.close()
