"""Embedded mode's watch: which objects are reconciled, and which are on their way out."""

import asyncio
from collections.abc import Callable, Mapping

from controller.model import Key, Manifest
from controller.wake import Wakes

type OnGone = Callable[[Key], None]


class Keeping:
    """One task an object: kept as long as it is in the folder, finished once it is not."""

    def __init__(self, wakes: Wakes, on_gone: OnGone) -> None:
        self._wakes = wakes
        self._on_gone = on_gone
        self._keeping: dict[Key, asyncio.Task[object]] = {}
        self._finishing: dict[Key, asyncio.Task[None]] = {}

    def take(self, objects: Mapping[Key, Manifest]) -> None:
        """The objects are these now; those that are being deleted say so themselves."""
        for key, body in objects.items():
            is_deleting = "deletionTimestamp" in body["metadata"]
            if is_deleting and key not in self._finishing:
                self._finishing[key] = asyncio.create_task(self._finish(key, body))
            elif not is_deleting and key not in self._keeping:
                self._keeping[key] = asyncio.create_task(self._wakes.keep(key), name=str(key))
            self._wakes.seen(key, body)

    async def stop(self) -> None:
        """Reconcile nothing more."""
        tasks = [*self._keeping.values(), *self._finishing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, key: Key, body: Manifest) -> None:
        keeping = self._keeping.pop(key, None)
        if keeping is not None:
            keeping.cancel()
        await self._wakes.finish(key)
        del self._finishing[key]
        self._on_gone(key)
        self._wakes.gone(key, body["metadata"]["uid"])
