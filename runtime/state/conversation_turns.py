"""The turns of conversations: the newest in the head, and beside it what is too large for that.

A large turn is kept under its digest. When the turns in a head grow, they move to a chunk. Either
is written before a head names it: whoever comes second finds it there, and a chunk can only hold
turns that the head he wrote from held. So what is written after its head was erased would be found
by nobody: whoever learns of that takes it away again.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator

from pydantic import TypeAdapter

from runtime.contract import keys
from runtime.contract.messages import Message
from runtime.contract.value import Value
from runtime.state.conversation_head import Blob, Head, Turn, forgetting
from runtime.state.parts import PartMissing, joined, put_parts, split
from runtime.transport.port import KeyExists, RevisionConflict, WatchableStore

INLINE_BYTES = 64 * 1024
LARGE_BYTES = 32 * 1024
PART_BYTES = 256 * 1024
_MESSAGES: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Message, ...])


class Chunk(Value):
    """Turns that follow each other, oldest first; once written, they may only be forgotten."""

    turns: tuple[Turn, ...]


class Turns:
    """The turns of all conversations of a bucket.

    Shape:
        Keys are `keys.conversation_chunk` and `keys.conversation_blob`.

    Raises:
        TransportError: any method, when the queue did not do it. All of them may be repeated.
    """

    def __init__(self, store: WatchableStore) -> None:
        self._store = store

    async def keep(self, conversation: str, turn: Turn) -> Turn:
        """`turn` in the form the head keeps: a large one is stored beside it, under its digest."""
        if turn.size <= LARGE_BYTES:
            return turn
        data = _MESSAGES.dump_json(turn.messages, by_alias=True)
        digest = hashlib.sha256(data).hexdigest()[:32]
        parts = split(data, PART_BYTES)
        blob = Blob(digest=digest, parts=len(parts))
        await put_parts(self._store, _blob_keys(conversation, blob), parts)
        return Turn(task=turn.task, blob=blob)

    async def spill(self, head: Head, changed: Head) -> Head:
        """`changed` with the turns of `head` in a chunk, if they have become too large for it.

        Only turns that a head held already are moved: so a chunk that a crash left behind begins
        with them too, and stands for them.
        """
        if not head.turns or sum(turn.size for turn in changed.turns) <= INLINE_BYTES:
            return changed
        chunk = Chunk(turns=head.turns)
        key = keys.conversation_chunk(head.conversation, head.chunks)
        try:
            await self._store.create(key, chunk.encode())
        except KeyExists:
            chunk = await self._chunk(head, head.chunks)
        return changed.spilled(len(chunk.turns))

    async def withdraw(self, conversation: str, turn: Turn | None, chunk: int | None) -> None:
        """Take away what was written for a head that was erased before it came to name it.

        Shape:
            turn   as `keep` gave it.
            chunk  the number of the one that `spill` has made.
        """
        written = _blob_keys(conversation, turn.blob) if turn and turn.blob else []
        if chunk is not None:
            written.append(keys.conversation_chunk(conversation, chunk))
        for key in written:
            await self._store.purge(key)

    async def messages(self, head: Head, turn: Turn) -> tuple[Message, ...]:
        """What was said in a turn; nothing, if it was forgotten."""
        if not turn.blob:
            return turn.messages
        try:
            return _MESSAGES.validate_json(
                await joined(self._store, _blob_keys(head.conversation, turn.blob))
            )
        except PartMissing:
            return ()

    async def newest(self, head: Head, room: int) -> tuple[Message, ...]:
        """The newest messages that take at most `room` bytes as JSON, oldest first."""
        newest: list[Message] = []
        async for turn in self.backwards(head):
            for message in reversed(await self.messages(head, turn)):
                room -= len(message.encode())
                if room < 0:
                    return tuple(reversed(newest))
                newest.append(message)
        return tuple(reversed(newest))

    async def backwards(self, head: Head) -> AsyncIterator[Turn]:
        """The turns, newest first, as far back as they are kept."""
        for turn in reversed(head.turns):
            yield turn
        for number in reversed(range(head.chunks)):
            for turn in reversed((await self._chunk(head, number)).turns):
                yield turn

    async def forget(self, head: Head, task: str, blobs: list[Turn]) -> None:
        """Erase beside `head` the turn of `task`; `blobs` are the large turns there have been."""
        for number in range(head.chunks):
            await self._forget_in_chunk(head, number, task)
        kept = {turn.blob.digest for turn in blobs if turn.blob and turn.task != task}
        for turn in blobs:
            if turn.task == task and turn.blob and turn.blob.digest not in kept:
                for key in _blob_keys(head.conversation, turn.blob):
                    await self._store.delete(key)

    async def _forget_in_chunk(self, head: Head, number: int, task: str) -> None:
        key = keys.conversation_chunk(head.conversation, number)
        while entry := await self._store.get(key):
            chunk = Chunk.decode(entry.value)
            turns = forgetting(chunk.turns, task)
            if turns == chunk.turns:
                return
            with contextlib.suppress(RevisionConflict):  # erased, or forgotten in beside us
                await self._store.update(key, Chunk(turns=turns).encode(), entry.revision)

    async def _chunk(self, head: Head, number: int) -> Chunk:
        entry = await self._store.get(keys.conversation_chunk(head.conversation, number))
        return Chunk.decode(entry.value) if entry else Chunk(turns=())


def _blob_keys(conversation: str, blob: Blob) -> list[str]:
    names = (conversation, blob.digest)
    return [keys.conversation_blob(*names, part) for part in range(blob.parts)]
