import random
import time

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from parrot import answer_to, graph, held_seconds


@pytest.fixture
def text() -> str:
    return f"number {random.randrange(10**9)}"


async def test_the_answer_says_what_was_said(text: str) -> None:
    state = await graph.ainvoke({"messages": [HumanMessage(text)]})

    assert state["messages"][-1].text == answer_to(text)


async def test_a_stream_comes_word_by_word_and_is_the_same(text: str) -> None:
    stream = graph.astream({"messages": [HumanMessage(text)]}, stream_mode="messages")
    pieces = [chunk.text async for chunk, _ in stream if isinstance(chunk, AIMessageChunk)]

    assert "".join(pieces) == answer_to(text)
    assert len([piece for piece in pieces if piece]) == len(answer_to(text).split(" "))


async def test_it_holds_after_its_first_word() -> None:
    stream = graph.astream({"messages": [HumanMessage("hold 0.3 x")]}, stream_mode="messages")
    times = [time.monotonic() async for _ in stream]

    assert times[1] - times[0] >= 0.29


@pytest.mark.parametrize(
    ("said", "seconds"), [("hold 2.5 it", 2.5), ("hold 1", 1), ("hold", 0), ("let it go", 0)]
)
def test_how_long_it_holds(said: str, seconds: float) -> None:
    assert held_seconds(said) == seconds
