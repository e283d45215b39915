"""What models and tools of one run of BeeAI came to, given again in the next attempt.

An agent of BeeAI keeps to itself how far it is. But each of its models has a cache, which it looks
into before it asks anybody; so whatever the model, a user's own as well, the cache of its copy in
this run is one that remembers the attempts before. Tools have one too, but it knows nothing of
errors, and tools are not copied: what calls all of them remembers instead.

Source:
    BeeAI framework 0.1.85 (Python): "Backend", "Cache", "Tools"; `ChatModel.run`, `Tool.run`.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial, wraps
from importlib.metadata import version
from typing import Any, Final, Self, override

from beeai_framework.backend import AssistantMessage, ChatModel, ChatModelOutput
from beeai_framework.backend.types import ChatModelUsage
from beeai_framework.cache import BaseCache
from beeai_framework.context import Run as BeeAIRun
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
from runtime.adapters.progress import Json
from runtime.adapters.recorded import Outcome, Recorded, as_json, beginning, question
from runtime.contract.messages import TokenUsage

VERSION: Final = version("beeai-framework")
ENDING: Final = "final_answer"
"""The tool that a `RequirementAgent` has its model call to end."""

type Answer = list[ChatModelOutput]
type Do = Callable[[], Awaitable[ToolOutput]]


class Remembering(BaseCache[Answer]):  # type: ignore[misc]  # it is not where types are checked
    """The cache of one model in one run, in front of the cache that it had."""

    def __init__(self, model: ChatModel, recorded: Recorded) -> None:
        super().__init__()
        self._inner: BaseCache[Answer] = model.cache
        self._name = f"{model.provider_id}:{model.model_id}"
        self._recorded = recorded
        self._given: list[ChatModelOutput] = []

    @override
    async def get(self, key: str) -> Answer | None:
        found = await self._recorded.answer(self._question(key))
        if found is None:
            inner: Answer | None = await self._inner.get(key)
            return inner
        self._given.append(made := _read(found))
        return [made]

    @override
    async def set(self, key: str, value: Answer) -> None:
        if any(one is given for one in value for given in self._given):
            return  # a stream that came from here is written back
        await self._inner.set(key, value)
        whole = ChatModelOutput.from_chunks(value)
        self._recorded.spend(cost_of(whole.usage))
        if whole.output_structured is not None:
            return  # it may be of any class
        wanted = {call.tool_name for call in whole.get_tool_calls()}
        await self._recorded.take(self._question(key), _written(whole), is_last=wanted <= {ENDING})

    @override
    async def delete(self, key: str) -> bool:
        self._recorded.drop(self._question(key))
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

    def _question(self, key: str) -> str:
        return question(self._name, key)


def remember(thing: Any, recorded: Recorded) -> None:
    """Let a model in an agent's copy remember what it was asked."""
    if isinstance(thing, ChatModel):
        thing.cache = Remembering(thing, recorded)


def _written(answer: ChatModelOutput) -> Json:
    messages = [
        {"id": message.id, "content": message.to_plain()["content"]} for message in answer.output
    ]
    return {"messages": messages, "finish": answer.finish_reason}


def _read(said: Json) -> ChatModelOutput:
    """The answer, which costs nothing any more."""
    messages = [AssistantMessage(one["content"], id=one["id"]) for one in said["messages"]]
    return ChatModelOutput(output=messages, usage=ChatModelUsage(), finish_reason=said["finish"])


def cost_of(usage: ChatModelUsage) -> TokenUsage:
    """What an answer has cost."""
    return TokenUsage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)


_CURRENT: ContextVar[Recorded | None] = ContextVar("recorded", default=None)


@contextlib.contextmanager
def remembering(recorded: Recorded) -> Iterator[None]:
    """The tools that an agent which the body starts calls remember their results."""
    token = _CURRENT.set(recorded)
    try:
        with beginning():
            yield
    finally:
        _CURRENT.reset(token)


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
        recorded = _CURRENT.get()
        is_own = not isinstance(tool, PlatformTool | HandoffTool) and tool.name != ENDING
        if recorded is not None and is_own:
            given = going._run_context.run_params["input"]  # noqa: SLF001 - there is no other way
            asked = question("tool", tool.name, given)
            going.handler = partial(_once, recorded, asked, going, going.handler)
        return going

    Tool.run = run  # one place instead of each tool that a user makes


async def _once(recorded: Recorded, asked: str, going: BeeAIRun[ToolOutput], do: Do) -> ToolOutput:
    """What a call of a tool comes to, or has come to before.

    Raises:
        FrameworkError: it does not work out.
    """
    work = await recorded.begin(asked, _outcome)
    if work.outcome is not None:
        going._run_context.destroy()  # noqa: SLF001 - as its end would
        output: ToolOutput = work.outcome.give()
        return output
    try:
        with work.doing():
            output = await do()
    except ToolInputValidationError:
        raise  # nothing was done
    except ToolError as error:
        explained = error.explain()
        if not error.has_fatal_error():
            await work.end(lambda: {"error": explained})
        raise
    await work.end(lambda: _result(output))
    return output


class FailedBefore(ToolError):  # type: ignore[misc]  # as above
    """What a tool has failed with in an attempt before, as it was explained to the model then."""

    @override
    def explain(self) -> str:
        return str(self.message)


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


def _outcome(said: Json) -> Outcome:
    if "error" in said:
        return Outcome(error=FailedBefore(said["error"]))
    if "text" in said:
        return Outcome(StringToolOutput(said["text"]))
    return Outcome(JSONToolOutput(said["json"]))


remember_tools()
