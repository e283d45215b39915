"""The key-value buckets of a queue in memory, and how subjects and keys match patterns."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace

from runtime.transport.port import Entry, KeyExists, RevisionConflict


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a pattern with `*` for one token and `>` for the rest."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and _all_match(wanted[:-1], given)
    return len(given) == len(wanted) and _all_match(wanted, given)


def _all_match(wanted: list[str], given: list[str]) -> bool:
    return all(w in {"*", g} for w, g in zip(wanted, given, strict=False))


@dataclass(frozen=True, slots=True)
class MemoryBuckets:
    """What all buckets of one queue hold.

    Shape:
        entries    the newest entry of each key, deleted ones too, by bucket.
        revisions  numbers that only rise.
        changed    notified of each write.
    """

    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    revisions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class MemoryStore:
    """A `WatchableStore`; all that are made for one bucket show the same."""

    def __init__(self, buckets: MemoryBuckets, bucket: str) -> None:
        self._entries = buckets.entries.setdefault(bucket, {})
        self._revisions = buckets.revisions
        self._changed = buckets.changed

    async def get(self, key: str) -> Entry | None:
        """The newest value, or None if there is none."""
        entry = self._entries.get(key)
        return None if entry is None or entry.deleted else entry

    async def create(self, key: str, value: bytes) -> int:
        """Write a key that is not there."""
        if await self.get(key) is not None:
            raise KeyExists(f"the key {key} is there already")
        return await self.put(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write over exactly `revision`."""
        entry = self._entries.get(key)
        if (entry.revision if entry else 0) != revision:
            raise RevisionConflict(f"the key {key} is not at {revision} any more")
        return await self.put(key, value)

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever stands there."""
        entry = Entry(key, value, next(self._revisions))
        return await self._set(entry)

    async def delete(self, key: str) -> None:
        """Take the key away."""
        if (entry := self._entries.get(key)) is not None:
            revision = next(self._revisions)
            await self._set(replace(entry, value=b"", deleted=True, revision=revision))

    async def find(self, pattern: str) -> Entry | None:
        """The newest entry whose key matches a pattern."""
        found = [e for key, e in self._entries.items() if matches(pattern, key) and not e.deleted]
        return max(found, key=lambda entry: entry.revision, default=None)

    async def keys(self, pattern: str) -> list[str]:
        """The keys that match a pattern."""
        return [key for key, e in self._entries.items() if matches(pattern, key) and not e.deleted]

    async def scan(self, pattern: str) -> AsyncGenerator[Entry]:
        """The entries that match, the oldest first."""
        found = [e for key, e in self._entries.items() if matches(pattern, key) and not e.deleted]
        for entry in sorted(found, key=lambda entry: entry.revision):
            yield entry

    async def watch(self, pattern: str = ">") -> AsyncGenerator[Entry | None]:
        """Every key's newest value, then None once, then each change."""
        seen, caught_up = 0, False
        while True:
            for entry in sorted(self._entries.values(), key=lambda entry: entry.revision):
                if entry.revision > seen and matches(pattern, entry.key):
                    seen = entry.revision
                    yield entry
            if not caught_up:
                caught_up = True
                yield None
                continue
            async with self._changed:
                if not any(
                    e.revision > seen and matches(pattern, e.key) for e in self._entries.values()
                ):
                    await self._changed.wait()

    async def purge(self, pattern: str) -> None:
        """Take away every key that matches, without a trace."""
        for key in [key for key in self._entries if matches(pattern, key)]:
            del self._entries[key]

    async def _set(self, entry: Entry) -> int:
        self._entries[entry.key] = entry
        async with self._changed:
            self._changed.notify_all()
        return entry.revision
