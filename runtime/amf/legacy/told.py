"""Who answers a turn: an Agent of the Stack, in the streaming events of the Responses API."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runtime.amf.conversing import Conversing
from runtime.amf.desk import Desk
from runtime.amf.intake import Intake
from runtime.amf.items import Wire
from runtime.amf.relay import Following
from runtime.amf.reply import frames
from runtime.amf.stream import OnLeft
from runtime.contract.runs import RunRecord


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it comes, in streaming events of the Responses API.

    Shape:
        left   awaited when nobody wants the answer any more.
        close  called when nothing more is read.
    """

    frames: AsyncGenerator[list[Wire]]
    left: OnLeft
    close: Callable[[], None]


class NoItems:
    """What the server itself keeps of the conversation of a session: nothing."""

    async def read(self, _conversation: str) -> list[Any]:
        """None: a client adds to a session by turns alone."""
        return []

    async def add(self, _conversation: str, _items: list[Wire]) -> None:
        """Nothing: the turns have it."""

    async def remove(self, _conversation: str, _items: Iterable[str]) -> None:
        """Nothing: none is there."""


async def run_of(desk: Desk, intake: Intake) -> Told:
    """Let an Agent of the Stack run.

    Raises:
        ApiError: it was not taken in.
    """
    conversing = Conversing(desk, NoItems())
    before = await conversing.before(
        intake.asked, intake.agent, user=intake.user, task=intake.task, now=intake.now
    )
    record = intake.record(desk, before)

    with contextlib.ExitStack() as stack:
        whole = not intake.asked.options.stream
        following = stack.enter_context(desk.follow(record.task, whole=whole))
        await desk.accept(record)
        kept = stack.pop_all()
    return _told(desk, record, 0, following, kept.close)


async def going_on(desk: Desk, record: RunRecord, part: int, *, whole: bool) -> Told:
    """Hear the response number `part` of a run, which its client has given outputs to.

    Raises:
        OutOfReach: the queue does not answer.
    """
    async with contextlib.AsyncExitStack() as stack:
        following = await stack.enter_async_context(desk.rejoin(record, whole=whole, part=part))
        kept = stack.pop_all()
    return _told(desk, record, part, following, lambda: desk.beside(kept.aclose()))


def _told(
    desk: Desk, record: RunRecord, part: int, following: Following, close: Callable[[], None]
) -> Told:
    async def at_end() -> None:
        await Conversing(desk, NoItems()).leave(record)

    async def left() -> None:
        if not record.may_be_asked_again(part):
            desk.beside(desk.cancel(record.task.agent, record.task.id))

    return Told(frames(record, following, at_end), left, close)
