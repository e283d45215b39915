"""Runs that somebody has cancelled: their calls end, too."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from runtime.contract.messages import Call
from runtime.contract.value import ObjectName

MOST_REMEMBERED = 1000


class Cancellations:
    """Which runs were cancelled, as far as one worker process of a Tool has heard.

    It hears of those alone that are cancelled while it listens; a call of another one is carried
    out, and its result is read by nobody.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[ObjectName, str], set[asyncio.Task[Any]]] = {}
        self._cancelled: dict[tuple[ObjectName, str], None] = {}

    def cancel(self, caller: ObjectName, task: str) -> None:
        """End the calls of one run of `caller`, and let no more of them begin."""
        run = (caller, task)
        self._cancelled[run] = None
        if len(self._cancelled) > MOST_REMEMBERED:
            del self._cancelled[next(iter(self._cancelled))]
        for executing in self._under_way.get(run, ()):
            executing.cancel()

    def includes(self, call: Call) -> bool:
        """Whether the run of this call was cancelled."""
        return (call.caller, call.task) in self._cancelled

    @contextlib.contextmanager
    def under_way(self, call: Call, executing: asyncio.Task[Any]) -> Iterator[None]:
        """Let `executing` be cancelled with its run for as long as the body runs."""
        run = (call.caller, call.task)
        together = self._under_way.setdefault(run, set())
        together.add(executing)
        try:
            yield
        finally:
            together.discard(executing)
            if not together:
                self._under_way.pop(run, None)
