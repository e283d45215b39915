"""Two dispatchers as processes, and what becomes of one of them by signal."""

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.contract.keys import dispatcher_lease
from runtime.contract.messages import Task
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket, Stream
from runtime.dispatch.lease import Lease
from runtime.tests.dispatch.processes import Started, start
from runtime.tests.dispatch.scene import (
    LEASE_SECONDS,
    STACK,
    Scene,
    dispatcher_config,
    nats_scene,
    new_task,
    until,
)
from runtime.tests.dispatch.test_supervision import worker
from runtime.tests.forks import Forked

pytestmark = pytest.mark.integration

STOP_SECONDS = 2.0


@dataclass
class Replica:
    """One dispatcher."""

    started: Started

    @property
    def process(self) -> Forked:
        """Which can be asked, killed and paused."""
        return self.started.process

    @property
    def name(self) -> str | None:
        """By which the lease knows it; it says so when it first leads."""
        return self._said("leads")

    async def stands_by(self) -> bool:
        """Whether it has come up and seen that another one leads."""
        return self._said("stands by") is not None

    def _said(self, message: str) -> str | None:
        lines = map(json.loads, self.started.log.read_text().splitlines())
        return next((line["dispatcher"] for line in lines if line["message"] == message), None)

    async def stop(self) -> float:
        """Ask it to stop; how many seconds it took, and it went well."""
        began = time.monotonic()
        self.process.terminate()
        assert await asyncio.wait_for(self.process.wait(), 10) == 0
        return time.monotonic() - began


@dataclass
class Dispatchers:
    """The replicas of a Stack's dispatcher that were started, living or not."""

    scene: Scene
    folder: Path
    replicas: list[Replica] = field(default_factory=list)

    async def start(self) -> Replica:
        """One more."""
        name = f"dispatcher{len(self.replicas)}"
        config = dispatcher_config(self.scene)
        words = "dispatch", f"stack/{STACK}"
        self.replicas.append(Replica(await start(self.folder, name, *words, config=config)))
        return self.replicas[-1]

    async def end(self) -> None:
        """Whatever runs, or is paused, is gone afterwards."""
        for replica in self.replicas:
            await replica.started.kill()

    async def holder(self) -> str | None:
        """Who leads, by the lease."""
        entry = await self.scene.link.store(Bucket.CONVERSATIONS).get(dispatcher_lease())
        return Lease.decode(entry.value).holder if entry else None

    async def leader(self) -> Replica | None:
        """Who leads, by the lease, if he lives."""
        name = await self.holder()
        living = (one for one in self.replicas if one.process.returncode is None)
        return next((one for one in living if name is not None and one.name == name), None)

    async def led(self, *, besides: Replica | None = None) -> Replica:
        """Who leads, once somebody does."""

        async def look() -> bool:
            return await self.leader() not in (None, besides)

        await until(look, 30)
        leader = await self.leader()
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


async def test_a_leader_that_is_asked_to_stop_makes_room_at_once(dispatchers: Dispatchers) -> None:
    first = await dispatchers.start()
    assert await dispatchers.led() is first
    second = await dispatchers.start()
    await until(second.stands_by, 30)

    assert await first.stop() < STOP_SECONDS
    began = time.monotonic()
    assert await dispatchers.led() is second
    assert time.monotonic() - began < STOP_SECONDS

    assert await second.stop() < STOP_SECONDS
    assert await dispatchers.holder() is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_leader_that_is_gone_is_replaced(
    dispatchers: Dispatchers, how: signal.Signals
) -> None:
    first = await dispatchers.start()
    assert await dispatchers.led() is first
    second = await dispatchers.start()
    await until(second.stands_by, 30)
    first.process.send_signal(how)

    began = time.monotonic()
    assert await dispatchers.led(besides=first) is second

    assert time.monotonic() - began < LEASE_SECONDS + STOP_SECONDS


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
        victim.process.send_signal(how)
        await dispatchers.start()
        await asyncio.sleep(chance.uniform(0.6, 1.2) * LEASE_SECONDS * 2)
        if how is signal.SIGSTOP:
            victim.process.send_signal(signal.SIGCONT)
