"""What the workers of Agents and of Tools have in common."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from runtime import health
from runtime.contract.agent_config import Execution, Queue
from runtime.contract.subjects import Stream
from runtime.garbage import spare_what_is_loaded
from runtime.processes.process import Readiness, prover, stop_signal, unless
from runtime.settings import Settings
from runtime.transport.jetstream import Link, connect
from runtime.transport.keeper import Keeper
from runtime.transport.port import Unavailable
from runtime.transport.pull import PullInbox
from runtime.worker.loop import Worker
from runtime.worker.outcomes import Handler
from runtime.worker.slots import Slots

log = logging.getLogger(__name__)

HOLD_SECONDS = 60.0  # for a delivery whose deadline is not known yet
REACH_SECONDS = 10.0  # for the first handshake, before anything is loaded


@dataclass(frozen=True, slots=True)
class Host:
    """What one worker process runs on."""

    settings: Settings
    link: Link
    keeper: Keeper
    readiness: Readiness

    async def work(
        self,
        stream: Stream,
        durables: Mapping[str, Slots],
        execution: Execution,
        handler: Handler,
    ) -> None:
        """Let `handler` work on what the durables deliver; cancelled, it drains.

        Shape:
            durables  of `stream`, with the places that there are for what each delivers.
        """
        spare_what_is_loaded()
        inboxes = [await self._inbox(stream, *pulled) for pulled in durables.items()]
        self.readiness.parts += [
            unless(
                lambda: all(inbox.pulling for inbox in inboxes),
                "the queue has not taken a request for work",
            ),
            unless(lambda: self.keeper.is_open, "no sign of life can reach the queue"),
        ]
        self.readiness.starting = None
        log.info("ready", extra={"durables": list(durables)})
        worker = Worker(inboxes, handler)
        try:
            await worker.run()
        finally:
            await worker.drain(min(self.settings.drain_seconds, execution.timeout_seconds))
            log.info("drained", extra={"durables": list(durables)})

    async def _inbox(self, stream: Stream, durable: str, slots: Slots) -> PullInbox:
        inbox = await self.link.inbox(
            self.keeper, stream, durable, slots=slots.count, hold_seconds=HOLD_SECONDS
        )
        slots.supply(inbox)
        return inbox


type Work = Callable[[Host], Coroutine[object, object, None]]


async def host(
    settings: Settings,
    queue: Queue,
    execution: Execution,
    work: Work,
) -> None:
    """Run `work` on a connection of its own until this process is asked to stop, or it fails."""
    stopping = stop_signal()
    readiness = Readiness()
    keeper = Keeper(
        queue,
        prover(queue),
        ack_wait_seconds=execution.ack_wait_seconds,
        beside=health.server(settings.host, settings.health_port, readiness.why_not),
    )
    with keeper:
        async with connect(queue, prover(queue), name=str(queue.service_account)) as link:
            on = Host(settings, link, keeper, readiness)
            working = asyncio.create_task(_begin(on, work), name="work")
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            readiness.starting = "stopping"
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


async def _begin(on: Host, work: Work) -> None:
    """Load nothing before the queue was reached: it blocks the loop, and a handshake breaks off.

    When the queue cannot be reached, loading at least shows whether that works.
    """
    on.readiness.starting = f"the queue at {on.link.connection.queue.url} has not been reached"
    with contextlib.suppress(Unavailable):
        await on.link.connection.current(REACH_SECONDS)
    await work(on)
