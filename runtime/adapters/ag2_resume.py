"""A run of AG2 kept as its events, and how the next attempt goes on behind them.

What AG2 hands from turn to turn is what was said, as events; nothing else is kept, and no config,
dependency or variable is. A turn whose tools were cut off is gone on with from what the model
wanted, without asking it again.

Source:
    AG2 1.2, "Streams and events", `Agent.resume`; its own form of events as JSON is private, so it
    is tied to the version of AG2.
"""

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ag2 import Agent, Context, MemoryStream
from ag2.config import ModelConfig
from ag2.events import BaseEvent, ModelResponse, ToolResultsEvent, UsageEvent
from ag2.events._serialization import deserialize_value, serialize_value
from ag2.events.base import is_conversational
from ag2.version import __version__

from runtime.adapters.ag2_events import costs
from runtime.adapters.progress import Checkpointer, Json
from runtime.state.checkpoints import BadCheckpoint

KEPT = ModelResponse | ToolResultsEvent | UsageEvent


@dataclass(frozen=True, slots=True)
class Past:
    """What an attempt before has come to.

    Shape:
        events   of the whole conversation; what the last one leads to is still to come.
        prompts  all that stood above it, as it was written then.
    """

    events: Sequence[BaseEvent]
    prompts: Sequence[str]

    @classmethod
    def read(cls, said: Json) -> Self:
        """What `write` has written.

        Raises:
            BadCheckpoint: it is no conversation that can be gone on with.
        """
        events = deserialize_value(said["events"])
        if not all(isinstance(event, BaseEvent) for event in events) or not leads_on(events[-1]):
            raise BadCheckpoint("it is damaged: its events lead nowhere")
        return cls(events, [str(text) for text in said["prompts"]])

    def write(self) -> Json:
        """The past as JSON."""
        return {"events": serialize_value(list(self.events)), "prompts": list(self.prompts)}

    @property
    def turns(self) -> int:
        """How often the model has answered."""
        return sum(isinstance(event, ModelResponse) for event in self.events)


def leads_on(event: BaseEvent) -> bool:
    """Whether the agent does not end with this event."""
    if isinstance(event, ModelResponse):
        return bool(event.tool_calls) and not event.response_force
    return isinstance(event, ToolResultsEvent)


def facts_of(agent: Agent[Any], model: ModelConfig) -> Json:
    """What of a user's own agent decides how a conversation goes on."""
    tools = sorted(tool.name for tool in agent.tools)
    return [__version__, agent.name, agent.system_prompt, tools, _name_of(model)]


def _name_of(model: ModelConfig) -> str:
    with contextlib.suppress(NotImplementedError):  # by those of AG2's for tests
        return str(model.model)
    return type(model).__name__


@dataclass(slots=True)
class Historian:
    """Keeps the events of a run whenever something is behind it and something still to come.

    Variables that a tool has written into are not among the events. A run that has some is no
    longer kept, so that a crash begins it anew from what was kept before they were written.
    """

    checkpointer: Checkpointer
    stream: MemoryStream
    variables: dict[Any, Any]
    known: BaseEvent | None = None
    _as_given: dict[Any, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._as_given = copy.deepcopy(self.variables)

    async def hear(self, event: BaseEvent, context: Context) -> None:
        """Keep what there is, before anything follows from it."""
        if isinstance(event, UsageEvent):
            for cost in costs(event):
                self.checkpointer.spent += cost
        elif event is not self.known and leads_on(event) and self._is_as_given(context.variables):
            events = await self.stream.history.get_events()
            past = Past(list(filter(is_conversational, events)), tuple(context.prompt))
            await self.checkpointer.save(past.write)

    def _is_as_given(self, variables: dict[Any, Any]) -> bool:
        try:
            return bool(variables == self._as_given)
        except Exception:  # noqa: BLE001  # of a user's own values, arrays for instance
            return False
