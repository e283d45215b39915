"""LangGraph agents on the real framework and a model that reads."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.adapters.langgraph import build
from runtime.adapters.port import (
    AgentFailure,
    Answer,
    BadAgent,
    BudgetExceeded,
    EmptyAnswer,
    ModelBusy,
    ModelFailure,
    Step,
    Text,
    Used,
)
from runtime.contract.agent_config import Budget, Execution
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role, TokenUsage
from runtime.tests.adapters.conftest import (
    SPEC,
    Config,
    adding,
    asking,
    close_clients,
    function,
    no_model,
    steps_of,
)
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


def answer(steps: list[Step]) -> str:
    (last,) = [step for step in steps if isinstance(step, Answer)]
    assert steps[-1] is last
    return last.text


def text(steps: list[Step]) -> str:
    return "".join(step.text for step in steps if isinstance(step, Text))


def cost(steps: list[Step]) -> TokenUsage:
    return sum((step.usage for step in steps if isinstance(step, Used)), TokenUsage())


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


# Agents from instructions


@pytest.mark.parametrize("stream", [False, True])
async def test_instructions_and_a_tool_answer_a_sum(
    config: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    a, b = random.sample(range(100, 900), 2)
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    asked = asking(f"What is {a} + {b}?", function(add), stream=stream)
    steps = await run(config(url=model_url), asked, (SPEC,))
    assert str(a + b) in answer(steps)
    assert calls == [{"a": a, "b": b}]
    assert text(steps) == (answer(steps) if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 2
    assert cost(steps).output_tokens > 0


async def test_text_comes_piece_by_piece(config: Config, model_url: str) -> None:
    adapter = await build(config(url=model_url, model="slow-100"), ())
    times = [
        time.monotonic()
        async for step in adapter.run(asking("Say a b c d", stream=True))
        if isinstance(step, Text)
    ]
    assert len(times) > 3
    assert times[-1] - times[0] > 0.2


async def test_history_and_instructions_of_the_client_are_heard(
    config: Config, model_url: str
) -> None:
    history = (
        Message(role=Role.USER, text="My name is Ada."),
        Message(role=Role.ASSISTANT, text="Hello Ada."),
    )
    asked = asking("What is my name?", history=history, instructions='Begin with "Ahoy"')
    said = answer(await run(config(url=model_url), asked))
    assert said.startswith("Ahoy")
    assert "Ada" in said


async def test_the_model_may_go_on_after_a_failed_tool(config: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise ToolFailure("the adding machine is on fire")

    steps = await run(config(url=model_url), asking("2 + 3?", function(add)), (SPEC,))
    assert "on fire" in answer(steps)


async def test_each_run_calls_its_own_tools(config: Config, model_url: str) -> None:
    adapter = await build(config(url=model_url), (SPEC,))

    def giving(value: str) -> Any:
        async def add(_arguments: dict[str, Any]) -> str:
            await asyncio.sleep(0.05)
            return value

        return add

    values = [str(value) for value in random.sample(range(1000, 9999), 8)]
    asked = [
        asking("2 + 3?", function(giving(value)), stream=place % 2 == 0)
        for place, value in enumerate(values)
    ]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for value, steps in zip(values, answers, strict=True):
        assert value in answer(steps)


async def test_calls_of_one_turn_are_made_at_the_same_time(config: Config, model_url: str) -> None:
    together = asyncio.Barrier(2)

    async def add(arguments: dict[str, Any]) -> str:
        await asyncio.wait_for(together.wait(), 10)
        return await adding(arguments)

    asked = asking("Add 1 and 2, then add 30 and 40.", function(add))
    said = answer(await run(config(url=model_url), asked, (SPEC,)))
    assert "3" in said
    assert "70" in said


async def test_arguments_may_have_any_name(config: Config) -> None:
    names = ("config", "run_manager", "self", "callbacks", "name", "input")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    seen: list[dict[str, Any]] = []

    async def note(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "noted"

    source = """
        from langgraph.graph import START, MessagesState, StateGraph

        def graph(context):
            (note,) = context.tools

            async def node(state: MessagesState):
                given = {name: "x" for name in note.args_schema["properties"]}
                call = {"type": "tool_call", "id": "1", "name": "note", "args": given}
                return {"messages": [await note.ainvoke(call), ("ai", "done")]}

            made = StateGraph(MessagesState)
            made.add_node("node", node)
            made.add_edge(START, "node")
            return made
    """
    spec = FunctionSpec(name="note", description="Note.", input_schema=schema)
    await run(config(source), asking("?", function(note, spec)), (spec,))
    assert seen == [dict.fromkeys(names, "x")]


async def test_the_iterations_are_limited(config: Config, model_url: str) -> None:
    asked = asking("2 + 3?", function())
    assert "5" in answer(await run(config(url=model_url, iterations=2), asked, (SPEC,)))
    with pytest.raises(AgentFailure) as caught:
        await run(config(url=model_url, iterations=1), asked, (SPEC,))
    assert str(caught.value) == (
        "no answer after 1 turns of the model (spec.source.declarative.maxIterations); "
        "allow more, or ask for less"
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        ("error-500", ModelFailure, "{host}/chat/completions answered 500"),
        ("error-404", ModelFailure, "{host}/chat/completions answered 404"),
        ("error-429", ModelBusy, "has no capacity at the moment"),
        ("garbage", ModelFailure, "{host} answered with what is no completion"),
        ("cut", ModelFailure, "cannot be reached: peer closed connection"),
        ("hang", ModelFailure, "gave no answer in time"),
        ("empty", EmptyAnswer, "the agent ended without an answer"),
    ],
)  # fmt: skip
async def test_a_model_that_fails_is_told(
    config: Config,
    model_url: str,
    model: str,
    kind: type[AgentFailure],
    said: str,
    stream: bool,  # noqa: FBT001
) -> None:
    execution = Execution(timeout_seconds=1)
    made = config(url=model_url, model=model, execution=execution)
    with pytest.raises(kind) as caught:
        await run(made, asking(stream=stream))
    assert type(caught.value) is kind
    assert said.format(host=model_url) in str(caught.value)
    assert str(caught.value).startswith(f"the model {model} ") or kind is EmptyAnswer
    assert caught.value.retryable is (kind is ModelBusy)


async def test_a_model_that_is_not_there_is_told(config: Config) -> None:
    async with no_model() as url:
        with pytest.raises(ModelFailure, match=f"the model stand-in at {url}.* cannot be reached"):
            await run(config(url=url))


@pytest.mark.parametrize(
    ("model", "stream", "kind", "said"),
    [
        ("cut", True, ModelFailure, "small/cut at .* failed: Internal server error"),
        ("error-429", False, ModelBusy, "has no capacity at the moment"),
        ("error-500", True, ModelFailure, "answered 500"),
    ],
)
async def test_a_model_behind_the_stacks_server_fails_the_same_way(
    config: Config,
    stack_url: str,
    model: str,
    stream: bool,  # noqa: FBT001
    kind: type[AgentFailure],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as caught:
        await run(config(url=stack_url, model=f"small/{model}"), asking(stream=stream))
    assert type(caught.value) is kind


async def test_a_stream_that_just_ends_is_no_answer(config: Config) -> None:
    piece = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    piece += b'"choices":[{"index":0,"delta":{"role":"assistant","content":"The answer"}}]}\n\n'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        writer.write(head + f"Content-Length: {len(piece)}\r\n\r\n".encode() + piece)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelFailure) as caught:
            await run(config(url=url), asking(stream=True))
    said = f"the model stand-in at {url} broke off in the middle of its answer"
    assert str(caught.value) == said


async def test_the_budget_of_calls_ends_the_run(config: Config, model_url: str) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise CallBudgetSpent("no more calls (spec.budget.toolCalls)")

    with pytest.raises(BudgetExceeded, match="no more calls"):
        await run(config(url=model_url), asking("2 + 3?", function(add)), (SPEC,))


async def test_with_a_budget_of_tokens_costs_come_as_they_arise(
    config: Config, model_url: str
) -> None:
    called: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        called.append(arguments)
        return await adding(arguments)

    adapter = await build(config(url=model_url, budget=Budget(tokens=1)), (SPEC,))
    steps = adapter.run(asking("2 + 3?", function(add)))
    assert isinstance(await anext(steps), Used)
    await steps.aclose()  # type: ignore[attr-defined]  # adapters are generators
    assert called == []


@pytest.mark.parametrize("stream", [False, True])
async def test_cancelling_ends_the_call_of_the_model(
    config: Config,
    model_url: str,
    stream: bool,  # noqa: FBT001
) -> None:
    adapter = await build(config(url=model_url, model="hang"), ())
    running = asyncio.create_task(steps_of(adapter, asking(stream=stream)))
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 1


# A user's own graph

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


def state_graph(keys: str, gives: str, given: str = "State") -> str:
    return f"""
        from typing import TypedDict
        from langgraph.graph import START, StateGraph

        State = TypedDict("State", {keys})
        Given = TypedDict("Given", {{"question": str}})

        def node(state):
            return {gives}

        graph = StateGraph(State, input_schema={given})
        graph.add_node("node", node)
        graph.add_edge(START, "node")
    """


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(
            state_graph('{"input": str, "output": str}', '{"output": state["input"] + "!"}'),
            "hi!",
            id="input and output",
        ),
        pytest.param(
            state_graph('{"input": str, "answer": dict}', '{"answer": {"said": state["input"]}}'),
            '{"said":"hi"}',
            id="an answer that is no text",
        ),
        pytest.param(
            state_graph('{"question": str, "reply": str}', '{"reply": state["question"]}', "Given"),
            "hi",
            id="one key in, one key out",
        ),
        pytest.param(
            """
            from langgraph.func import entrypoint

            @entrypoint()
            async def graph(asked: str) -> str:
                return asked.upper()
            """,
            "HI",
            id="functional API, text",
        ),
        pytest.param(
            """
            from langgraph.func import entrypoint

            @entrypoint()
            async def graph(asked: list):
                return asked[-1]["content"] if isinstance(asked[-1], dict) else asked[-1].text
            """,
            "hi",
            id="functional API, messages",
        ),
    ],
)
async def test_graphs_of_other_states(config: Config, source: str, said: str) -> None:
    assert answer(await run(config(source), asking("hi"))) == said


async def test_an_output_of_several_keys_is_told(config: Config) -> None:
    source = state_graph('{"input": str, "x": str, "y": str}', '{"x": "1", "y": "2"}')
    with pytest.raises(AgentFailure, match=r"keys input, x, y; its answer has to be in"):
        await run(config(source), asking("hi"))


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
        (
            state_graph('{"a": str, "b": str}', "{}"),
            "graph",
            "the graph's input has the keys a, b; it needs `messages` or `input`",
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
