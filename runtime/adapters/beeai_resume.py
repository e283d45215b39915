"""The answers of models in one run of BeeAI, given again in the next attempt.

An agent of BeeAI keeps to itself how far it is. But each of its models has a cache, which it looks
into before it asks anybody; so whatever the model, a user's own as well, the cache of its copy in
this run is one that remembers the attempts before.

Source:
    BeeAI framework 0.1.85 (Python): "Backend", "Cache"; `ChatModel.run`.
"""

from importlib.metadata import version
from typing import Any, Final, Self, override

from beeai_framework.backend import AssistantMessage, ChatModel, ChatModelOutput
from beeai_framework.backend.types import ChatModelUsage
from beeai_framework.cache import BaseCache

from runtime.adapters.progress import Json, Recorded, question

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
    return {
        "messages": messages,
        "usage": answer.usage.model_dump(),
        "finish": answer.finish_reason,
    }


def _read(said: Json) -> ChatModelOutput:
    messages = [AssistantMessage(one["content"], id=one["id"]) for one in said["messages"]]
    return ChatModelOutput(
        output=messages,
        usage=ChatModelUsage(**said["usage"]),
        finish_reason=said["finish"],
    )
