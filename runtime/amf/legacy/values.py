"""Values of users in a bucket: of any size, changed by compare-and-set, listed by their parents.

A parent lists its children, the oldest first. A child is written before it is listed, and taken
away before it is taken from the list, so a crash in between leaves at most what nobody lists.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from runtime.contract.keys import legacy_part
from runtime.contract.value import Value, Versioned
from runtime.state.parts import joined, put_parts, split
from runtime.transport.port import KeyExists, RevisionConflict, Store

LISTED: Final = 10_000
"""Children that are listed, the newest; older ones are still found by their ids."""
LARGE_BYTES: Final = 256 * 1024
PARTED: Final = b"parts "
"""Before a `Parted`; no JSON object begins so."""


type Change = Callable[[tuple[str, ...]], tuple[str, ...]]


class Parted(Value):
    """Stands for a value that is too large for one key."""

    digest: str
    parts: int


class Listing(Versioned):
    """Has children, by their ids."""

    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held[Kept]:
    """What is kept, the revision that the next write has to name, and the keys of its parts."""

    kept: Kept
    revision: int
    parts: tuple[str, ...] = ()


class Overtaken(Exception):
    """Somebody else has written it in the meantime."""


class Values:
    """The values in one bucket.

    Raises:
        TransportError: any method, when the queue did not do it. All of them may be repeated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get[Kept: Versioned](self, kind: type[Kept], key: str) -> Held[Kept] | None:
        """The value of a key, if there is one."""
        entry = await self._store.get(key)
        if entry is None:
            return None
        if not entry.value.startswith(PARTED):
            return Held(kind.decode(entry.value), entry.revision)
        parts = _part_keys(key, Parted.decode(entry.value.removeprefix(PARTED)))
        return Held(kind.decode(await joined(self._store, parts)), entry.revision, parts)

    async def create[Kept: Versioned](self, key: str, kept: Kept) -> Held[Kept]:
        """Write a key that is not there.

        Raises:
            KeyExists: it is there.
        """
        value, parts = await self._stored(key, kept.encode())
        return Held(kept, await self._store.create(key, value), parts)

    async def update[Kept: Versioned](self, key: str, held: Held[Kept], kept: Kept) -> None:
        """Write over what is held.

        Raises:
            Overtaken: somebody else has done so.
        """
        value, parts = await self._stored(key, kept.encode())
        try:
            await self._store.update(key, value, held.revision)
        except RevisionConflict as conflict:
            raise Overtaken from conflict
        await self._drop(set(held.parts) - set(parts))

    async def delete[Kept: Versioned](self, key: str, held: Held[Kept]) -> None:
        """Take away what is held."""
        await self._store.delete(key)
        await self._drop(held.parts)

    async def relist[Kept: Listing](
        self,
        kind: type[Kept],
        key: str,
        change: Change,
        *,
        first: Kept | None = None,
    ) -> None:
        """Change what a parent lists; if there is none, `first` is it, or else nothing happens."""
        while True:
            held = await self.get(kind, key)
            parent = first if held is None else held.kept
            if parent is None:
                return
            changed = parent.model_copy(update={"children": change(parent.children)})
            with contextlib.suppress(KeyExists, Overtaken):  # else somebody was quicker
                if held is None:
                    await self.create(key, changed)
                else:
                    await self.update(key, held, changed)
                return

    async def _stored(self, key: str, data: bytes) -> tuple[bytes, tuple[str, ...]]:
        """What stands under `key` for `data`, and the keys of the parts that it was put into."""
        if len(data) <= LARGE_BYTES:
            return data, ()
        parts = split(data)
        parted = Parted(digest=hashlib.sha256(data).hexdigest()[:32], parts=len(parts))
        keys = _part_keys(key, parted)
        await put_parts(self._store, keys, parts)
        return PARTED + parted.encode(), keys

    async def _drop(self, parts: Iterable[str]) -> None:
        await asyncio.gather(*map(self._store.delete, parts))


def with_child(child: str) -> Change:
    """List a child last."""
    return lambda listed: (*(one for one in listed if one != child), child)[-LISTED:]


def without_child(child: str) -> Change:
    """List a child no more."""
    return lambda listed: tuple(one for one in listed if one != child)


def _part_keys(key: str, parted: Parted) -> tuple[str, ...]:
    return tuple(legacy_part(key, parted.digest, part) for part in range(parted.parts))
