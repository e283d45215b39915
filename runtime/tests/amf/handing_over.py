"""Workers whose agents call functions of their clients."""

import time

from runtime.contract.client_calls import ClientCall
from runtime.contract.messages import TokenUsage
from runtime.tests.amf.events import completed
from runtime.tests.amf.plays import Play


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
