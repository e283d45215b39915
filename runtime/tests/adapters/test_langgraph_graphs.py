"""Users' own LangGraph graphs, unchanged, on the real framework."""

import pytest

from runtime.adapters.langgraph import build
from runtime.adapters.port import AgentFailure, Answer, Text
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.tests.agents import (
    ON_A_MODEL,
    SPEC,
    Config,
    answer,
    asking,
    cost,
    function,
    run,
    steps_of,
)
from runtime.tests.own_agent_contract import OwnAgentContract

pytestmark = ON_A_MODEL


class TestOwn(OwnAgentContract):
    framework = Framework.LANGGRAPH
    source = """
    import asyncio
    import os
    from langchain.agents import create_agent
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI
    from langgraph.graph import START, MessagesState, StateGraph

    def of(answer):
        def node(state: MessagesState):
            said = answer(state["messages"])
            return {"messages": [AIMessage(said)] if said else []}

        made = StateGraph(MessagesState)
        made.add_node("node", node)
        made.add_edge(START, "node")
        return made

    def divide(messages):
        return str(1 / 0)

    async def stop(state: MessagesState):
        raise asyncio.CancelledError

    made = of(lambda messages: messages[-1].text[::-1])
    agent = made.compile()
    wordless = of(lambda messages: "")
    dividing = of(divide)
    stopping = StateGraph(MessagesState)
    stopping.add_node(stop)
    stopping.add_edge(START, "stop")

    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    model = ChatOpenAI(model=os.environ["OPENAI_MODEL"])
    thinker = create_agent(model, [multiply], system_prompt="You do sums.")

    def platforms(context):
        return create_agent(context.model, [*context.tools, multiply])
    """
    forms = (*OwnAgentContract.forms, "made")
    thinkers = askers = ("thinker",)
    refused = (
        (
            "from langgraph.graph import *\nagent = StateGraph(MessagesState)",
            "agent",
            "cannot be compiled: ",
        ),
    )
    cancelled = "CancelledError"
    counts_streams = False  # LangChain asks for the cost of a stream only if the user says so


async def test_a_call_of_the_model_that_no_state_keeps_is_counted(
    config: Config, model_url: str
) -> None:
    source = """
        from typing import TypedDict
        from langgraph.graph import START, StateGraph

        def graph(context):
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
    steps = await run(config(source, url=model_url), asking("Say hello"))
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
