"""When an object is reconciled: when woken, when it asked for it, and at an interval.

A wake carries no data: whatever has happened, the reconcile reads the world anew.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Never

from controller.api.names import (
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    LABEL_OWNER_NAMESPACE,
    Kind,
)
from controller.errors import ReconcileError
from controller.metrics import OBJECTS, RECONCILE_SECONDS, RECONCILES
from controller.model import NATS_SERVER, TARGET, ChildRef, Key, Manifest, Progress
from controller.reconcile import references

log = logging.getLogger(__name__)

RESYNC_SECONDS: Final = 60.0
"""Between two looks at an object that nobody woke: what was changed by hand is repaired."""

MOST_SECONDS: Final = 30.0
"""Between two attempts of an object that asks for another one again and again."""

MOST_DOUBLINGS: Final = 10

LEAVING_SECONDS: Final = 5.0
"""The longest wait for one that is being deleted: somebody may be waiting for it to be gone."""

FAULT_SECONDS: Final = 1.0
"""After a fault of ours; each further one doubles it."""

JITTER: Final = 0.1
"""Share by which waits differ, so that a thousand objects do not stay in step."""

KIND_BY_LABEL: Final = {kind.lower(): kind for kind in Kind}

type Reconcile = Callable[[Key, datetime], Awaitable[Progress]]


@dataclass(slots=True)
class _Trigger:
    """What wakes one object, and what keeps two reconciles of it apart.

    Shape:
        users     loops that wait on it.
        attempts  how often in a row it has asked for another one without being woken.
    """

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was last seen of an object: a change of it is worth a wake.

    Shape:
        own     what its own reconcile looks at; the status is what that writes.
        others  what the reconcile of those that refer to it looks at.
    """

    uid: str
    own: tuple[object, ...]
    others: tuple[object, ...]
    references: frozenset[ChildRef]

    @classmethod
    def of(cls, body: Manifest) -> "_Seen":
        metadata = body["metadata"]
        own = (metadata.get("generation"), metadata.get("deletionTimestamp"))
        conditions = (body.get("status") or {}).get("conditions") or ()
        told = tuple((one.get("type"), one.get("status"), one.get("reason")) for one in conditions)
        return cls(metadata["uid"], own, (*own, told), references(body))


