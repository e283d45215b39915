"""Workers whose tools need a person."""

import time
from typing import Any

from runtime.contract.approval import Approval
from runtime.contract.messages import Outcome
from runtime.tests.amf.events import call_key, called, completed, returned, said, started
from runtime.tests.amf.plays import Play

ARGUMENTS = '{"a":2,"b":3}'


def approval(number: int, seconds: float = 60) -> Approval:
    return Approval(
        call=call_key(number),
        function="plus",
        arguments=ARGUMENTS,
        expires=time.time() + seconds,
    )


async def parks(play: Play, calls: int, seconds: float = 60) -> None:
    """What a worker does in its first attempt."""
    await play.begin()
    steps = [started(), said("Let me see.")] if play.task.options.stream else []
    await play.tell(*play.events(steps))
    needed = tuple(approval(number, seconds) for number in range(calls))
    play.held = await play.runs.park(play.held, needed)
    await play.tell(*play.held.record.needs(len(steps) + 1))


async def goes_on(play: Play) -> None:
    """What a worker does in its second one: make the calls that were approved."""
    await play.begin("w2")
    steps = [started("w2")] if play.task.options.stream else []
    for number, one in enumerate(play.held.record.approvals):
        outcome = Outcome.FAILED if one.refusal else Outcome.SUCCEEDED
        steps += [called(number, ARGUMENTS), returned(number, one.refusal or "5", outcome)]
    await play.finish(*play.events([], [*steps, completed("Done.")]))


def adding(calls: int = 1, seconds: float = 60) -> Any:
    async def script(play: Play) -> None:
        if play.held.record.approvals:
            await goes_on(play)
        else:
            await parks(play, calls, seconds)

    return script
