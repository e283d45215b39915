"""What an attempt needs from outside, in the order in which it comes to it."""

import asyncio

import pytest

from runtime.agent.outside import Outside
from runtime.contract.client_calls import ClientCall
from runtime.tools.approvals import Approvals
from runtime.tools.client_calls import ClientCalls
from runtime.tools.waiting import Waiting


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0), (1, 1)])
async def test_what_is_needed_is_told_of_once_whoever_is_asked_first(
    order: tuple[int, int],
) -> None:
    told: list[bool] = []
    waiting = Waiting(on_needed=lambda: told.append(waiting.is_needed))
    outside = Outside(waiting, Approvals(waiting=waiting), ClientCalls(waiting=waiting))

    async def ask(which: int) -> None:
        if which:
            await outside.calls.output(ClientCall(key="k", function="add", arguments="{}"))
        else:
            await outside.approvals.agreed("k", "add", "{}", seconds=60)

    asking = []
    for which in order:
        asking.append(asyncio.create_task(ask(which)))
        await asyncio.sleep(0)
    assert told == [True]
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
