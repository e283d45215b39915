"""The worker of a Tool: everything put together."""

import contextlib
from collections.abc import AsyncIterator

from runtime.contract.agent_config import ToolConfig
from runtime.contract.subjects import Bucket, Stream
from runtime.processes import worker
from runtime.processes.process import CannotStart
from runtime.processes.worker import Host
from runtime.settings import Settings
from runtime.state.ledger import Ledger
from runtime.tools.errors import BadSpec
from runtime.tools.executors import opened
from runtime.tools.worker import CallHandler
from runtime.worker.slots import Slots


async def run_tool(settings: Settings) -> None:
    """Work for the Tool until asked to stop.

    Raises:
        CannotStart: what the user gave cannot run.
    """
    config = ToolConfig.decode(settings.config.read_bytes())

    async def work(on: Host) -> None:
        on.readiness.starting = "the tool is being loaded"
        try:
            async with opened(config, on.link.store(Bucket.CATALOGUE)) as executor:
                on.readiness.parts.append(executor.why_not)
                ledger = Ledger(on.link.store(Bucket.EFFECTS))
                handler = CallHandler(config, executor, ledger, on.link.outbox)
                durables = {config.durable: Slots(config.execution.concurrency)}
                async with _cancelling(on, handler):
                    await on.work(Stream.CALLS, durables, config.execution, handler)
        except BadSpec as error:
            raise CannotStart(str(error)) from error

    await worker.host(settings, config.queue, config.execution, work)


@contextlib.asynccontextmanager
async def _cancelling(on: Host, handler: CallHandler) -> AsyncIterator[None]:
    """Let calls end with their runs, whoever made them."""
    subjects = on.link.subjects

    def on_cancel(subject: str, _: bytes) -> None:
        handler.cancellations.cancel(*subjects.cancelled(subject))

    subscription = await on.link.outbox.listen(subjects.every("cancel"), on_cancel)
    try:
        yield
    finally:
        await subscription.close()
