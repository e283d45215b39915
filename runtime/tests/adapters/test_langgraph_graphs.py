"""Users' own LangGraph graphs, unchanged, on the real framework."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.adapters.langgraph import build
from runtime.adapters.port import (
    AgentFailure,
    Answer,
    BadAgent,
    EmptyAnswer,
    Step,
    Text,
)
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role
from runtime.tests.adapters.conftest import close_clients
from runtime.tests.agents import (
    SPEC,
    Config,
    answer,
    asking,
    cost,
    function,
    steps_of,
    text,
)

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


ECHO = """
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    def node(state: MessagesState):
        return {"messages": [AIMessage(state["messages"][-1].text[::-1])]}

    made = StateGraph(MessagesState)
    made.add_node("node", node)
    made.add_edge(START, "node")
    graph = made.compile()
    def plain(): return made
    async def later(): return graph
    def with_context(context): return graph if context.config.agent.name == "math" else None
    def optional(context=None): return graph
    class Maker:
        def make(self): return graph
    maker = Maker().make
"""


@pytest.mark.parametrize(
    "entrypoint", ["graph", "made", "plain", "later", "with_context", "optional", "maker"]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_graph_runs_in_whatever_form_it_is_given(
    config: Config,
    entrypoint: str,
    stream: bool,  # noqa: FBT001
) -> None:
    steps = await run(config(ECHO, entrypoint), asking("abc", stream=stream))
    assert steps == [*([Text("cba")] if stream else []), Answer("cba")]


AGENT = """
    import os
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI

    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    model = ChatOpenAI(model=os.environ["OPENAI_MODEL"])
    graph = create_agent(model, [multiply], system_prompt="You do sums.")

    def with_context(context):
        return create_agent(context.model, [*context.tools, multiply])

    def hidden(context):
        from langgraph.graph import START, StateGraph
        from typing import TypedDict

        class State(TypedDict):
            question: str
            output: str

        class Asked(TypedDict):
            question: str

        async def node(state):
            said = await context.model.ainvoke(state["question"])
            return {"output": said.text}

        made = StateGraph(State, input_schema=Asked)
        made.add_node("node", node)
        made.add_edge(START, "node")
        return made
"""


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_with_its_own_model_and_tool_needs_no_change(
    config: Config,
    model_url: str,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")
    a, b = random.sample(range(11, 99), 2)
    steps = await run(config(AGENT), asking(f"What is {a} * {b}?", stream=stream))
    assert str(a * b) in answer(steps)
    assert text(steps) == (answer(steps) if stream else "")
    # LangChain asks for the cost of a stream only if the user says so.
    assert (cost(steps).input_tokens > 0) is not stream


async def test_a_function_may_use_the_platforms_model_and_tools(
    config: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")
    made = config(AGENT, "with_context", url=model_url)
    asked = asking("What is 4 * 5? What is 100 + 11?", function())
    said = answer(await run(made, asked, (SPEC,)))
    assert "20" in said
    assert "111" in said


async def test_a_call_of_the_model_that_no_state_keeps_is_counted(
    config: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")
    steps = await run(config(AGENT, "hidden", url=model_url), asking("Say hello"))
    assert answer(steps)
    assert cost(steps).input_tokens > 0


async def test_a_blocking_node_may_call_the_platforms_tools(config: Config) -> None:
    source = """
        from langgraph.graph import START, MessagesState, StateGraph

        def graph(context):
            (add,) = context.tools

            def node(state: MessagesState):
                return {"messages": [("ai", add.invoke({"a": 1, "b": 2}))]}

            made = StateGraph(MessagesState)
            made.add_node("node", node)
            made.add_edge(START, "node")
            return made
    """
    assert answer(await run(config(source), asking("?", function()), (SPEC,))) == "3"


WRITER = """
    from langgraph.config import get_stream_writer
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    async def node(state: MessagesState):
        write = get_stream_writer()
        for piece in ("one ", "two ", {"not": "text"}, "three"):
            write(piece)
        return {"messages": [AIMessage("one two three")]}

    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
