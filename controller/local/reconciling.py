"""Embedded mode's trigger: each object is reconciled alone, when woken and when it asked for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from controller.errors import ReconcileError
from controller.model import Key, Progress

log = logging.getLogger(__name__)

RESYNC_SECONDS: Final = 10.0
"""Between two looks at an object that nobody woke: what was changed by hand is repaired."""

type Reconcile = Callable[[Key, datetime], Awaitable[Progress]]
type OnFinished = Callable[[Key], None]


class Reconciling:
    """A loop for each object."""

    def __init__(self, reconcile: Reconcile, on_finished: OnFinished) -> None:
        self._reconcile = reconcile
        self._on_finished = on_finished
        self._woken: dict[Key, asyncio.Event] = {}
        self._loops: dict[Key, asyncio.Task[None]] = {}

    def wake(self, key: Key) -> None:
        """Reconcile `key` soon; however often this is said before, it is done once."""
        if key not in self._loops:
            self._woken[key] = asyncio.Event()
            self._loops[key] = asyncio.create_task(self._loop(key), name=str(key))
        self._woken[key].set()

    async def stop(self) -> None:
        """Reconcile nothing more."""
        loops = list(self._loops.values())
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    async def _loop(self, key: Key) -> None:
        woken = self._woken[key]
        while True:
            woken.clear()
            progress = await self._once(key)
            if progress.finished:
                del self._loops[key], self._woken[key]
                self._on_finished(key)
                return
            again = RESYNC_SECONDS if progress.again_in is None else progress.again_in
            try:
                await asyncio.wait_for(woken.wait(), min(again, RESYNC_SECONDS))
            except TimeoutError:
                continue

    async def _once(self, key: Key) -> Progress:
        try:
            return await self._reconcile(key, datetime.now(UTC))
        except ReconcileError as error:
            log.warning("not now", extra={"object": str(key), "error": str(error)})
            return Progress(again_in=error.retry_after)
        except Exception:
            # A fault of ours must not end the loop of this object, nor touch the others.
            log.exception("reconciling failed", extra={"object": str(key)})
            return Progress(again_in=RESYNC_SECONDS)
