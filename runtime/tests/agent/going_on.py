"""What tests of parked runs share: an agent that keeps where it was, and the way back to it."""

from collections.abc import AsyncIterator, Callable

from runtime.adapters.port import Answer, Run, Step
from runtime.contract.keys import run_key
from runtime.contract.runs import RESUMPTION, RunRecord
from runtime.contract.subjects import Bucket
from runtime.tests.agent.test_handler import MATH, Place

type Script = Callable[[Run], AsyncIterator[Step]]


def keeping(script: Script) -> Script:
    """A script that keeps "so far" before it begins, and tells what it finds when it goes on."""

    async def kept(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is not None
        found = await run.checkpoint.load()
        if found is None:
            await run.checkpoint.save(lambda: b"so far")
            async for step in script(run):
                yield step
        else:
            yield Answer(found.decode())

    return kept


async def resume(place: Place, decided: RunRecord, until: float) -> None:
    """What the dispatcher does once all is there that a run waited for.

    Shape:
        until  up to when it has waited, in seconds since the epoch.
    """
    resumed = decided.resuming(until)
    await place.link.store(Bucket.RUNS).put(run_key(MATH, resumed.task.id), resumed.encode())
    await place.link.outbox.publish(
        place.queue.subjects.tasks(MATH),
        resumed.task.encode(),
        headers={RESUMPTION: str(resumed.resumptions)},
    )
