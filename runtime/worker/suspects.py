"""Work that loses its workers, kept away from other work like it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

# How many workers a piece of work may lose before it has to wait for others like it.
PATIENCE = 2


class Suspects:
    """Lets no two that lost their workers again and again be under way at the same time.

    One of them may be what takes the workers down. The others only happened to be there, and have
    to get through before their attempts are used up.
    """

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def apart(self, lost: int, max_attempts: int) -> AsyncIterator[None]:
        """Work in the body, which has lost `lost` workers; wait for the others if that is a lot."""
        if lost >= max(1, min(PATIENCE, max_attempts - 1)):
            async with self._one_at_a_time:
                yield
        else:
            yield