class Wakes:
    """The triggers of all objects.

    Args:
        reconcile: moves one object a step; may be called for one that is not there any more.
        resync: seconds between two looks at an object that nobody woke.
    """

    def __init__(self, reconcile: Reconcile, *, resync: float = RESYNC_SECONDS) -> None:
        self._reconcile = reconcile
        self._resync = resync
        self._triggers: dict[Key, _Trigger] = {}
        self._seen: dict[Key, _Seen] = {}
        self._referrers: defaultdict[ChildRef, set[Key]] = defaultdict(set)

    def wake(self, key: Key) -> None:
        """Reconcile `key` soon; however often this is said before, it is done once.

        Of no effect when nobody keeps the object: whoever begins to, begins with a reconcile.
        """
        trigger = self._triggers.get(key)
        if trigger is not None:
            trigger.attempts = 0
            trigger.woken.set()

    def wake_owner(self, labels: Mapping[str, str]) -> None:
        """Reconcile the object whose child has these labels."""
        kind = KIND_BY_LABEL.get(labels.get(LABEL_OWNER_KIND, ""))
        name, namespace = labels.get(LABEL_OWNER_NAME), labels.get(LABEL_OWNER_NAMESPACE)
        if kind and name and namespace:
            self.wake(Key(kind, namespace, name))

    def wake_referrers(self, ref: ChildRef) -> None:
        """Reconcile every object whose spec names `ref`."""
        for key in self._referrers.get(ref, ()):
            self.wake(key)

    def seen(self, key: Key, body: Manifest) -> None:
        """The object is as `body` says: wake it, and those that refer to it, if that is news."""
        before, now = self._seen.get(key), _Seen.of(body)
        self._seen[key] = now
        self._refer(key, before.references if before else (), now.references)
        if before is None or (before.uid, before.own) != (now.uid, now.own):
            self.wake(key)
            self._wake_rivals(before)
            self._wake_targets(key, now, *((before,) if before else ()))
        if before is None or (before.uid, before.others) != (now.uid, now.others):
            self.wake_referrers(key.ref)

    def gone(self, key: Key, uid: str) -> None:
        """The object with this uid is there no more."""
        before = self._seen.get(key)
        if before is not None and before.uid == uid:  # not its successor of the same name
            del self._seen[key]
            self._refer(key, before.references, ())
            self._wake_rivals(before)
            self._wake_targets(key, before)
        self.wake_referrers(key.ref)

    def _wake_rivals(self, before: _Seen | None) -> None:
        """Reconcile whoever wants the NATS that this one had, and may have it from now on."""
        for ref in before.references if before else ():
            if ref.kind == NATS_SERVER:
                self.wake_referrers(ref)

    def _wake_targets(self, key: Key, *of: _Seen) -> None:
        """Reconcile whom a policy is attached to, which do not name it."""
        if key.kind is Kind.IDENTITY_POLICY:
            for ref in frozenset().union(*(seen.references for seen in of)):
                if ref.kind == TARGET:
                    self.wake_referrers(ref)

    async def keep(self, key: Key) -> Never:
        """Reconcile `key` again and again, until cancelled."""
        with self._trigger(key) as trigger, OBJECTS.labels(key.kind).track_inprogress():
            while True:
                progress = await self._once(key, trigger)
                await _wait(trigger, self._pause(progress, trigger))

    async def finish(self, key: Key) -> None:
        """Reconcile `key`, which is being deleted, until nothing of it is left."""
        with self._trigger(key) as trigger:
            while not (progress := await self._once(key, trigger)).finished:
                await _wait(trigger, min(self._pause(progress, trigger), LEAVING_SECONDS))

    @contextlib.contextmanager
    def _trigger(self, key: Key) -> Iterator[_Trigger]:
        trigger = self._triggers.setdefault(key, _Trigger())
        trigger.users += 1
        try:
            yield trigger
        finally:
            trigger.users -= 1
            if not trigger.users:
                del self._triggers[key]

    async def _once(self, key: Key, trigger: _Trigger) -> Progress:
        async with trigger.alone:
            # Cleared before anything is read: what happens from here on is worth another look.
            trigger.woken.clear()
            began = time.monotonic()
            progress, outcome = await self._attempt(key)
            RECONCILE_SECONDS.labels(key.kind).observe(time.monotonic() - began)
            RECONCILES.labels(key.kind, outcome).inc()
            return progress

    async def _attempt(self, key: Key) -> tuple[Progress, str]:
        try:
            progress = await self._reconcile(key, datetime.now(UTC))
        except ReconcileError as error:
            log.warning("not now", extra={"object": str(key), "error": str(error)})
            return Progress(again_in=error.retry_after), "failed"
        except (Exception, asyncio.CancelledError):
            # A fault of ours must not end the loop of this object, nor touch the others; nor must
            # the end of something that the reconcile was only waiting for.
            if _is_asked_to_end():
                raise
            log.exception("reconciling failed", extra={"object": str(key)})
            return Progress(again_in=FAULT_SECONDS), "fault"
        if progress.finished:
            return progress, "finished"
        return progress, "settled" if progress.again_in is None else "again"

    def _pause(self, progress: Progress, trigger: _Trigger) -> float:
        if progress.again_in is None:
            trigger.attempts = 0
            return self._resync
        wait = progress.again_in * 2.0 ** min(trigger.attempts, MOST_DOUBLINGS)
        trigger.attempts += 1
        return min(wait, max(MOST_SECONDS, progress.again_in), self._resync)

    def _refer(self, key: Key, before: Iterable[ChildRef], now: Iterable[ChildRef]) -> None:
        for ref in before:
            self._referrers[ref].discard(key)
            if not self._referrers[ref]:
                del self._referrers[ref]
        for ref in now:
            self._referrers[ref].add(key)


def _is_asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _wait(trigger: _Trigger, seconds: float) -> None:
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(trigger.woken.wait(), seconds * spread)
