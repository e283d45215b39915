"""Workers whose agents call functions of their clients."""

import asyncio
import time

from runtime.contract.client_calls import ClientCall
from runtime.contract.messages import Cancelled, TokenUsage
from runtime.tests.amf.events import completed, said
from runtime.tests.amf.plays import Play, Script


async def hands_over(play: Play) -> None:
    """What a worker does: have the client make one call, and say what came of it."""
    await play.begin()
    if (given := play.held.record.handovers) and not given[0].is_open:
        text = str(len(given[0].calls[0].output or ""))
        await play.finish(*play.events([], [completed(text)]))
        return
    call = ClientCall(key="client.1.0", function="add", arguments="{}")
    until = time.time() + 60
    play.held = await play.runs.hand_over(
        play.held, (call,), seq=1, used=TokenUsage(), expires=until, stands_until=until
    )
    await play.tell(*play.held.record.hands_over(0))


def goes_on_at(go_on: asyncio.Event) -> Script:
    """A worker that hands a call over, and says the rest of its answer once it may `go_on`.

    As a worker does, it ends a run that somebody has cancelled.
    """

    async def script(play: Play) -> None:
        if not play.held.record.handovers:
            await hands_over(play)
            return
        await play.begin()
        first, *rest = play.events([], [said("It "), said("is"), completed("It is")])
        await play.tell(first)
        await go_on.wait()
        found = await play.runs.get(play.task.agent, play.task.id)
        if found is not None and found.record.cancel_requested:
            rest = [Cancelled(task=play.task.id, attempt=2, seq=2)]
        await play.finish(*rest)

    return script
