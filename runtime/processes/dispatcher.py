"""The dispatcher of a Stack: everything put together."""

from functools import partial

from runtime import health
from runtime.contract.agent_config import DISPATCH_ACK_WAIT_SECONDS, StackConfig
from runtime.contract.subjects import DISPATCHER_DURABLE, Stream
from runtime.dispatch.loop import run_dispatcher
from runtime.dispatch.ports import Ports
from runtime.processes.process import prover, stop_signal, unless
from runtime.settings import Settings
from runtime.transport.jetstream import connect
from runtime.transport.keeper import Keeper
from runtime.transport.port import Inbox

HOLD_SECONDS = 60.0
SLOTS = 16


async def run_dispatch(settings: Settings) -> None:
    """Be a dispatcher of the Stack until asked to stop."""
    config = StackConfig.decode(settings.config.read_bytes())
    queue, prove = config.queue, prover(config.queue)
    stopping = stop_signal()
    async with connect(queue, prove, name=str(queue.service_account)) as link:
        why_not = unless(lambda: link.is_open, f"the queue at {queue.url} cannot be reached")
        beside = health.server(settings.host, settings.health_port, why_not)
        with Keeper(
            queue, prove, ack_wait_seconds=DISPATCH_ACK_WAIT_SECONDS, beside=beside
        ) as keeper:

            async def pull(stream: Stream) -> Inbox:
                return await link.inbox(
                    keeper, stream, DISPATCHER_DURABLE, slots=SLOTS, hold_seconds=HOLD_SECONDS
                )

            advisories, asks = partial(pull, Stream.ADVISORIES), partial(pull, Stream.CALLS)
            await run_dispatcher(config, Ports.of(link, advisories, asks), stopping)
