"""Values that are too large for one key, in numbered parts under keys of their own.

A worker may read and write single keys and nothing else: it can list no keys, and the subjects of
JetStream's object store do not cross the border between the accounts. So another value names the
parts, and is written after them: then it counts whole or not at all.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from runtime.transport.port import Store, TransportError

PART_BYTES: Final = 512 * 1024
"""Half of what the queue of a Stack takes at once."""


class PartMissing(TransportError):
    """A part that was written is not there: a server lags behind, or the part is lost."""


def split(data: bytes, part_bytes: int = PART_BYTES) -> tuple[bytes, ...]:
    """`data` in parts of `part_bytes`, the last one shorter; none if there is nothing."""
    return tuple(data[at : at + part_bytes] for at in range(0, len(data), part_bytes))


async def put_parts(store: Store, keys: Sequence[str], parts: Sequence[bytes]) -> None:
    """Write each part under its key; as many keys as parts.

    Raises:
        TransportError: the queue did not take all of them; doing it again does no harm.
    """
    for key, part in zip(keys, parts, strict=True):
        await store.put(key, part)


async def joined(store: Store, keys: Sequence[str]) -> bytes:
    """The value whose parts have these keys.

    Raises:
        PartMissing: one is not there; the message names its key.
        TransportError: the queue is away.
    """
    entries = await asyncio.gather(*map(store.get, keys))
    for key, entry in zip(keys, entries, strict=True):
        if entry is None:
            raise PartMissing(f"{key} is missing")
    return b"".join(entry.value for entry in entries if entry is not None)
