"""Two dispatchers as processes, and what becomes of one of them by signal."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.contract.agent_config import StackConfig
from runtime.contract.messages import Task
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket, Stream, dispatcher_lease
from runtime.dispatch.lease import Lease
from runtime.tests.dispatch.scene import (
    LEASE_SECONDS,
    Scene,
    nats_scene,
    new_task,
    until,
)
from runtime.tests.dispatch.test_supervision import worker

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).parent / "process.py"
STOP_SECONDS = 2.0


@dataclass
class Dispatchers:
    """Processes that were started, by the order in which they were."""

    scene: Scene
    folder: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        """One more."""
        nats, workload = self.scene.nats, self.scene.dispatcher
        assert nats
        assert workload
        config = StackConfig(queue=nats.queue(workload), lease_seconds=LEASE_SECONDS)
        path = self.folder / "stack.json"
        path.write_bytes(config.encode())
        with (self.folder / f"dispatcher{len(self.processes)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, PROGRAM, path, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    async def end(self) -> None:
        """Whatever runs, or is paused, is gone afterwards."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def holder(self) -> asyncio.subprocess.Process | None:
        """Who leads, by the lease, if he lives."""
        entry = await self.scene.link.store(Bucket.CONVERSATIONS).get(dispatcher_lease())
        name = Lease.decode(entry.value).holder if entry else None
        living = (p for p in self.processes if p.returncode is None)
        return next((p for p in living if str(p.pid) == name), None)

    async def led(
        self, *, besides: asyncio.subprocess.Process | None = None
    ) -> asyncio.subprocess.Process:
        """Who leads, once somebody does."""

        async def look() -> bool:
            return await self.holder() not in {None, besides}

        await until(look, 30)
        leader = await self.holder()
        assert leader
        return leader


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with nats_scene(tmp_path) as made:
        yield made


@pytest.fixture
async def dispatchers(scene: Scene, tmp_path: Path) -> AsyncIterator[Dispatchers]:
    started = Dispatchers(scene, tmp_path)
    try:
        yield started
    finally:
        await started.end()


async def test_a_leader_that_is_asked_to_stop_makes_room_at_once(
    dispatchers: Dispatchers,
) -> None:
    first = await dispatchers.start()
    assert await dispatchers.led() is first
    await dispatchers.start()
    await asyncio.sleep(1)  # it has come up and stands by

    began = time.monotonic()
    first.terminate()
    assert await asyncio.wait_for(first.wait(), STOP_SECONDS) == 0
    await dispatchers.led(besides=first)

    assert time.monotonic() - began < STOP_SECONDS


async def test_nobody_leads_after_everybody_was_asked_to_stop(dispatchers: Dispatchers) -> None:
    first = await dispatchers.start()
    await dispatchers.led()

    first.terminate()
    assert await asyncio.wait_for(first.wait(), STOP_SECONDS) == 0

    assert await dispatchers.holder() is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_leader_that_is_gone_is_replaced(
    dispatchers: Dispatchers, how: signal.Signals
) -> None:
    first = await dispatchers.start()
    assert await dispatchers.led() is first
    await dispatchers.start()
    first.send_signal(how)

    began = time.monotonic()
    await dispatchers.led(besides=first)

    assert time.monotonic() - began < LEASE_SECONDS * 2 + 2  # the second one may be coming up


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_whatever_befalls_the_leaders_nothing_happens_twice_or_never(
    scene: Scene, dispatchers: Dispatchers, how: signal.Signals
) -> None:
    """Dead letters, deadlines, cancellations and conversations, while leaders fall and rise."""
    seed = random.randrange(2**32)
    random.seed(seed)
    dead = [new_task(f"dead {n}") for n in range(15)]
    for task in dead:
        await scene.accept(task)
        await scene.publish(task)
    await scene.exhaust(scene.tasks, messages=len(dead))
    late = [new_task("late", seconds=random.uniform(0, 6)) for _ in range(15)]
    unwanted = [new_task("unwanted") for _ in range(15)]
    for task in (*late, *unwanted):
        await scene.accept(task)
    talks = [f"c{n}" for n in range(3)]
    for talk in talks:
        await scene.conversations.open(talk, "ann")
    said: list[Task] = []

    async with worker(scene), asyncio.TaskGroup() as group:
        havoc = group.create_task(wreak(dispatchers, how, random.Random(seed)))
        for number in range(8):
            said += [(await scene.submit(f"{talk} {number}", talk))[0] for talk in talks]
            for task in unwanted[2 * number : 2 * number + 2]:
                await scene.cancel(task)
            await asyncio.sleep(0.5)
        await havoc
        for task in (*dead, *late, *unwanted, *said):
            await scene.ended(task, seconds=30)
        await until(lambda: settled(scene, talks))
        for task in (*dead, *late, *unwanted):
            await scene.told(task)

    told = [len(await scene.events(task)) for task in (*dead, *late, *unwanted)]
    assert told == [1] * len(told), seed
    letters = sorted(letter.work or "" for letter in await scene.letters())
    assert letters == sorted(task.id for task in dead), seed
    assert {(await scene.held(task)).record.state for task in said} == {RunState.COMPLETED}
    for talk in talks:
        history = [m.text for m in await scene.conversations.history(talk)]
        assert history[::2] == [f"{talk} {number}" for number in range(8)], seed
        assert history[1::2] == [" ".join(history[: 2 * n : 2]) for n in range(8)], seed
    published = [Task.decode(one.data).id for one in await scene.read(Stream.TASKS)]
    assert len(published) == len(set(published)), seed


async def settled(scene: Scene, talks: list[str]) -> bool:
    return [await scene.conversations.turn(talk) for talk in talks] == [None] * len(talks)


async def wreak(dispatchers: Dispatchers, how: signal.Signals, chance: random.Random) -> None:
    """Start two dispatchers; three times let something befall the one that leads."""
    await dispatchers.start()
    await dispatchers.start()
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.2, 1.2))
        victim = await dispatchers.led()
        victim.send_signal(how)
        await dispatchers.start()
        await asyncio.sleep(chance.uniform(0.6, 1.2) * LEASE_SECONDS * 2)
        if how is signal.SIGSTOP:
            victim.send_signal(signal.SIGCONT)
