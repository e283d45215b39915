"""What models and tools of one run of BeeAI came to, given again in the next attempt.

An agent of BeeAI keeps to itself how far it is. But each of its models has a cache, which it looks
into before it asks anybody; so whatever the model, a user's own as well, the cache of its copy in
this run is one that remembers the attempts before. Tools have one too, but it knows nothing of
errors, and tools are not copied: what calls all of them remembers instead.

Source:
    BeeAI framework 0.1.85 (Python): "Backend", "Cache", "Tools"; `ChatModel.run`, `Tool.run`.
"""

from collections.abc import Callable
from datetime import UTC
from functools import partial, wraps
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Final, Self, override

from beeai_framework.agents import BaseAgent
from beeai_framework.agents.react.runners.default import runner as react
from beeai_framework.agents.react.runners.granite import prompts as granite
from beeai_framework.agents.requirement import prompts as requirement
from beeai_framework.agents.tool_calling import prompts as tool_calling
from beeai_framework.backend import AssistantMessage, ChatModel, ChatModelOutput
from beeai_framework.backend.types import ChatModelUsage
from beeai_framework.cache import BaseCache
from beeai_framework.context import Run as BeeAIRun
from beeai_framework.context import RunContext, storage
from beeai_framework.tools import (
    JSONToolOutput,
    StringToolOutput,
    Tool,
    ToolError,
    ToolInputValidationError,
    ToolOutput,
)
from beeai_framework.tools.handoff import HandoffTool

from runtime.adapters.beeai_tools import PlatformTool
from runtime.adapters.clock import RunClock
from runtime.adapters.once import once_awaited
from runtime.adapters.progress import Json
from runtime.adapters.recorded import Codec, Piece, Recorded, Work, as_json
from runtime.contract.messages import TokenUsage

VERSION: Final = version("beeai-framework")
ENDING: Final = "final_answer"
"""The tool that a `RequirementAgent` has its model call to end."""

type Answer = list[ChatModelOutput]


class Remembering(BaseCache[Answer]):  # type: ignore[misc]  # it is not where types are checked
    """The cache of one model in one run, in front of the cache that it had."""

    def __init__(self, model: ChatModel, recorded: Recorded) -> None:
        super().__init__()
        self._inner: BaseCache[Answer] = model.cache
        self._name = f"{model.provider_id}:{model.model_id}"
        self._recorded = recorded
        self._asked: dict[str, Work] = {}

    @override
    async def get(self, key: str) -> Answer | None:
        asking = RunContext.get().run_id
        if (before := self._asked.pop(asking, None)) is not None:
            before.drop()  # it has failed, and is tried again
        piece = Piece(
            asked=lambda: (self._name, key), result=ANSWER, is_question=True, is_last=_is_last
        )
        work = self._asked[asking] = await self._recorded.begin(piece)
        if work.outcome is not None:
            return [work.outcome.give()]
        inner: Answer | None = await self._inner.get(key)
        return inner

    @override
    async def set(self, key: str, value: Answer) -> None:
        work = self._asked.get(RunContext.get().run_id)
        if work is not None and work.outcome is not None:
            return  # a stream that came from here is written back
        await self._inner.set(key, value)
        whole = ChatModelOutput.from_chunks(value)
        self._recorded.spend(cost_of(whole.usage))
        if work is not None:
            await work.end(whole)

    @override
    async def delete(self, key: str) -> bool:
        if (work := self._asked.pop(RunContext.get().run_id, None)) is not None:
            work.drop()
        return bool(await self._inner.delete(key))

    @override
    async def size(self) -> int:
        return int(await self._inner.size())

    @override
    async def has(self, key: str) -> bool:
        return bool(await self._inner.has(key))

    @override
    async def clear(self) -> None:
        await self._inner.clear()

    @override
    async def clone(self) -> Self:
        return self  # a team's experts are cloned for each task: that is within the run, too


