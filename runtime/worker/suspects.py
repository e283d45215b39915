"""Work that loses its workers, kept away from other work like it."""

import contextlib
from collections.abc import AsyncIterator

# How many workers a piece of work may lose before it has to wait for others like it.
PATIENCE = 2


class Busy(Exception):
    """Another suspect is under way; this one has to come again later, and holds no slot so long."""


class Suspects:
    """Lets no two that lost their workers again and again be under way at the same time.

    One of them may be what takes the workers down. The others only happened to be there, and have
    to get through before their attempts are used up.
    """

    def __init__(self) -> None:
        self._under_way = False

    @contextlib.asynccontextmanager
    async def apart(self, lost: int, max_attempts: int) -> AsyncIterator[None]:
        """Work in the body, which has lost `lost` workers; if that is a lot, alone of its kind.

        Raises:
            Busy: it would not be alone; nothing was begun.
        """
        if lost < max(1, min(PATIENCE, max_attempts - 1)):
            yield
            return
        if self._under_way:
            raise Busy
        self._under_way = True
        try:
            yield
        finally:
            self._under_way = False