"""


async def test_text_of_a_stream_writer_is_streamed_once(config: Config) -> None:
    steps = await run(config(WRITER), asking(stream=True))
    assert steps == [Text("one "), Text("two "), Text("three"), Answer("one two three")]


async def test_messages_of_the_history_are_not_said_again(config: Config) -> None:
    source = """
        from langchain_core.messages import AIMessage
        from langgraph.graph import START, MessagesState, StateGraph

        def node(state: MessagesState):
            return {"messages": [*state["messages"], AIMessage("new")]}

        graph = StateGraph(MessagesState)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
    """
    history = (Message(role=Role.ASSISTANT, text="old"),)
    steps = await run(config(source), asking(history=history, stream=True))
    assert steps == [Text("new"), Answer("new")]


async def test_a_users_saver_gets_a_thread_of_the_attempt(config: Config) -> None:
    source = """
        from langchain_core.messages import AIMessage
        from langgraph.checkpoint.memory import MemorySaver
        from langgraph.graph import START, MessagesState, StateGraph

        def node(state: MessagesState):
            return {"messages": [AIMessage(str(len(state["messages"])))]}

        made = StateGraph(MessagesState)
        made.add_node("node", node)
        made.add_edge(START, "node")
        graph = made.compile(checkpointer=MemorySaver())
    """
    adapter = await build(config(source), ())
    for attempt in (1, 2):
        assert answer(await steps_of(adapter, asking(attempt=attempt))) == "1"


@pytest.mark.parametrize(
    ("source", "entrypoint", "said"),
    [
        ("graph = 5", "graph", "is a int, but spec.framework is LangGraph, which needs"),
        ("class graph: ...", "graph", "is a type, but spec.framework is LangGraph"),
        ("def graph(): return {}", "graph", "is a dict, but spec.framework is LangGraph"),
        ("def graph(a, b): ...", "graph", "takes a, b; a function that makes an agent"),
        ("def graph(): 1 / 0", "graph", "py:1 ZeroDivisionError: division by zero"),
        ("graph = 5", "grph", "has no grph; did you mean graph?"),
        (
            "from langgraph.graph import *\ngraph = StateGraph(MessagesState)",
            "graph",
            "cannot be compiled: ",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_graph_is_refused(
    config: Config, source: str, entrypoint: str, said: str
) -> None:
    from runtime.adapters.registry import build as build_any  # noqa: PLC0415

    with pytest.raises(BadAgent) as caught:
        await build_any(config(source, entrypoint), ())
    assert said in str(caught.value)
    assert str(caught.value).startswith('spec.source.module.entrypoint "users_agent_')


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_the_users_code_names_its_line(
    config: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    source = """
        from langgraph.graph import START, MessagesState, StateGraph

        def node(state: MessagesState):
            return {"messages": [("ai", str(1 / 0))]}

        graph = StateGraph(MessagesState)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
    """
    with pytest.raises(
        AgentFailure, match=r"users_agent_\d+\.py:5 ZeroDivisionError: division"
    ) as c:
        await run(config(source), asking(stream=stream))
    assert type(c.value) is AgentFailure


async def test_a_graph_that_never_ends_is_told(config: Config) -> None:
    source = """
        from langgraph.graph import START, MessagesState, StateGraph

        def node(state: MessagesState):
            return {"messages": [("ai", "again")]}

        made = StateGraph(MessagesState)
        made.add_node("node", node)
        made.add_edge(START, "node")
        made.add_edge("node", "node")
        graph = made.compile().with_config({"recursion_limit": 3})
    """
    with pytest.raises(AgentFailure, match="did not end within its recursion limit"):
        await run(config(source))


async def test_a_graph_that_waits_for_a_person_is_told(config: Config) -> None:
    source = """
        from langgraph.checkpoint.memory import MemorySaver
        from langgraph.graph import START, MessagesState, StateGraph
        from langgraph.types import interrupt

        def node(state: MessagesState):
            return {"messages": [("ai", interrupt("may I?"))]}

        made = StateGraph(MessagesState)
        made.add_node("node", node)
        made.add_edge(START, "node")
        graph = made.compile(checkpointer=MemorySaver())
    """
    with pytest.raises(AgentFailure, match=r"the graph stopped at interrupt\(\)"):
        await run(config(source))


async def test_a_graph_without_a_word_is_told(config: Config) -> None:
    source = """
        from langgraph.graph import START, MessagesState, StateGraph

        graph = StateGraph(MessagesState)
        graph.add_node("node", lambda state: {})
        graph.add_edge(START, "node")
    """
    with pytest.raises(EmptyAnswer):
        await run(config(source))


@pytest.mark.parametrize("stream", [False, True])
async def test_code_that_cancels_itself_has_failed(
    config: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    source = """
        import asyncio
        from langgraph.graph import START, MessagesState, StateGraph

        async def node(state: MessagesState):
            raise asyncio.CancelledError

        graph = StateGraph(MessagesState)
        graph.add_node("node", node)
        graph.add_edge(START, "node")
    """
    with pytest.raises(AgentFailure, match="CancelledError"):
        await run(config(source), asking(stream=stream))
