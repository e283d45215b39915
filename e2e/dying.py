"""A worker that dies at one of seven points: in its pod this runs in place of `-m runtime`.

A task says in its metadata where: `{"dies": "after the start"}`. Of each task the first attempt
alone dies, and each pod once before it asks for any work.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.__main__ import main
from runtime.agent.handler import TaskHandler
from runtime.state.runs import Runs
from runtime.tools.calls import Calls
from runtime.transport.pull import PullInbox

type Method = Callable[..., Any]

DIED = Path("/tmp/died")  # outlives the container, not the pod

wanted: dict[str, str] = {}
made: Counter[str] = Counter()


def die() -> None:
    """End here, as the kernel ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_if(task: str, point: str) -> None:
    """End here, if the task wants that."""
    if wanted.get(task) == point:
        die()


def before_the_fetch(start: Method) -> Method:
    """Each pod dies here once."""

    async def armed(inbox: PullInbox) -> None:
        if not await asyncio.to_thread(DIED.exists):
            await asyncio.to_thread(DIED.touch)
            die()
        await start(inbox)

    return armed


def before_the_start(take: Method) -> Method:
    """A task is here, and nothing says so yet."""

    async def armed(handler: TaskHandler, task: Any, delivery: Any) -> Any:
        if delivery.number == 1:
            wanted[task.id] = task.response.metadata.get("dies", "")
        die_if(task.id, "before the start")
        return await take(handler, task, delivery)

    return armed


def after_the_start(attempt: Method) -> Method:
    """The record says that the run has begun."""

    async def armed(handler: TaskHandler, task: Any, held: Any) -> Any:
        die_if(task.id, "after the start")
        return await attempt(handler, task, held)

    return armed


def around_a_call(result: Method) -> Method:
    """The tool has done what it does, and nothing of the agent is kept; or it is, and goes on."""

    async def armed(calls: Calls, call: Any, *more: Any, **named: Any) -> Any:
        if made[call.task]:
            die_if(call.task, "between two calls")
        said = await result(calls, call, *more, **named)
        made[call.task] += 1
        die_if(call.task, "after the effect")
        return said

    return armed


def around_the_end(end: Method) -> Method:
    """All is done, and the record is to say so; or it does, and the queue does not know."""

    async def armed(runs: Runs, held: Any, how: Any, **more: Any) -> Any:
        die_if(held.record.task.id, "before the end")
        ended = await end(runs, held, how, **more)
        die_if(held.record.task.id, "after the end")
        return ended

    return armed


for owner, name, armed in (
    (PullInbox, "start", before_the_fetch),
    (TaskHandler, "_take", before_the_start),
    (TaskHandler, "_attempt", after_the_start),
    (Calls, "result", around_a_call),
    (Runs, "end", around_the_end),
):
    setattr(owner, name, armed(getattr(owner, name)))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
