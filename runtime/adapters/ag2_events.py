"""What goes into a turn of AG2 and what comes out, as events on a stream of its own.

Source:
    AG2 1.2, "Streams and events". A stream hands each event to its subscribers in the order in
    which they came, and the model and the tools subscribe when the turn begins: who wants to hear
    of an event before what follows from it subscribes first.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field

from ag2 import MemoryStream, TextInput
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelMessageChunk,
    ModelRequest,
    ModelResponse,
    ToolCallEvent,
    ToolResultsEvent,
    Usage,
    UsageEvent,
)

from runtime.adapters.port import AgentFailure, ModelFailure, Run, Step, Text, Used
from runtime.adapters.scope import Scope
from runtime.contract.messages import Message, Role, TokenUsage

HEARD = ModelMessageChunk | ModelResponse | ToolResultsEvent | UsageEvent


class RunStream(MemoryStream):
    """The stream of one run: what was started in its background ends with it."""

    def close(self) -> None:
        """End what nobody can hear of any more."""
        for task in tuple(self._background_tasks):
            task.cancel()


def trajectory(run: Run) -> list[BaseEvent]:
    """All that was said, as events; the last one makes the model answer.

    What the system said is not among them, AG2 knows no such event: `prompts` has it.
    """
    events = [_event(message) for message in _said(run) if message.role is not Role.SYSTEM]
    if not events or not isinstance(events[-1], ModelRequest):
        events.append(ToolResultsEvent([]))  # the model's turn, though nobody has asked anything
    return events


def prompts(run: Run) -> list[str]:
    """What stands beside the agent's own prompt: the client's instructions, and the system's."""
    said = [message.text for message in _said(run) if message.role is Role.SYSTEM]
    return [text for text in (run.options.instructions, *said) if text]


def _said(run: Run) -> Sequence[Message]:
    return (*run.history, *run.input)


def _event(message: Message) -> BaseEvent:
    if message.role is Role.ASSISTANT:
        return ModelResponse(ModelMessage(message.text))
    return ModelRequest([TextInput(message.text)])


@dataclass(slots=True, kw_only=True)
class Listener:
    """What a run says, step by step.

    The agent waits with whatever follows from an event until its step has been dealt with: who
    ends the run over what a turn of the model cost keeps the tools of that turn from being called.

    Shape:
        streams      whether the model writes its answers piece by piece.
        most_turns   of the model, None for no limit.
        turns        of the model so far.
        known        the event that an attempt goes on from, which was told before.
    """

    scope: Scope
    streams: bool
    most_turns: int | None = None
    turns: int = 0
    known: BaseEvent | None = None
    _steps: asyncio.Queue[Step | None] = field(default_factory=asyncio.Queue)
    _said: str = ""

    async def hear(self, event: BaseEvent) -> None:
        """Take note of an event before anything follows from it.

        Raises:
            AgentFailure, CallBudgetSpent: this ends the run.
        """
        if event is self.known:
            return
        match event:
            case ModelMessageChunk(content=text):
                self._said += text
                await self._tell(Text(text))
            case UsageEvent():
                for cost in costs(event):
                    await self._tell(Used(cost))
            case ModelResponse():
                await self._answered(event)
            case ToolResultsEvent():
                self.scope.check()
                self._check_turns()

    async def steps(self) -> AsyncGenerator[Step]:
        """What was heard, until the end."""
        while (step := await self._steps.get()) is not None:
            yield step
            self._steps.task_done()

    def end(self) -> None:
        """There is no more to hear."""
        self._steps.put_nowait(None)

    async def _tell(self, step: Step) -> None:
        if isinstance(step, Text) and not self.scope.run.options.stream:
            return
        self._steps.put_nowait(step)
        await self._steps.join()

    async def _answered(self, response: ModelResponse) -> None:
        self.turns += 1
        model = f"the model {response.model}"
        if self.streams and response.provider is not None and response.finish_reason is None:
            raise ModelFailure(f"{model} broke off in the middle of its answer")
        for call in response.tool_calls.calls:
            if not _has_arguments(call):
                given = f"{call.arguments:.200}"
                raise ModelFailure(f"{model} called {call.name} with what is no object: {given}")
        # Not every model writes piece by piece, and a tool may have had the last word.
        rest = (response.content or "").removeprefix(self._said)
        self._said = ""
        if rest:
            await self._tell(Text(rest))

    def _check_turns(self) -> None:
        if self.most_turns is not None and self.turns >= self.most_turns:
            raise AgentFailure(
                f"no answer after {self.most_turns} turns of the model "
                "(spec.source.declarative.maxIterations); allow more, or ask for less"
            )


def costs(event: UsageEvent) -> Iterator[TokenUsage]:
    """What each call of a model cost: one, or all that an agent made which was asked as a tool."""
    for call in event.parts or (event,):
        yield usage_of(call.usage)


def usage_of(usage: Usage) -> TokenUsage:
    """AG2's count of tokens as ours."""
    return TokenUsage(
        input_tokens=int(usage.prompt_tokens or 0),
        output_tokens=int(usage.completion_tokens or 0),
    )


def _has_arguments(call: ToolCallEvent) -> bool:
    try:
        return isinstance(call.serialized_arguments, dict)
    except ValueError:
        return False
