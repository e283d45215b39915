"""How many deliveries of a burst begin at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

AT_ONCE = 8
SECONDS = 0.02


class Pace:
    """Lets a few begin at a time, and the next ones as these end or have gone on for a while.

    Deliveries that come in one burst would otherwise share the event loop step by step and all end
    at its end: the first is answered as late as the last, and while a worker answers, those who
    asked and wait for that have nothing to do. One at a time would be as bad: what several write in
    one step goes out as one, and waking the next process costs more than the message does.

    Who only waits, for a model or a tool, holds its place no longer than `seconds`.
    """

    def __init__(self, *, at_once: int = AT_ONCE, seconds: float = SECONDS) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._seconds = seconds

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place; it is given up at the end of the block, or after `seconds`."""
        await self._places.acquire()
        given_up = asyncio.Event()

        def give_up() -> None:
            if not given_up.is_set():
                given_up.set()
                self._places.release()

        late = asyncio.get_running_loop().call_later(self._seconds, give_up)
        try:
            yield
        finally:
            late.cancel()
            give_up()
