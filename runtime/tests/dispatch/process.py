"""A dispatcher as a process, by the name of its id: `python process.py stack.json`."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from runtime.contract.agent_config import StackConfig
from runtime.contract.subjects import DISPATCHER_DURABLE, Stream
from runtime.dispatch.loop import Dispatcher
from runtime.dispatch.ports import Ports
from runtime.identity.token_file import TokenFile
from runtime.transport.jetstream import connect
from runtime.transport.keeper import Keeper
from runtime.transport.port import Inbox, Proof


async def main(config: StackConfig) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    file = TokenFile(config.queue.token_file)

    def prove() -> Proof:
        token = file.read()
        return Proof(token.token, token.expires)

    with Keeper(config.queue, prove, ack_wait_seconds=1) as keeper:
        async with connect(config.queue, prove, name="dispatcher") as link:

            async def advisories() -> Inbox:
                return await link.inbox(
                    keeper, Stream.ADVISORIES, DISPATCHER_DURABLE, slots=8, hold_seconds=60
                )

            ports = Ports.of(link, advisories)
            await Dispatcher(config, ports, name=str(os.getpid())).run(stopping)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main(StackConfig.decode(Path(sys.argv[1]).read_bytes())))
