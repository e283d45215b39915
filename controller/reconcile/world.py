"""The outside as one reconcile sees it: guarded against stale reads, changed step by step."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self, assert_never

from controller.api.resource import Status
from controller.errors import QueueUnavailable, ReconcileError, StaleView
from controller.model import (
    ApplyChild,
    ApplyQueue,
    Changes,
    Child,
    ChildRef,
    Children,
    DeleteChild,
    DeleteConsumer,
    DeleteEntry,
    DeleteStream,
    Key,
    Manifest,
    Outcome,
    Purge,
    QueueQuery,
    QueueState,
    Site,
    Step,
    Unavailable,
)
from controller.ports import Cluster, Servers, Streams
from controller.status import kube_events
from runtime.contract.keys import keys_of
from runtime.contract.runs import RunRecord

SWEEP_AFTER: Final = timedelta(seconds=60)
"""How often a Stack looks through all its queue has for what is of nobody any more."""

COUNT_AFTER: Final = timedelta(seconds=5)
"""How often the run records of an Agent that goes are looked through."""


@dataclass(frozen=True, slots=True)
class _Version:
    """Which object, and how new: what tells a late answer from news."""

    uid: str
    created: str
    generation: int
    reported: int

    @classmethod
    def of(cls, body: Manifest) -> Self:
        metadata = body["metadata"]
        return cls(
            uid=metadata.get("uid", ""),
            created=metadata.get("creationTimestamp", ""),
            generation=metadata.get("generation", 0),
            reported=(body.get("status") or {}).get("observedGeneration", 0),
        )

    @property
    def is_behind(self) -> bool:
        """A newer generation than this was reported on already."""
        return self.reported > self.generation

    def is_older_than(self, other: Self) -> bool:
        if self.uid == other.uid:
            return self.generation < other.generation
        return self.created < other.created  # RFC 3339 in UTC sorts as it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPlace:
    """Where the run records of an Agent are, and how far the Agent is on its way out.

    Shape:
        is_open      new tasks may come.
        has_workers  somebody may be doing one.
    """

    url: str
    bucket: str
    is_open: bool
    has_workers: bool


@dataclass(frozen=True, slots=True)
class _Count:
    place: RunsPlace
    at: datetime
    number: int


def _is_unfinished(value: bytes) -> bool:
    try:
        return not RunRecord.decode(value).state.is_end
    except ValueError:
        return False  # nobody can end what nobody can read


@dataclass(slots=True, kw_only=True)
class World:
    """Everything outside, behind its ports; shared by all reconciles of this process.

    Shape:
        version  of the operator, for the status of Stacks.
    """

    cluster: Cluster
    streams: Streams
    servers: Servers
    site: Site
    version: str
    trust_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _newest: dict[Key, _Version] = field(default_factory=dict)
    _swept: dict[Key, datetime] = field(default_factory=dict)
    _counted: dict[Key, _Count] = field(default_factory=dict)

    async def read(self, key: Key) -> Manifest | None:
        """An object of ours as it is now, or None.

        Raises:
            StaleView: it is older than what was read, or reported on, before.
        """
        body = await self.cluster.read(key)
        if body is None:
            self.forget(key)
            return None
        found, newest = _Version.of(body), self._newest.get(key)
        if found.is_behind or (newest is not None and found.is_older_than(newest)):
            raise StaleView(f"{key} was read as it had been before")
        self._newest[key] = found
        return body

    def forget(self, key: Key) -> None:
        """Nothing is known any more of an object that is gone."""
        self._newest.pop(key, None)
        self._swept.pop(key, None)
        self._counted.pop(key, None)

    async def children(self, owner: Key) -> Children:
        """What `owner` has, by reference."""
        return {ChildRef.of(found): found for found in await self.cluster.children(owner)}

    async def queue(self, url: str, query: QueueQuery) -> QueueState:
        """What there is of what `query` asks for, or that nobody answers."""
        try:
            return await self.streams.observe(url, query)
        except QueueUnavailable as error:
            return Unavailable(str(error))

    async def unfinished(self, agent: Key, place: RunsPlace, now: datetime) -> int | Unavailable:
        """How many tasks of an Agent have not ended, or that nobody answers.

        All its records are read for that, so what was found is good for `COUNT_AFTER`, as long as
        the Agent is as far on its way as it was.
        """
        last = self._counted.get(agent)
        if last is not None and last.place == place and now - last.at < COUNT_AFTER:
            return last.number
        try:
            number = await self.streams.count(
                place.url, place.bucket, keys_of(agent.object_name), _is_unfinished
            )
        except QueueUnavailable as error:
            return Unavailable(str(error))
        self._counted[agent] = _Count(place, now, number)
        return number

    def sweeps(self, stack: Key, now: datetime) -> bool:
        """Whether it is time to look through all that the queue of `stack` has."""
        last = self._swept.get(stack)
        return last is None or now - last >= SWEEP_AFTER

    def swept(self, stack: Key, now: datetime) -> None:
        """All that the queue of `stack` has was looked through."""
        self._swept[stack] = now

    async def apply(self, changes: Changes) -> Outcome:
        """Carry out the steps one after the other, as far as the outside does its part."""
        done: list[Step] = []
        try:
            for step in changes.steps:
                await self._carry_out(step, changes.url or "")
                done.append(step)
        except ReconcileError as error:
            return Outcome(tuple(done), error.failure)
        return Outcome(tuple(done), changes.blocked)

    async def make(self, child: Child, *, force: bool) -> None:
        """Make one object of Kubernetes so."""
        await self.cluster.apply(child, force=force)

    async def _carry_out(self, step: Step, url: str) -> None:
        match step:
            case ApplyChild(child, force):
                await self.make(child, force=force)
            case DeleteChild(ref):
                await self.cluster.delete(ref)
            case ApplyQueue(thing):
                await self.streams.apply(url, thing)
            case DeleteStream(name):
                await self.streams.delete_stream(url, name)
            case DeleteConsumer(ref):
                await self.streams.delete_consumer(url, ref)
            case DeleteEntry(ref):
                await self.streams.delete_entry(url, ref)
            case Purge(stream, subject):
                await self.streams.purge(url, stream, subject)
            case _:
                assert_never(step)

    async def report(
        self, key: Key, uid: str, before: Status, status: Status, repairs: Iterable[str] = ()
    ) -> None:
        """Write the status if it says anything new, and then tell what is worth an Event.

        The Events come last: a reconcile that is cut off before its status tells them next time.
        """
        if status.dump() != before.dump():
            await self.cluster.report(key, uid, status.dump())
        for event in kube_events(key, uid, before.conditions, status.conditions, repairs):
            await self.cluster.emit(event)
