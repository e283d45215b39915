"""The way that an error has come, which says whose it is.

AG2 awaits the task of a turn a second time when the turn has failed, and asyncio hands out the
traceback of a task but once: the line of the user's code would be lost, and whether a model's
client raised it.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import override

from ag2 import Context
from ag2.events import BaseEvent, ModelResponse
from ag2.middleware.base import AgentTurn, BaseMiddleware


@dataclass(slots=True)
class Way:
    """The last error of a turn, and where it came along."""

    error: Exception | None = None
    traceback: TracebackType | None = None

    def put_back(self, error: Exception) -> None:
        """Give the error its traceback again; one that was raised later has its own."""
        if error is self.error:
            error.__traceback__ = self.traceback


class Witness(BaseMiddleware):
    """Notes the way of an error as it leaves the turn."""

    def __init__(self, event: BaseEvent, context: Context, *, way: Way) -> None:
        super().__init__(event, context)
        self._way = way

    @override
    async def on_turn(
        self, call_next: AgentTurn, event: BaseEvent, context: Context
    ) -> ModelResponse:
        try:
            return await call_next(event, context)
        except Exception as error:
            self._way.error, self._way.traceback = error, error.__traceback__
            raise
