"""What a run says while it goes on, in the order it says it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar
from typing import Any

from crewai.events import LLMCallCompletedEvent, LLMStreamChunkEvent, crewai_event_bus
from crewai.events.base_events import BaseEvent
from crewai.events.stream_context import add_stream_sink
from crewai.types.usage_metrics import UsageMetrics
from crewai_core.printer import set_suppress_console_output

from runtime.adapters.port import AgentFailure, Step, Text, Used
from runtime.adapters.recorded import Recorded
from runtime.contract.messages import TokenUsage

type Wanted = Callable[[LLMStreamChunkEvent], bool]


class Told:
    """The pieces of text and the costs of one run, for whoever consumes it.

    CrewAI's event bus is one for all runs. Each event also goes to the sinks of the context that
    it happens in, and a context belongs to one run; so a run has a sink of its own.

    Shape:
        wanted    whether a piece of text is one of the answer.
        turns     how often the run may ask a model, or None.
        recorded  counts what models have cost.
    """

    def __init__(self, wanted: Wanted, turns: int | None, recorded: Recorded) -> None:
        self._recorded = recorded
        self._wanted = wanted
        self._turns = turns
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()

    def listen(self) -> None:
        """Hear all that happens in this context from here on.

        CrewAI also paints it on the terminal, of all runs at once; here that is a log. And it keeps
        it all, in a record that began where the user's objects were made, were it not a new one.
        """
        _CURRENT.set(self)
        crewai_event_bus.reset_runtime_state()
        add_stream_sink(self._hear)
        set_suppress_console_output(suppress=True)

    def _hear(self, _source: Any, event: BaseEvent) -> None:
        if isinstance(event, LLMStreamChunkEvent):
            if event.chunk and event.tool_call is None and self._wanted(event):
                self._tell(Text(event.chunk))
        elif isinstance(event, LLMCallCompletedEvent) and event.usage:
            usage = UsageMetrics.from_provider_dict(event.usage)
            cost = TokenUsage(
                input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens
            )
            self._recorded.spend(cost)
            self._tell(Used(cost))

    def _tell(self, step: Step) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            self._steps.put_nowait(step)
        else:
            self._loop.call_soon_threadsafe(self._steps.put_nowait, step)

    def end(self) -> None:
        """Nothing comes any more, after what threads have said."""
        self._loop.call_soon_threadsafe(self._steps.put_nowait, None)

    async def steps(self) -> AsyncGenerator[Step]:
        """What is said, until the end."""
        while (step := await self._steps.get()) is not None:
            yield step
            self._steps.task_done()

    async def taken(self) -> None:
        """Wait until all that was said is consumed: whoever counts the costs may end the run."""
        await self._steps.join()

    def turn(self) -> None:
        """Count that a model is asked.

        Raises:
            AgentFailure: it was asked often enough.
        """
        self._asked += 1
        if self._turns is not None and self._asked > self._turns:
            raise AgentFailure(
                f"no answer after {self._turns} turns of the model "
                "(spec.source.declarative.maxIterations); allow more, or ask for less"
            )


_CURRENT: ContextVar[Told | None] = ContextVar("told", default=None)


def current_told() -> Told | None:
    """What hears the run that this code belongs to, if it belongs to any."""
    return _CURRENT.get()
