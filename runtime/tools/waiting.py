"""Calls of one attempt that somebody outside has to answer: a person, or the client."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

LEAST_SECONDS = 1.0  # nobody answers within less, so nobody is asked


def _nobody() -> None:
    """Nobody is told."""


@dataclass(slots=True, kw_only=True)
class Waiting:
    """The wait that all of them share: a run is parked once, for whatever it needs.

    Shape:
        seconds    for which the run may yet wait, however many there are to ask.
        on_needed  called once, when the first of them is there; others may follow at once.
    """

    seconds: float = math.inf
    on_needed: Callable[[], object] = _nobody
    is_needed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nobody may be asked any more."""
        return self.seconds < LEAST_SECONDS

    def expires(self, seconds: float) -> float:
        """Until when somebody is waited for who is to answer within `seconds`."""
        return time.time() + min(seconds, self.seconds)

    async def stay(self) -> NoReturn:
        """Let a call wait; it is gone on with in another attempt, so this ends by cancellation."""
        if not self.is_needed:
            self.is_needed = True
            self.on_needed()
        while True:
            await asyncio.Future()
