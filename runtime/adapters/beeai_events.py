"""What a running agent tells, as steps of the run."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable
from typing import Any

from beeai_framework.agents import BaseAgent
from beeai_framework.agents.react import ReActAgent
from beeai_framework.agents.react.events import ReActAgentUpdateEvent
from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.agents.requirement.events import RequirementAgentFinalAnswerEvent
from beeai_framework.backend import (
    ChatModelNewTokenEvent,
    ChatModelStartEvent,
    ChatModelSuccessEvent,
)
from beeai_framework.context import Run as BeeAIRun
from beeai_framework.emitter import Emitter, EmitterOptions, EventMeta

from runtime.adapters.beeai_resume import cost_of
from runtime.adapters.port import Step, Text, Used
from runtime.adapters.scope import Scope

NESTED = EmitterOptions(match_nested=True)


class Told:
    """The steps of one run, one at a time: the agent goes on when the last one was taken.

    Shape:
        said   the text told so far.
    """

    def __init__(self, agent: BaseAgent[Any], scope: Scope) -> None:
        self.said = ""
        self._scope = scope
        self._steps: asyncio.Queue[Step | None] = asyncio.Queue()
        # These know what of their model's text is the answer.
        self._any_text = not isinstance(agent, RequirementAgent | ReActAgent)

    async def listen_to(self, run: BeeAIRun[Any]) -> Any:
        """Run the agent, and tell of it what is a step."""
        with contextlib.ExitStack() as stack:

            async def listen(emitter: Emitter) -> None:
                # An agent hears what it begins itself; what that begins is heard at the root,
                # where all runs of the process are.
                trace = emitter.trace
                heard = functools.partial(self._heard, run_id=trace.run_id)
                stack.callback(Emitter.root().on(_of(trace.id), heard, NESTED))

            try:
                return await run.observe(listen)
            finally:
                self._steps.put_nowait(None)

    async def steps(self) -> AsyncGenerator[Step]:
        """The steps, until the agent has ended."""
        while (step := await self._steps.get()) is not None:
            yield step
            self._steps.task_done()

    async def _heard(self, data: Any, meta: EventMeta, *, run_id: str) -> None:
        stream = self._scope.run.options.stream
        match data:
            case ChatModelStartEvent():
                self._scope.check()
                if stream and data.input.stream is None and meta.trace.parent_run_id == run_id:
                    data.input.stream = True
            case ChatModelSuccessEvent():
                await self._tell(Used(cost_of(data.value.usage)))
            case _ if stream and (text := self._text(data, meta, run_id)):
                self.said += text
                await self._tell(Text(text))

    def _text(self, data: Any, meta: EventMeta, run_id: str) -> str:
        """The text of an event that is for the client; a sub-agent's answer is not."""
        if isinstance(data, ChatModelNewTokenEvent):
            is_direct = self._any_text and meta.trace.parent_run_id == run_id
            return str(data.value.get_text_content()) if is_direct else ""
        if meta.trace.run_id != run_id:
            return ""
        if isinstance(data, RequirementAgentFinalAnswerEvent):
            return str(data.delta)
        if isinstance(data, ReActAgentUpdateEvent) and meta.name == "partial_update":
            return str(data.update.value) if data.update.key == "final_answer" else ""
        return ""

    async def _tell(self, step: Step) -> None:
        self._steps.put_nowait(step)
        await self._steps.join()


def _of(group: str) -> Callable[[EventMeta], bool]:
    """Whether an event belongs to a run, or to one that was begun in it."""
    return lambda meta: meta.trace is not None and meta.trace.id == group
