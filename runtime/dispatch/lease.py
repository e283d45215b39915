"""Which of a Stack's dispatchers leads: one key that its holder writes again and again.

Nobody compares clocks. A candidate takes over when it has seen the same revision for the whole
length of the lease; the leader stops when its last renewal began longer ago than that. Since nobody
can see a renewal before it began, the leader stops first, also one that was paused.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from runtime.contract.keys import dispatcher_lease
from runtime.contract.value import Value
from runtime.transport.port import Entry, KeyExists, RevisionConflict, Store, TransportError

log = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """Another dispatcher may lead by now, so nothing more may be written."""


class Lease(Value):
    """The value of the key; null `holder`: given back, free for everybody at once."""

    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """Write the lease over `revision`; null if there is none yet."""

    revision: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease of somebody else, unchanged since `since` seconds of the candidate's own clock."""

    revision: int
    since: float


def claim(
    entry: Entry | None, seen: Seen | None, *, me: str, now: float, lease_seconds: float
) -> Take | Seen:
    """Whether a candidate may take the lease, or what it keeps in mind until it looks again."""
    if entry is None:
        return Take(None)
    if Lease.decode(entry.value).holder in {None, me}:
        return Take(entry.revision)
    if seen is None or seen.revision != entry.revision:
        return Seen(entry.revision, now)
    return Take(entry.revision) if now - seen.since >= lease_seconds else seen


@dataclass(slots=True)
class Term:
    """A time of leadership; `until` in seconds of `clock`."""

    revision: int
    until: float
    clock: Callable[[], float]

    def check(self) -> None:
        """Do nothing while we lead.

        Raises:
            LeadershipLost: the lease was not renewed in time.
        """
        if self.clock() >= self.until:
            raise LeadershipLost("the lease was not renewed in time")


class Election:
    """The way of one dispatcher, `me`, to the lease and back."""

    def __init__(
        self,
        store: Store,
        me: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._me = me
        self._lease_seconds = lease_seconds
        self._clock = clock

    async def campaign(self) -> Term:
        """Wait until the lease is ours."""
        seen: Seen | None = None
        while True:
            try:
                entry = await self._store.get(dispatcher_lease())
                now = self._clock()
                match claim(entry, seen, me=self._me, now=now, lease_seconds=self._lease_seconds):
                    case Take(revision):
                        return Term(
                            await self._take(revision), now + self._lease_seconds, self._clock
                        )
                    case Seen() as unchanged:
                        if seen is None:
                            log.info("stands by", extra={"dispatcher": self._me})
                        seen = unchanged
            except (KeyExists, RevisionConflict):
                log.info("another dispatcher was quicker", extra={"dispatcher": self._me})
            except TransportError as error:
                log.warning("the lease is out of reach", extra={"error": str(error)})
            await asyncio.sleep(self._lease_seconds / 10)

    async def renew(self, term: Term) -> None:
        """Keep the lease for as long as possible, writing it each third of its length.

        Raises:
            LeadershipLost: it is gone.
        """
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            term.check()
            began = self._clock()
            try:
                term.revision = await self._take(term.revision)
                term.until = began + self._lease_seconds
            except RevisionConflict:
                term.revision = await self._still_ours()
            except TransportError as error:
                log.warning("the lease could not be renewed", extra={"error": str(error)})

    async def resign(self, term: Term) -> None:
        """Give the lease back, so that another one leads at once.

        Raises:
            TransportError: it could not be given back, or was not ours any more; it runs out.
        """
        await self._store.update(dispatcher_lease(), Lease().encode(), term.revision)

    async def _take(self, revision: int | None) -> int:
        mine = Lease(holder=self._me).encode()
        if revision is None:
            return await self._store.create(dispatcher_lease(), mine)
        return await self._store.update(dispatcher_lease(), mine, revision)

    async def _still_ours(self) -> int:
        """The revision of a renewal of ours whose confirmation was lost."""
        entry = await self._store.get(dispatcher_lease())
        if entry is None or Lease.decode(entry.value).holder != self._me:
            raise LeadershipLost("another dispatcher has taken the lease")
        return entry.revision
