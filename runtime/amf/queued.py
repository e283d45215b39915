"""Messages of the queue that hold what a user has said: waiting ones, dead ones and last words.

None of their subjects says whose they are, so each is read. A task names its user; a call names a
run, whose record does for as long as it is kept.
"""

import contextlib

import orjson

from runtime.contract.dead_letter import LastWords
from runtime.contract.messages import Call, Task
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.state.runs import Runs
from runtime.transport.port import Reader

EVERYTHING = ">"


def work_of(stream: Stream, data: bytes) -> Task | Call | None:
    """The task or call that a message of `stream` is, or tells of; None if it is neither.

    Shape:
        The messages of TASKS, CALLS and DEAD are tasks and calls themselves; one of ADVISORIES has
        the reason of a termination, in which a worker repeats the message (`LastWords`).
    """
    if stream is Stream.ADVISORIES:
        data = _last_words(data)
    for kind in (Task, Call):
        with contextlib.suppress(ValueError):
            return kind.decode(data)
    return None


def _last_words(advisory: bytes) -> bytes:
    try:
        reason = orjson.loads(advisory).get("reason") or ""
    except (ValueError, AttributeError):
        return b""
    return LastWords.heard(reason).data or b""


class Queued:
    """The messages of one stream."""

    def __init__(self, stream: Stream, reader: Reader, runs: Runs) -> None:
        self._stream = stream
        self._reader = reader
        self._runs = runs

    async def forget(self, user: str) -> int:
        """Take out of the stream what is about runs of `user`, and say how many messages it was.

        Raises:
            TransportError: the queue does not answer; doing it again goes on from there.
        """
        removed = 0
        async for message in self._reader.scan(EVERYTHING):
            if await self._user_of(work_of(self._stream, message.data)) == user:
                await self._reader.remove(message.sequence)
                removed += 1
        return removed

    async def _user_of(self, work: Task | Call | None) -> str | None:
        match work:
            case Task(user=user):
                return user
            case Call(caller=caller, task=task):
                return await self._user_of_run(caller, task)
            case None:
                return None

    async def _user_of_run(self, agent: ObjectName, task: str) -> str | None:
        held = await self._runs.get(agent, task)
        return None if held is None else held.record.task.user
