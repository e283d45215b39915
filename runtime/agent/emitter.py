"""The events of one attempt: numbered from 1, in the order in which they happened."""

from typing import Any, Final

from pydantic_core import to_json

from runtime.contract.messages import (
    AgentCalled,
    End,
    EventBase,
    Started,
    Task,
    TextDelta,
    TokenUsage,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import StackSubjects
from runtime.tools.port import AgentAsked, Announced, Called, Returned
from runtime.transport.port import Outbox

TOLD_BYTES: Final = 768 * 1024
"""Three quarters of what the queue of a Stack takes at once."""
TOLD_CHARACTERS: Final = TOLD_BYTES // 6  # none takes more than six bytes in JSON


class Emitter:
    """Publishes what one attempt does.

    Nothing waits for the queue's word. Events are in order on one connection, and the end repeats
    all of the answer, so a reader can tell a gap and fill it; should the end itself get lost, the
    run record has it.
    """

    def __init__(self, outbox: Outbox, task: Task, attempt: int) -> None:
        self._outbox = outbox
        self._task = task
        self._attempt = attempt
        self._seq = 0
        self._subject = StackSubjects(task.stack).events(task.agent, task.origin, task.id)

    @property
    def next_seq(self) -> int:
        """The place of the event that comes next."""
        return self._seq + 1

    async def started(self, worker: str) -> None:
        """A worker has begun, for those who read along; the run record says it to the others."""
        if self._task.options.stream:
            await self._emit(Started(**self._place(), worker=worker))

    async def text(self, text: str) -> None:
        """A piece of the answer, for those who read along."""
        if self._task.options.stream:
            await self._emit(TextDelta(**self._place(), text=text))

    async def call(self, what: Announced) -> None:
        """A call was made, or answered: of a long answer its beginning is told."""
        match what:
            case Called(call, tool, arguments):
                await self._emit(
                    ToolCalled(**self._place(), call=call, tool=tool, arguments=arguments)
                )
            case AgentAsked(call, agent, said):
                await self._emit(AgentCalled(**self._place(), call=call, agent=agent, input=said))
            case Returned(call, tool, output, outcome):
                await self._emit(
                    ToolReturned(
                        **self._place(),
                        call=call,
                        tool=tool,
                        output=_told(output),
                        outcome=outcome,
                    )
                )

    async def usage(self, usage: TokenUsage) -> None:
        """What a model call cost, for those who read along."""
        if self._task.options.stream:
            await self._emit(UsageReported(**self._place(), usage=usage))

    async def needs(self, parked: RunRecord) -> None:
        """The run is parked, and for what; nothing else follows in this attempt."""
        if parked.open_handover is not None:
            events: list[Any] = parked.hands_over(len(parked.handovers) - 1)
        else:
            events = parked.needs(self.next_seq)
        for event in events:
            await self._emit(event)

    async def end(self, end: End) -> None:
        """The end, which the run record has already; told again after a crash, it is kept once."""
        await self._outbox.signal(self._subject, end.encode(), msg_id=f"{self._task.id}-end")

    def _place(self) -> dict[str, Any]:
        self._seq += 1
        return {"task": self._task.id, "attempt": self._attempt, "seq": self._seq}

    async def _emit(self, event: EventBase) -> None:
        await self._outbox.signal(self._subject, event.encode())


def _told(output: str) -> str:
    """What a client gets to read of an output: all of it, or as much as fits and how much it was.

    The agent has it in full, and a message that the queue refuses would tell nothing at all.
    """
    if len(output) <= TOLD_CHARACTERS or len(to_json(output)) <= TOLD_BYTES:
        return output
    rest = f"(the agent was given all {len(output)} characters)"
    return f"{output[:TOLD_CHARACTERS]}… {rest}"
