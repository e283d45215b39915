"""A worker that plays what a test has written down, on a real queue and as an Agent's workload."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.contract.messages import Cancelled, Completed, Event, Failed, Task
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Workload
from runtime.state.runs import Held, Runs
from runtime.tests.amf.events import Make, attempts, completed, said, started
from runtime.tests.nats import RunningStack, prove
from runtime.transport.jetstream import Link
from runtime.transport.keeper import Keeper
from runtime.transport.port import Delivery

type Line = list[tuple[Make, dict[str, Any]]]
type Script = Callable[["Play"], Awaitable[None]]


@dataclass
class Play:
    """One task in the hands of a script."""

    link: Link
    runs: Runs
    delivery: Delivery
    task: Task
    held: Held

    @property
    def said(self) -> str:
        return self.task.input[-1].text

    def events(self, *lines: Line) -> list[Event]:
        """Each line is one attempt at this task."""
        return attempts(*lines, task=self.task.id)

    async def begin(self, worker: str = "w1") -> None:
        self.held = await self.runs.begin(self.held, worker)

    async def tell(self, *events: Event) -> None:
        """Publish, as a worker does."""
        for event in events:
            await self.link.outbox.signal(self.subject, event.encode())

    async def write(self, end: Event) -> None:
        """Write the end into the record and tell nobody."""
        if not isinstance(end, Completed | Failed | Cancelled):
            raise TypeError(f"{end} is no end")
        self.held = await self.runs.end(self.held, end)

    async def finish(self, *events: Event) -> None:
        """Tell everything, the end after it was written."""
        *steps, end = events
        await self.tell(*steps)
        await self.write(end)
        await self.tell(end)

    async def perform(self, *lines: Line) -> None:
        """Begin, and bring it to its end."""
        await self.begin()
        await self.finish(*self.events(*lines))

    @property
    def subject(self) -> str:
        return self.link.subjects.events(self.task.agent, self.task.origin, self.task.id)


async def echo(play: Play) -> None:
    """Say what was said."""
    words = play.said.split(" ")
    pieces = [word if last == len(words) else f"{word} " for last, word in enumerate(words, 1)]
    texts = [said(piece) for piece in pieces] if play.task.options.stream else []
    await play.perform([started(), *texts, completed(play.said, 7, 3)])


async def until_cancelled(play: Play) -> None:
    """Work until somebody wants it to end, as a worker does."""
    await play.begin()
    await play.tell(*play.events([started(), said("It")]))
    while not play.held.record.cancel_requested:
        await asyncio.sleep(0.02)
        found = await play.runs.get(play.task.agent, play.task.id)
        if found is not None:
            play.held = found
    end = Cancelled(task=play.task.id, attempt=1, seq=3)
    await play.write(end)
    await play.tell(end)


@dataclass
class Actor:
    """The worker; `script` may be changed between tasks, `seen` are the tasks it was given."""

    script: Script = echo
    seen: list[Task] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)


@contextlib.asynccontextmanager
async def acting(
    nats: RunningStack, agent: Workload, script: Script = echo
) -> AsyncIterator[Actor]:
    """A worker of `agent` for as long as the body runs."""
    actor = Actor(script)
    queue = nats.queue(agent)
    with Keeper(queue, prove(queue), ack_wait_seconds=10) as keeper:
        async with nats.link_as(agent) as link:
            inbox = await link.inbox(
                keeper, Stream.TASKS, agent.durable or "", slots=128, hold_seconds=60
            )
            playing = asyncio.create_task(_play_all(actor, link, inbox.next))
            try:
                yield actor
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                await inbox.stop()
    if actor.failures:
        raise actor.failures[0]


async def _play_all(actor: Actor, link: Link, following: Callable[[], Awaitable[Delivery]]) -> None:
    runs = Runs(link.store(Bucket.RUNS))
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(_play(actor, link, runs, await following()))


async def _play(actor: Actor, link: Link, runs: Runs, delivery: Delivery) -> None:
    task = Task.decode(delivery.data)
    actor.seen.append(task)
    held = await runs.get(task.agent, task.id)
    if held is None:
        raise LookupError(task.id)
    try:
        await actor.script(Play(link, runs, delivery, task, held))
    except Exception as error:  # noqa: BLE001 - the test that wrote the script is told at its end
        actor.failures.append(error)
    finally:
        await delivery.ack()
