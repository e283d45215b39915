"""A scenario of a run that goes on after its worker was lost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from runtime.adapters.port import Run
from runtime.kit.calls import WITH_TOOLS
from runtime.kit.proxy import ModelCall
from runtime.kit.scenario import Scenario
from runtime.kit.trial import BEGUN_SECONDS, Trial, Unmet, ending, question, quoted, tool
from runtime.tools.numbering import Numbering

SUMS = "What is 417 + 25 + 9?"
CALLS = 2  # after one another, and so three turns of the model


@dataclass(slots=True)
class Kept:
    """A `Checkpoint` in memory."""

    data: bytes | None = None

    async def load(self) -> bytes | None:
        """What was saved last."""
        return self.data

    async def save(self, write: Callable[[], bytes]) -> None:
        """Keep what `write` gives in place of what was saved before."""
        self.data = write()


async def resume(trial: Trial) -> None:
    """An attempt is killed in its second call; the next one asks for the last turn alone."""
    reached = asyncio.Event()
    calls, kept, lasting = 0, Kept(), Kept()

    async def add(arguments: dict[str, Any]) -> str:
        nonlocal calls
        calls += 1
        if calls == CALLS:
            lasting.data = kept.data  # what it keeps while it is cancelled, a crash would not
            reached.set()
            await asyncio.Event().wait()
        return str(arguments["a"] + arguments["b"])

    first = replace(question(SUMS, tool(add)), checkpoint=kept)
    await _cut_off(trial, first, reached)
    before = [_asked(call) for call in trial.proxy.calls]
    said = await trial.answer(replace(first, attempt=2, checkpoint=lasting, numbering=Numbering()))
    again = [_asked(call) for call in trial.proxy.calls[len(before) :]]
    if repeated := sum(asked in before for asked in again):
        raise trial.undone(f"the model was asked again for {repeated} of {len(before)} turns")
    if not trial.own and "451" not in said:
        raise Unmet(f"asked for 417 + 25 + 9, the agent that went on answers {quoted(said)}")


def _asked(call: ModelCall) -> Any:
    """What was said to the model; the rest may be of the attempt, as a session is."""
    return call.body.get("messages", call.body.get("input"))


async def _cut_off(trial: Trial, run: Run, reached: asyncio.Event) -> None:
    running = asyncio.create_task(trial.steps(run))
    waiting = asyncio.create_task(reached.wait())
    both: set[asyncio.Task[Any]] = {running, waiting}
    await asyncio.wait(both, timeout=BEGUN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not reached.is_set():
        why = ending(running) if running.done() else "it is still under way"
        running.cancel()
        raise trial.undone(f"asked for two sums, the agent did not call add twice: {why}")
    running.cancel()
    await asyncio.wait({running}, timeout=BEGUN_SECONDS)


RESUMING = (
    Scenario(
        name="resume",
        expects="a run that was cut off goes on, and asks its model nothing that it has answered",
        check=resume,
        needs=WITH_TOOLS,
    ),
)
