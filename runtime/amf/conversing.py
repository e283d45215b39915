"""What was said before a request, and what the server itself keeps of a conversation.

The history of a conversation is in `state.conversations`. The server has items of its own, which
clients may read and add to: they are taken in when a request names the conversation, and brought up
to date then and at the end of a run.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.amf.asked import ROLES, TEXTS, Asked
from runtime.amf.desk import QUEUE_SECONDS, Desk
from runtime.amf.errors import BadRequest, Conflict, NotFound, out_of_reach
from runtime.amf.items import Wire, item_id, message_item
from runtime.amf.response_id import ResponseId, call_id
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Message, Role
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.state.conversation_head import Admitted, Busy, Head, Waits
from runtime.state.conversations import HISTORY_BYTES, NoConversation
from runtime.transport.port import TransportError

log = logging.getLogger(__name__)

OURS = re.compile(r"msg_[0-9a-f]{32}_i\d+")
BATCH = 20  # items that the server takes at a time


class ServerItems(Protocol):
    """The items that the server keeps of a conversation; see `server_items`."""

    async def read(self, conversation: str) -> list[Any]:
        """All of them, oldest first.

        Raises:
            NoConversation: there is none of that id, or it is somebody else's.
        """
        ...

    async def add(self, conversation: str, items: list[Wire]) -> None:
        """Add a few behind all others; one whose id is there stays as it is."""
        ...

    async def remove(self, conversation: str, items: Iterable[str]) -> None:
        """Take items away by their ids; one that is not there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What was said before a task, and its place in its conversation.

    Shape:
        previous  the response that this one names as its previous one, without `resp_`.
        waits     its turn has not come; the dispatcher publishes it then.
    """

    history: tuple[Message, ...] = ()
    previous: str | None = None
    sequence: int | None = None
    waits: bool = False


class Conversing:
    """Looks up, for one desk, what requests go on with."""

    def __init__(self, desk: Desk, items: ServerItems) -> None:
        self._desk = desk
        self._items = items

    async def before(
        self, asked: Asked, agent: AgentEntry, *, user: str, task: str, now: float
    ) -> Before:
        """What was said before `asked`, which becomes `task`.

        Raises:
            NotFound: there is no such response or conversation, or it is somebody else's.
            BadRequest: it waits for outputs of functions, and this gives none.
            Conflict: the response has not ended, or the conversation is busy.
            OutOfReach: the queue does not answer.
        """
        if asked.previous is None and asked.conversation is None:
            return Before()
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                if asked.previous is not None:
                    return await self._after(asked.previous, user, HISTORY_BYTES - asked.size)
                return await self._enter(asked, agent, user, task, now)
        except (TransportError, TimeoutError) as error:
            raise out_of_reach("the queue does not answer") from error
        except NoConversation as error:
            raise NotFound(
                f"There is no conversation {asked.conversation}.", param="conversation"
            ) from error

    async def leave(self, task: RunRecord) -> None:
        """Let the conversation know a run that has ended; what fails here is made up for later."""
        if (name := task.task.conversation) is not None:
            with _behind_at_worst(name):
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._end(task.task.agent, task.task.id)
                    await self._tell(name, task.task.user)

    async def catch_up(self, name: str, user: str) -> None:
        """Let the server's items know the runs that have ended by now; the same of what fails."""
        with _behind_at_worst(name), contextlib.suppress(NoConversation):
            async with asyncio.timeout(QUEUE_SECONDS):
                if (running := await self._desk.conversations.turn(name)) is not None:
                    await self._end(running.agent, running.task)
                await self._tell(name, user)

    async def forget(self, record: RunRecord) -> None:
        """Erase what a run that has ended has left in its conversation, if it was in one.

        Raises:
            TransportError: the queue does not answer.
        """
        name = record.task.conversation
        if name is None:
            return
        await self._desk.conversations.finish(record)  # or its turn would come afterwards
        await self._desk.conversations.forget(name, record.task.id)
        said = len(record.task.input) + 1
        await self._items.remove(name, (item_id(record.task.id, number) for number in range(said)))

    async def _end(self, agent: ObjectName, task: str) -> None:
        """Let the history have what a run leaves, if it has ended."""
        record = await self._desk.record(agent, task)
        if record is not None and record.state.is_end:
            await self._desk.conversations.finish(record)

    async def _after(self, response: str, user: str, room: int) -> Before:
        name = ResponseId.read(response)
        record = await self._desk.find(name.task) if name else None
        if name is None or record is None or not _is_there(record, name.part, user):
            raise NotFound(
                f"There is no response {response} that an agent could go on with.",
                param="previous_response_id",
            )
        _check_given(record, name.part)
        if record.state is not RunState.COMPLETED:
            raise Conflict(
                f"The response {response} {_why_not(record)}.",
                param="previous_response_id",
            )
        answer = Message(role=Role.ASSISTANT, text=record.text or "")
        said = (*record.task.history, *record.task.input, answer)
        return Before(history=newest(said, room), previous=name.bare)

    async def _enter(
        self, asked: Asked, agent: AgentEntry, user: str, task: str, now: float
    ) -> Before:
        name = asked.conversation or ""
        head = await self._take_in(name, user)
        if head.running is not None:
            before = await self._desk.record(head.running.agent, head.running.task)
            if before is not None and before.open_handover is not None:
                _check_given(before, before.part)
        await self._tell(name, user)
        admission = await self._desk.conversations.admit(
            name,
            user,
            task,
            agent=agent.agent,
            when_busy=agent.when_busy,
            now=now,
            deadline=now + agent.timeout_seconds,
            history_bytes=max(0, HISTORY_BYTES - asked.size),
        )
        match admission:
            case Admitted(sequence, history):
                return Before(history=history, sequence=sequence)
            case Waits(sequence, interrupts):
                for running in interrupts:
                    self._desk.beside(self._interrupt(running))
                return Before(sequence=sequence, waits=True)
            case Busy(running):
                raise Conflict(
                    f"The conversation {name} is busy with the response resp_{running}; "
                    "ask again when it has ended.",
                    param="conversation",
                )

    async def _take_in(self, name: str, user: str) -> Head:
        """Import what the client itself put into the server's items since the last time."""
        theirs = [item for item in await self._items.read(name) if not OURS.fullmatch(item.id)]
        marks = [_mark(item.id) for item in theirs]
        head = await self._desk.conversations.open(
            name, user, items=_said(theirs), cursor=",".join(marks) or None
        )
        known = set((head.imported or "").split(","))
        new = [item for item, mark in zip(theirs, marks, strict=True) if mark not in known]
        if not new:
            return head
        cursor = ",".join(filter(None, [head.imported, *map(_mark, (item.id for item in new))]))
        return await self._desk.conversations.import_items(
            name, user, _said(new), after=head.imported, cursor=cursor
        )

    async def _tell(self, name: str, user: str) -> None:
        """Let the server's items know the runs that they do not know yet."""
        unsynced = await self._desk.conversations.unsynced(name, user)
        if not unsynced.turns:
            return
        items = [
            message_item(turn.task or "", number, message)
            for turn in unsynced.turns
            for number, message in enumerate(turn.messages)
        ]
        for start in range(0, len(items), BATCH):
            await self._items.add(name, items[start : start + BATCH])
        await self._desk.conversations.mark_synced(name, user, unsynced.length)

    async def _interrupt(self, task: str) -> None:
        record = await self._desk.find(task)
        if record is not None:
            await self._desk.cancel(record.task.agent, task)