def remember(thing: Any, recorded: Recorded) -> None:
    """Let a model in an agent's copy remember what it was asked."""
    if isinstance(thing, ChatModel):
        thing.cache = Remembering(thing, recorded)


def _is_last(answer: ChatModelOutput) -> bool:
    return {call.tool_name for call in answer.get_tool_calls()} <= {ENDING}


def _written(answer: ChatModelOutput) -> Json:
    if answer.output_structured is not None:
        return None  # it may be of any class
    messages = [
        {"id": message.id, "content": message.to_plain()["content"]} for message in answer.output
    ]
    return {"messages": messages, "finish": answer.finish_reason}


def _read(said: Json) -> ChatModelOutput:
    """The answer, which costs nothing any more."""
    messages = [AssistantMessage(one["content"], id=one["id"]) for one in said["messages"]]
    return ChatModelOutput(output=messages, usage=ChatModelUsage(), finish_reason=said["finish"])


ANSWER: Final = Codec(write=_written, read=_read)


def cost_of(usage: ChatModelUsage) -> TokenUsage:
    """What an answer has cost."""
    return TokenUsage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)


def remember_tools() -> None:
    """Let a tool that is called in a run remember what it came to in the attempts before.

    The platform's are left out, since their calls have records of their own; a handoff, since it is
    work of another agent, whose pieces are remembered; and what ends an agent, for it works by what
    it does to the agent.
    """
    call: Callable[..., BeeAIRun[ToolOutput]] = Tool.run

    @wraps(call)
    def run(tool: Tool[Any, Any, Any], *args: Any, **kwargs: Any) -> BeeAIRun[ToolOutput]:
        going = call(tool, *args, **kwargs)
        if not isinstance(tool, PlatformTool | HandoffTool) and tool.name != ENDING:
            going.handler = partial(once_awaited, _call(tool, going._run_context), going.handler)  # noqa: SLF001 - there is no other way
        return going

    Tool.run = run  # one place instead of each tool that a user makes


def _call(tool: Tool[Any, Any, Any], context: RunContext) -> Piece:
    """The piece that a call of a tool is; an agent tells its model of what it fails with."""
    caller = storage.get(None)
    is_told = caller is not None and isinstance(caller.instance, BaseAgent)
    return Piece(
        asked=lambda: ("tool", tool.name, context.run_params["input"]),
        result=OUTPUT,
        error=ERROR if is_told else None,
        again=lambda _: context.destroy(),  # as its end would
    )


class FailedBefore(ToolError):  # type: ignore[misc]  # as above
    """What a tool has failed with in an attempt before, as it was explained to the model then."""

    @override
    def explain(self) -> str:
        return str(self.message)


def _explained(error: Exception) -> Json | None:
    match error:
        case ToolInputValidationError():
            return None  # nothing was done
        case ToolError() if not error.has_fatal_error():
            return {"error": error.explain()}
        case _:
            return None


ERROR: Final = Codec(write=_explained, read=lambda said: FailedBefore(said["error"]))


def _result(output: ToolOutput) -> Json:
    """What a tool has given, as JSON.

    Raises:
        TypeError: it is of a class of which nobody knows what JSON would leave out.
    """
    if type(output) is StringToolOutput:
        return {"text": output.result}
    if type(output) is JSONToolOutput:
        return {"json": as_json(output.result)}
    raise TypeError(f"a tool's {type(output).__qualname__} cannot be kept")


def _output(said: Json) -> ToolOutput:
    return StringToolOutput(said["text"]) if "text" in said else JSONToolOutput(said["json"])


OUTPUT: Final = Codec(write=_result, read=_output)


def keep_time() -> None:
    """Let agents write down the time at which their run began, in whatever form they do."""
    requirement.datetime = tool_calling.datetime = granite.datetime = RunClock
    react.datetime = SimpleNamespace(datetime=RunClock, UTC=UTC)


remember_tools()
keep_time()
