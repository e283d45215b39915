"""What a client who reads along is told of a run, from its events. Pure.

The answer is one artifact. Its text grows as the agent speaks and begins anew when the agent speaks
after a call of a tool, or in another attempt: A2A says so by an update that does not append. In the
end it is what the run record has, so a client who read along, one who came later and one who asks
for the task know the same.

Source:
    A2A protocol specification 1.0, "TaskStatusUpdateEvent", "TaskArtifactUpdateEvent".
"""

from collections.abc import Iterable, Iterator

from a2a.helpers import new_data_part
from a2a.types import TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent

from runtime.amf.a2a.tasks import artifact, from_agent, status, status_of
from runtime.contract.messages import (
    AgentCalled,
    Event,
    Outcome,
    Started,
    Task,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from runtime.contract.runs import RunRecord

type Update = TaskStatusUpdateEvent | TaskArtifactUpdateEvent


class Updates:
    """The updates of one task to one client."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._text = ""
        self._is_new = True  # the next text replaces what was said
        self._attempt = 0
        self._calls: dict[str, int] = {}
        self._returned: set[str] = set()

    def of(self, events: Iterable[Event], *, now: float) -> list[Update]:
        """What has happened, in order; pieces of text that follow each other are joined.

        Units:
            `now` in seconds since the epoch.
        """
        updates: list[Update] = []
        text = ""
        for event in events:
            if isinstance(event, TextDelta) and event.attempt == self._attempt:
                text += event.text
                continue
            updates += self._say(text)
            text = ""
            updates += self._step(event, now)
        return [*updates, *self._say(text)]

    def last(self, record: RunRecord) -> list[Update]:
        """How the run ended, or what it waits for, as its record has it."""
        updates: list[Update] = []
        if record.text and record.text != self._text:
            self._is_new, self._text = True, ""
            updates += self._say(record.text)
        return [*updates, self._update(status_of(record))]

    def _step(self, event: Event, now: float) -> Iterator[Update]:
        if isinstance(event, Started) or event.attempt > self._attempt:
            self._attempt, self._is_new = event.attempt, True
        match event:
            case Started():
                yield self._working(now)
            case TextDelta(text=text):
                yield from self._say(text)
            case ToolCalled(call=call, tool=name, arguments=arguments):
                yield from self._called(call, now, {"name": name, "arguments": arguments})
            case AgentCalled(call=call, agent=name, input=said):
                yield from self._called(call, now, {"name": name, "input": said})
            case ToolReturned():
                yield from self._came_back(event, now)
            case _:  # the end and what is waited for are told by the record
                pass

    def _say(self, text: str) -> Iterator[Update]:
        if not text:
            return
        append = not self._is_new
        self._text = self._text + text if append else text
        self._is_new = False
        yield TaskArtifactUpdateEvent(
            task_id=self._task.id,
            context_id=self._task.conversation or "",
            artifact=artifact(text),
            append=append,
        )

    def _called(self, call: str, now: float, told: dict[str, str]) -> Iterator[Update]:
        self._is_new = True
        if call not in self._calls:
            number = self._calls[call] = len(self._calls) + 1
            yield self._working(now, {"call": str(number)} | told, f"call-{number}")

    def _came_back(self, event: ToolReturned, now: float) -> Iterator[Update]:
        if event.call in self._returned:
            return
        self._returned.add(event.call)
        number = self._calls.setdefault(event.call, len(self._calls) + 1)
        said = "output" if event.outcome is Outcome.SUCCEEDED else "error"
        told = {"call": str(number), "name": event.tool, said: event.output}
        yield self._working(now, told, f"result-{number}")

    def _working(self, now: float, told: dict[str, str] | None = None, name: str = "") -> Update:
        """It is at work; `told` is what has happened, as a message that has this name."""
        message = from_agent(self._task, name, new_data_part(told)) if told else None
        return self._update(status(TaskState.TASK_STATE_WORKING, now, message))

    def _update(self, new: TaskStatus) -> Update:
        return TaskStatusUpdateEvent(
            task_id=self._task.id, context_id=self._task.conversation or "", status=new
        )
