"""Signs of life for deliveries, from a thread that no agent's code can block.

An agent that blocks its event loop, for however long, must not lose its delivery: so this thread
has an event loop and a connection to the queue of its own, and needs nothing from the worker's.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from runtime.contract.agent_config import Queue
from runtime.transport.connection import Connection
from runtime.transport.port import Prove, TransportError

log = logging.getLogger(__name__)

IN_PROGRESS = b"+WPI"
BEATS_PER_ACK_WAIT = 3


@dataclass(slots=True)
class Held:
    """One delivery that is ours: `until` (seconds since the epoch) ends the signs of life."""

    until: float


class Keeper:
    """The thread, and the deliveries it keeps; `keep` and `release` may be called from anywhere."""

    def __init__(
        self,
        queue: Queue,
        prove: Prove,
        *,
        ack_wait_seconds: float,
        beside: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._queue = queue
        self._prove = prove
        self.ack_wait_seconds = ack_wait_seconds
        self._every = ack_wait_seconds / BEATS_PER_ACK_WAIT
        self._beside = beside
        self._held: dict[str, Held] = {}
        self._connection: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._running is not None:
            self._loop.call_soon_threadsafe(self._running.cancel)
        self._thread.join(timeout=5)

    @property
    def is_open(self) -> bool:
        """Whether signs of life can go out right now."""
        return self._connection is not None and self._connection.is_open

    def keep(self, ack_subject: str, until: float) -> Held:
        """Give signs of life for the delivery with this ack subject, until `until`."""
        held = self._held[ack_subject] = Held(until)
        return held

    def release(self, ack_subject: str) -> None:
        """The delivery is settled."""
        self._held.pop(ack_subject, None)

    def _run(self) -> None:
        # The plain loop: it has little to do, and it closes in peace whatever is under way.
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running = asyncio.create_task(self._beat())
        self._started.set()
        beside = asyncio.create_task(self._aside())
        await asyncio.wait({self._running})
        beside.cancel()
        await asyncio.gather(self._running, beside, return_exceptions=True)

    async def _aside(self) -> None:
        if self._beside is not None:
            await self._beside()

    async def _beat(self) -> None:
        async with Connection(self._queue, self._prove, name="keeper").running() as connection:
            self._connection = connection
            while True:
                await asyncio.sleep(self._every)
                await self._signs_of_life(connection)

    async def _signs_of_life(self, connection: Connection) -> None:
        now = time.time()
        ours = [subject for subject, held in list(self._held.items()) if now < held.until]
        if not ours:
            return
        try:
            generation = await connection.current(timeout=self._every)
            for subject in ours:
                await generation.publish(subject, IN_PROGRESS)
        except TransportError as error:
            log.warning("no sign of life went out", extra={"held": len(ours), "error": str(error)})
