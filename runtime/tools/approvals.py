"""The calls of one attempt that a person has to agree to."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from runtime.contract.approval import Approval
from runtime.tools.port import ToolFailure

LEAST_SECONDS = 1.0  # nobody decides within less, so nobody is asked


def _nobody() -> None:
    """Nobody is told."""


class Approvals:
    """What was decided in earlier attempts, and what has to be asked after this one.

    Shape:
        known     the approvals in the run record.
        seconds   for which the run may yet wait for people, however many there are to ask.
        needed    what has to be asked; whoever waits for such a call waits until it is cancelled.
        on_asked  called once, when the first of them is there; others may follow at once.
    """

    def __init__(
        self,
        known: Iterable[Approval] = (),
        *,
        seconds: float = math.inf,
        on_asked: Callable[[], object] = _nobody,
    ) -> None:
        self._seconds = seconds
        self._known = {one.call: one for one in known}
        self._needed: list[Approval] = []
        self.on_asked = on_asked

    @property
    def needed(self) -> tuple[Approval, ...]:
        """The calls for which a person is needed, in the order in which they were made."""
        return tuple(self._needed)

    async def agreed(self, call: str, function: str, arguments: str, *, seconds: int) -> None:
        """See `Agreement`."""
        known = self._known.get(call)
        if known is None or known.is_open:
            if self._seconds < LEAST_SECONDS:
                raise ToolFailure(_waited_enough(function))
            expires = time.time() + min(seconds, self._seconds)
            await self._ask(
                Approval(call=call, function=function, arguments=arguments, expires=expires)
            )
        elif known.refusal is not None:
            raise ToolFailure(known.refusal)

    async def _ask(self, approval: Approval) -> NoReturn:
        self._needed.append(approval)
        if len(self._needed) == 1:
            self.on_asked()
        while True:
            await asyncio.Future()


def _waited_enough(function: str) -> str:
    return (
        f"{function} needs the approval of a person, and this run has waited for people for as "
        "long as its Stack allows (retention.taskSeconds); it was not made"
    )
