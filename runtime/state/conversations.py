"""Conversations: one run at a time, in order, and the history that each run sees.

The head (`conversation_head`) is the only truth and changes by compare-and-set, so the server and
the dispatcher may do the same thing at the same time. It carries the newest turns itself; what is
too large for it is beside it (`conversation_turns`), and counts once the head names it.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from runtime.contract import keys
from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Message
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName
from runtime.state.conversation_head import Admission, Admitted, Head, Place, Turn, turn_of
from runtime.state.conversation_turns import Turns
from runtime.transport.port import KeyExists, RevisionConflict, WatchableStore

HISTORY_BYTES = 448 * 1024

type Change[Result] = Callable[[Head], tuple[Head, Result]]


class NoConversation(LookupError):
    """There is no conversation with this id, or it is not this user's."""


@dataclass(frozen=True, slots=True)
class Unsynced:
    """Turns of runs that the server's own items do not know yet, oldest first.

    Shape:
        turns    each with its task and all of its messages.
        length   what `mark_synced` is told once the server knows them.
    """

    turns: tuple[Turn, ...]
    length: int


class Conversations:
    """The conversations of one Stack, in its bucket `conversations`.

    Shape:
        Keys are `keys.conversation_head` and those of `Turns`. No value is larger than a few
        hundred kilobytes, and a turn rewrites no more than `INLINE_BYTES` of the ones before.

    Raises:
        TransportError: any method, when the queue did not do it. All of them may be repeated.
    """

    def __init__(self, store: WatchableStore) -> None:
        self._store = store
        self._turns = Turns(store)

    async def of(self, user: str) -> AsyncGenerator[str]:
        """The conversations of a user, by their ids."""
        async for entry in self._store.scan(keys.CONVERSATION_HEADS):
            head = Head.decode(entry.value)
            if head.user == user:
                yield head.conversation

    async def open(
        self,
        conversation: str,
        user: str,
        *,
        items: tuple[Message, ...] = (),
        cursor: str | None = None,
    ) -> Head:
        """The conversation; made from the server's own `items`, up to `cursor`, at first touch.

        Raises:
            NoConversation: it is another user's, or the id is none.
        """
        if found := await self._find(conversation):
            return _belonging(found[0], user)
        head = Head(conversation=conversation, user=user)
        try:
            await self._store.create(_head_key(conversation), head.encode())
        except KeyExists:
            return _belonging((await self._read(conversation))[0], user)
        if not items and cursor is None:
            return head
        return await self.import_items(conversation, user, items, after=None, cursor=cursor)

    async def get(self, conversation: str, user: str) -> Head:
        """The conversation as it stands.

        Raises:
            NoConversation: it was never opened, or it is another user's.
        """
        return _belonging((await self._read(conversation))[0], user)

    async def import_items(
        self,
        conversation: str,
        user: str,
        items: tuple[Message, ...],
        *,
        after: str | None,
        cursor: str | None,
    ) -> Head:
        """Take in what the client itself put into the server's items `after` and up to `cursor`.

        Nothing happens if somebody else has taken them in: `imported` is no longer `after`.

        Raises:
            NoConversation: it was never opened, or it is another user's.
        """
        await self.get(conversation, user)  # or what is written beside no head stays for ever
        turn = await self._turns.keep(conversation, Turn(messages=items)) if items else None

        def change(head: Head) -> tuple[Head, Head]:
            changed = _belonging(head, user).imports(turn, after=after, cursor=cursor)
            return changed, changed

        return await self._change(conversation, change, turn)

    async def admit(
        self,
        conversation: str,
        user: str,
        task: str,
        *,
        agent: ObjectName,
        when_busy: WhenBusy,
        now: float,
        deadline: float,
        history_bytes: int = HISTORY_BYTES,
    ) -> Admission:
        """Ask for a place for `task` of `agent`; asking again gives the same answer.

        Units:
            `now`, `deadline` in seconds since the epoch; the history given to the task takes at
            most `history_bytes` as JSON: the newest messages that fit.

        Raises:
            NoConversation: it was never opened, or it is another user's.
        """

        def change(head: Head) -> tuple[Head, tuple[Head, Admission]]:
            head, admission = _belonging(head, user).admits(
                task, agent=agent, when_busy=when_busy, now=now, deadline=deadline
            )
            return head, (head, admission)

        head, admission = await self._change(conversation, change)
        if isinstance(admission, Admitted):
            return replace(admission, history=await self._turns.newest(head, history_bytes))
        return admission

    async def finish(self, record: RunRecord) -> Place | None:
        """Append what an ended run leaves (`turn_of`) and give the place whose turn it is now.

        The first call appends; every call answers who is next, released already or not.

        Raises:
            ValueError: the run has not ended.
        """
        if not record.state.is_end:
            raise ValueError(f"run {record.task.id} has not ended: it is {record.state}")
        conversation = record.task.conversation
        if conversation is None:
            return None
        found = await self._find(conversation)
        if found is None or found[0].place(record.task.id) is None:  # erased, or ended already
            return found[0].running if found else None
        turn = turn_of(record)
        kept = await self._turns.keep(conversation, turn) if turn else None
        return await self._end(conversation, record.task.id, kept)

    async def abandon(self, conversation: str, task: str) -> Place | None:
        """Take the place of a task away that never got a run record, and give the one now next."""
        return await self._end(conversation, task, None)

    async def erase(self, conversation: str, user: str) -> None:
        """Forget a conversation whole; what still runs in it leaves nothing behind.

        Raises:
            NoConversation: it is another user's.
        """
        if found := await self._find(conversation):
            _belonging(found[0], user)
        rest = keys.conversation_rest(conversation)
        for pattern in (*rest, _head_key(conversation), *rest):  # more may come until the head goes
            await self._store.purge(pattern)

    async def forget(self, conversation: str, task: str) -> None:
        """Erase what was said in the turn of `task`; the other turns keep their places."""
        try:
            head, _ = await self._read(conversation)
            blobs = [turn async for turn in self._turns.backwards(head) if turn.blob]
            await self._change(conversation, lambda head: (head.forgets(task), None))
            head, _ = await self._read(conversation)
        except NoConversation:
            return
        await self._turns.forget(head, task, blobs)

    async def released(self, conversation: str, task: str) -> None:
        """The task whose turn it is has been published.

        Raises:
            NoConversation: it was never opened.
        """
        await self._change(conversation, lambda head: (head.releases(task), None))

    async def keep(self, conversation: str, task: str, *, deadline: float) -> None:
        """The task whose turn it is may take until `deadline` (seconds since the epoch), or longer.

        Raises:
            NoConversation: it was never opened.
        """
        await self._change(conversation, lambda head: (head.keeps(task, deadline), None))

    async def turn(self, conversation: str) -> Place | None:
        """Whose turn it is, None if nobody runs or there is no such conversation."""
        found = await self._find(conversation)
        return found[0].running if found else None

    async def history(
        self, conversation: str, *, history_bytes: int = HISTORY_BYTES
    ) -> tuple[Message, ...]:
        """The newest messages that fit `history_bytes` as JSON, oldest first.

        Raises:
            NoConversation: it was never opened.
        """
        head, _ = await self._read(conversation)
        return await self._turns.newest(head, history_bytes)

    async def unsynced(self, conversation: str, user: str) -> Unsynced:
        """What the server's own items have to be told.

        Raises:
            NoConversation: it was never opened, or it is another user's.
        """
        head = await self.get(conversation, user)
        turns: list[Turn] = []
        position = head.length
        async for turn in self._turns.backwards(head):
            if position <= head.synced:
                break
            position -= 1
            if turn.task is not None:
                turns.insert(
                    0, Turn(task=turn.task, messages=await self._turns.messages(head, turn))
                )
        return Unsynced(tuple(turns), head.length)

    async def mark_synced(
        self, conversation: str, user: str, length: int, cursor: str | None = None
    ) -> None:
        """The server's own items know the first `length` turns; their newest item is `cursor`.

        Raises:
            NoConversation: it was never opened, or it is another user's.
        """
        await self._change(
            conversation, lambda head: (_belonging(head, user).knows(length, cursor), None)
        )

    async def _end(self, conversation: str, task: str, turn: Turn | None) -> Place | None:
        def change(head: Head) -> tuple[Head, Place | None]:
            ended = head.ends(task, turn)
            return ended, ended.running

        try:
            return await self._change(conversation, change, turn)
        except NoConversation:
            return None

    async def _change[Result](
        self, conversation: str, change: Change[Result], kept: Turn | None = None
    ) -> Result:
        """Compare-and-set until it holds; each conflict means that somebody else got on.

        `kept` is what `change` appends, which is beside the head already if it is large.
        """
        chunk: int | None = None
        while True:
            try:
                head, revision = await self._read(conversation)
            except NoConversation:
                await self._turns.withdraw(conversation, kept, chunk)
                raise
            changed, result = change(head)
            if changed == head:
                return result
            changed = await self._turns.spill(head, changed)
            chunk = head.chunks if changed.chunks > head.chunks else None
            try:
                await self._store.update(_head_key(conversation), changed.encode(), revision)
            except RevisionConflict:
                continue
            return result

    async def _find(self, conversation: str) -> tuple[Head, int] | None:
        entry = await self._store.get(_head_key(conversation))
        return (Head.decode(entry.value), entry.revision) if entry else None

    async def _read(self, conversation: str) -> tuple[Head, int]:
        found = await self._find(conversation)
        if not found:
            raise NoConversation(f"there is no conversation {conversation}")
        return found


def _belonging(head: Head, user: str) -> Head:
    if head.user != user:
        raise NoConversation(f"there is no conversation {head.conversation}")
    return head


def _head_key(conversation: str) -> str:
    try:
        return keys.conversation_head(conversation)
    except ValueError as error:
        raise NoConversation(str(error)) from error
