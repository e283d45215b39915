"""The next task of a conversation: finished, released or given up, whatever its record asks for."""

import logging

from runtime.contract.keys import run_key
from runtime.contract.messages import Failed, FailureReason, Task
from runtime.contract.runs import RunState
from runtime.contract.subjects import Stream
from runtime.dispatch.decide import Abandon, Finish, LookAgain, Release, Repeat, next_in_line
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.state.conversation_head import Place
from runtime.state.conversations import HISTORY_BYTES, Conversations
from runtime.state.runs import Held
from runtime.transport.port import PayloadTooLarge

log = logging.getLogger(__name__)

KNOWN_SECONDS = 60.0  # a task's message id is surely known to the queue, which forgets it in 120 s
CROWDED_SECONDS = 30.0  # between looks whether a task can be told from others in the queue


class Turns:
    """Brings conversations on, however far somebody else had come before a crash."""

    def __init__(self, ports: Ports, ends: Ends) -> None:
        self._ports = ports
        self._ends = ends
        self._conversations = Conversations(ports.conversations)
        self._repeated: dict[str, str] = {}

    async def look(self, conversation: str, now: float) -> float | None:
        """Bring a conversation on as far as possible; when to look again, if that is known."""
        place = await self._conversations.turn(conversation)
        if place is None or self._repeated.get(conversation) != place.task:
            self._repeated.pop(conversation, None)
        while place is not None:
            held = await self._ends.get(place.agent, place.task)
            match next_in_line(place, held.record if held else None, now):
                case Finish() if held:
                    place = await self._conversations.finish(held.record)
                case Abandon():
                    log.warning("a place without a run record", extra={"task": place.task})
                    place = await self._conversations.abandon(conversation, place.task)
                case Release() if held:
                    await self._release(conversation, place, held)
                    return None
                case Repeat():
                    return await self._repeat(conversation, place, now)
                case LookAgain(at):
                    return at
                case _:
                    return None
        return None

    async def _release(self, conversation: str, place: Place, held: Held) -> None:
        """Say in its record that the task is queued, publish it, say so in the conversation.

        The record comes first, since a worker may have the task the moment it is published. After
        a crash before the last step it is published again: the queue knows its message id.
        """
        task = held.record.task.model_copy(update={"sequence": place.sequence, "history": ()})
        if held.record.state is RunState.WAITING:
            held = await self._queue(held, task)
        message = await with_history(self._conversations, task)
        try:
            subject = self._ports.subjects.tasks(task.agent)
            await self._ports.outbox.publish(subject, message.encode(), msg_id=task.id)
        except PayloadTooLarge as error:
            await self._ends.write(held, too_large(task.id, str(error)))
            return
        await self._conversations.released(conversation, task.id)
        self._repeated[conversation] = task.id
        log.info("released a task", extra={"task": task.id, "conversation": conversation})

    async def _repeat(self, conversation: str, place: Place, now: float) -> float | None:
        """Publish a task once more that may never have been; when to try again if that is unsafe.

        A worker takes a second copy for the first one come back and begins another attempt. So
        there must be none: the queue knows the message id yet, or holds nothing for this Agent.
        """
        if self._repeated.get(conversation) == place.task:
            return None
        tasks = self._ports.readers[Stream.TASKS]
        last = await tasks.last(self._ports.subjects.tasks(place.agent))
        # A task leaves the queue after its record says so: read in this order, none is missed.
        held = await self._ends.get(place.agent, place.task)
        if held is None or not isinstance(next_in_line(place, held.record, now), Repeat):
            return now
        if last is not None and now > held.record.task.created + KNOWN_SECONDS:
            return now + CROWDED_SECONDS
        await self._release(conversation, place, held)
        return None

    async def _queue(self, held: Held, task: Task) -> Held:
        queued = held.record.model_copy(update={"state": RunState.QUEUED, "task": task})
        key = run_key(task.agent, task.id)
        return Held(queued, await self._ports.runs.update(key, queued.encode(), held.revision))


async def with_history(conversations: Conversations, task: Task) -> Task:
    """The task as it is published: with what was said before it, as far as there is room.

    The record of a task that was admitted at once has its history already.
    """
    if task.conversation is None or task.history:
        return task
    room = HISTORY_BYTES - sum(len(message.encode()) for message in task.input)
    history = await conversations.history(task.conversation, history_bytes=max(0, room))
    return task.model_copy(update={"history": history})


def too_large(task: str, error: str) -> Failed:
    """The end of a task that the queue does not take together with its history."""
    return Failed(
        task=task,
        attempt=1,
        seq=1,
        reason=FailureReason.AGENT_ERROR,
        message=f"the task and its conversation's history are too large: {error}",
    )
