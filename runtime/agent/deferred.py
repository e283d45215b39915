"""Work beside a run that most runs are too short for."""

import asyncio
from collections.abc import Callable, Coroutine


class Deferred:
    """Begins `work` after `seconds`, unless called off before; until then it costs a timer."""

    def __init__(self, seconds: float, work: Callable[[], Coroutine[object, object, None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def cancel(self) -> None:
        """Call it off, wherever it is."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())
