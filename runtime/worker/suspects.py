"""Work that loses its workers, kept away from other work like it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

# How many workers a piece of work may lose before it has to wait for others like it.
PATIENCE = 2


class Busy(Exception):
    """Another suspect is under way; this one has to come again later, and holds no slot so long."""


class Suspects:
    """Lets no two that lost their workers again and again be under way at the same time.

    One of them may be what takes the workers down. The others only happened to be there, and have
    to get through before their attempts are used up. One that waits for another agent takes nobody
    down meanwhile and stands back: else two agents that ask each other would wait for ever, each
    with a suspect of its own before the one that it is asked for.
    """

    def __init__(self) -> None:
        self._waits: dict[str, int] = {}  # of each suspect that has begun, how many are open
        self._who: str | None = None
        self._nobody = asyncio.Event()

    @contextlib.asynccontextmanager
    async def apart(self, work: str, lost: int, max_attempts: int) -> AsyncIterator[None]:
        """Do `work` in the body; if it has lost a lot of workers, alone of its kind.

        Raises:
            Busy: it would not be alone; nothing was begun.
        """
        if lost < max(1, min(PATIENCE, max_attempts - 1)):
            yield
            return
        if self._who is not None:
            raise Busy
        self._waits[work] = 0
        self._who = work
        try:
            yield
        finally:
            del self._waits[work]
            self._stand_back(work)

    @contextlib.asynccontextmanager
    async def waiting(self, work: str) -> AsyncIterator[None]:
        """For as long as the body runs, `work` only waits; it goes on when no other is under way.

        Who waits for several at once is back when the last of them is. Who is cancelled meanwhile
        ends, and need not be alone for that.
        """
        if work not in self._waits:
            yield
            return
        self._waits[work] += 1
        self._stand_back(work)
        try:
            yield
        finally:
            if work in self._waits:
                self._waits[work] -= 1
            if not isinstance(sys.exception(), asyncio.CancelledError):
                await self._go_on(work)

    def _stand_back(self, work: str) -> None:
        if self._who == work:
            self._who = None
            self._nobody.set()

    async def _go_on(self, work: str) -> None:
        while self._who not in (None, work):
            self._nobody.clear()
            await self._nobody.wait()
        if self._waits.get(work) == 0:
            self._who = work
