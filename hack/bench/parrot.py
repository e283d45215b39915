"""A trivial LangGraph agent: one node, no model behind it, so that only the way there costs.

It says what it was told, word by word. `hold <seconds> …` makes it pause after its first word,
which keeps a stream open for that long.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, override

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

PREFIX = "This is what you have said, word by word:"


def answer_to(text: str) -> str:
    """The whole answer of the agent."""
    return f"{PREFIX} {text}"


def held_seconds(text: str) -> float:
    """How long the answer to `text` pauses: `hold 2.5 …` for 2.5 seconds, any other not at all."""
    words = text.split(maxsplit=2)
    return float(words[1]) if len(words) > 1 and words[0] == "hold" else 0.0


class Parrot(BaseChatModel):
    """A chat model without a model."""

    @property
    @override
    def _llm_type(self) -> str:
        return "parrot"

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: Sequence[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(messages[-1].text)

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: Sequence[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = messages[-1].text
        await asyncio.sleep(held_seconds(text))
        return _result(text)

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: Sequence[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        text = messages[-1].text
        first, *rest = answer_to(text).split(" ")
        yield ChatGenerationChunk(message=AIMessageChunk(content=first))
        await asyncio.sleep(held_seconds(text))
        for word in rest:
            yield ChatGenerationChunk(message=AIMessageChunk(content=f" {word}"))


def _result(text: str) -> ChatResult:
    message = AIMessage(content=answer_to(text))
    return ChatResult(generations=[ChatGeneration(message=message)])


_model = Parrot()


async def answer(state: MessagesState) -> MessagesState:
    """The one node."""
    return {"messages": [await _model.ainvoke(state["messages"])]}


_builder = StateGraph(MessagesState)
_builder.add_node("answer", answer)
_builder.add_edge(START, "answer")
graph = _builder.compile()