@contextlib.contextmanager
def _behind_at_worst(conversation: str) -> Iterator[None]:
    """Whatever the queue fails at in the body is done later."""
    try:
        yield
    except (TransportError, TimeoutError, NoConversation) as error:
        extra = {"conversation": conversation, "error": str(error)}
        log.warning("conversation behind", extra=extra)


def newest(said: Iterable[Message], room: int) -> tuple[Message, ...]:
    """The newest messages that take at most `room` bytes as JSON, oldest first."""
    kept: list[Message] = []
    for message in reversed(tuple(said)):
        room -= len(message.encode())
        if room < 0:
            break
        kept.append(message)
    return tuple(reversed(kept))


def _is_there(record: RunRecord, part: int, user: str) -> bool:
    return record.task.user == user and part <= record.part and record.response_of(part).store


def _check_given(record: RunRecord, part: int) -> None:
    """Refuse to say something new where outputs of functions are waited for."""
    if part < len(record.handovers):
        call = call_id(record.task.id, record.handovers[part].first)
        raise BadRequest(
            f"No tool output found for function call {call}; give it, or cancel the response "
            f"{ResponseId(record.task.id, part)} and go on with one before.",
            param="input",
        )


def _why_not(record: RunRecord) -> str:
    """Why nothing can follow the response of a run."""
    if record.is_asking:
        return "waits for an approval; answer its mcp_approval_request first"
    what = f"is {record.state}" if record.state.is_end else "has not ended"
    return f"{what}; go on with one that is completed"


def _mark(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()[:8]


def _said(items: Iterable[Any]) -> tuple[Message, ...]:
    """What of a client's items an agent can read: the messages' text."""
    return tuple(
        Message(role=ROLES[item.role], text=text)
        for item in items
        if item.type == "message" and (text := _text(item.content))
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content if part.type in TEXTS)
