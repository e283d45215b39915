"""Graphs that go on where an attempt before was cut off."""

import textwrap
from typing import Any

import pytest

from runtime.adapters.port import AgentFailure
from runtime.contract.agent_config import Model
from runtime.contract.messages import TokenUsage
from runtime.tests.adapters.resuming import Made, Scene, scene
from runtime.tests.agents import ON_A_MODEL, Config, answer, asking, cost, function, text
from runtime.tools.numbering import Numbering

__all__ = ["scene"]  # a fixture

pytestmark = ON_A_MODEL


async def test_steps_that_are_done_are_not_done_again(scene: Made) -> None:
    place = scene("graph = line('a', 'b', 'c', 'd')")
    await place.cut("c")
    await place.cut("d")
    assert answer(await place.run()) == "d"
    assert place.done == ["a", "b", "c", "d"]


async def test_of_a_steps_tasks_only_those_that_were_cut_off_are_done_again(
    scene: Made,
) -> None:
    place = scene("""
    import asyncio

    async def late(state):
        await asyncio.sleep(0.2)
        do("late")
        return {"messages": [AIMessage("late")]}

    graph = line("a", "b")
    graph.add_node(late)
    graph.add_edge("a", "late")
    """)
    await place.cut("late")
    assert answer(await place.run()) == "late"
    assert place.done == ["a", "b", "late"]


INNER = """
    inner = line("x", "y", "z").compile()
"""


@pytest.mark.parametrize(
    ("source", "done"),
    [
        pytest.param("""
    graph = line("a")
    graph.add_node("inner", inner)
    graph.add_edge("a", "inner")
    """, ["a", "x", "y", "z"], id="a node"),
        pytest.param("""
    async def calls(state):
        await inner.ainvoke(state)
        return {"messages": [AIMessage((await inner.ainvoke(state))["messages"][-1].text)]}

    graph = line("a")
    graph.add_node(calls)
    graph.add_edge("a", "calls")
    """, ["a", "x", "y", "z", "x", "y", "z"], id="called by a node, twice"),
        pytest.param("""
    def calls(state):
        return {"messages": [AIMessage(inner.invoke(state)["messages"][-1].text)]}

    graph = line("a")
    graph.add_node(calls)
    graph.add_edge("a", "calls")
    inner = line("x").compile()
    inner.nodes["x"].bound.func = lambda state: do("x") or {"messages": [AIMessage("z")]}
    """, ["a", "x"], id="called by a node that blocks"),
        pytest.param("""
    middle = StateGraph(MessagesState)
    middle.add_node("inner", inner)
    middle.add_edge(START, "inner")
    graph = line("a")
    graph.add_node("middle", middle.compile())
    graph.add_edge("a", "middle")
    """, ["a", "x", "y", "z"], id="a node of a node"),
    ],
)  # fmt: skip
async def test_steps_of_graphs_within_are_not_done_again(
    scene: Made, source: str, done: list[str]
) -> None:
    place = scene(textwrap.dedent(INNER) + textwrap.dedent(source))
    await place.cut("x" if done == ["a", "x"] else "z")
    assert answer(await place.run()) == "z"
    assert place.done == done


async def test_tasks_of_the_functional_api_are_not_done_again(
    scene: Made,
) -> None:
    place = scene("""
    from langgraph.func import entrypoint, task

    @task
    async def step(name: str) -> str:
        do(name)
        return name

    @entrypoint()
    async def graph(asked: str) -> str:
        return "".join([await step(name) for name in "abc"])
    """)
    await place.cut("c")
    assert answer(await place.run()) == "abc"
    assert place.done == ["a", "b", "c"]


async def test_a_graph_that_is_made_from_deltas_is_kept_with_all_of_them(
    scene: Made,
) -> None:
    """Its checkpoints hold what was added; the whole is made from those before."""
    place = scene("""
    from langgraph.channels import DeltaChannel

    def added(state, writes):
        return [*state, *(one for write in writes for one in write)]

    class State(TypedDict):
        input: str
        notes: Annotated[list, DeltaChannel(added, list)]
        output: str

    def noting(name):
        async def node(state):
            do(name)
            return {"notes": [name]}
        return node

    async def end(state):
        do("end")
        return {"output": "".join(state["notes"])}

    graph = StateGraph(State)
    for name in "abc":
        graph.add_node(name, noting(name))
    graph.add_node(end)
    for edge in zip((START, *"abc"), (*"abc", "end")):
        graph.add_edge(*edge)
    """)
    await place.cut("end")
    assert answer(await place.run()) == "abc"
    assert place.done == ["a", "b", "c", "end"]


async def test_all_attempts_share_the_limit_of_steps(scene: Made) -> None:
    source = """
    made = line("a", "b", "c")
    made.add_edge("c", "a")
    graph = made.compile().with_config({"recursion_limit": 8})
    """
    whole, parts = scene(source), scene(source)
    with pytest.raises(AgentFailure, match="recursion limit"):
        await whole.run()
    await parts.cut("c")
    with pytest.raises(AgentFailure, match="recursion limit"):
        await parts.run()
    assert parts.done == whole.done
    assert len(whole.done) == 8


TWO_CALLS = """
    def graph(context):
        tool, = context.tools

        async def call(state):
            await tool.ainvoke({"a": 1, "b": 2})

        async def both(state):
            await call(state)
            do("both")

        made = StateGraph(MessagesState)
        made.add_node("first", call)
        made.add_node(both)
        made.add_node("end", saying("end"))
        made.add_edge(START, "first")
        made.add_edge("first", "both")
        made.add_edge("both", "end")
        return made
"""


async def test_calls_that_are_made_again_and_those_that_follow_have_their_numbers(
    scene: Made,
) -> None:
    """The first call must not be repeated, nor its result be taken for that of the second."""
    place, numbers = scene(TWO_CALLS), []

    def tools(numbering: Numbering) -> dict[str, Any]:
        async def call(arguments: dict[str, Any]) -> str:
            numbers.append(numbering.take(str(arguments)))
            return "3"

        return {"numbering": numbering, "tools": (function(call),)}

    await place.cut("both", **tools(Numbering()))
    again = tools(Numbering())
    await place.cut("end", **again)
    assert len(again["numbering"]) == 2
    await place.run(**tools(Numbering()))
    assert numbers == [0, 1, 1]


SUM = "What is 12 + 30?"


async def test_a_turn_of_the_model_is_not_asked_for_again(config: Config, model_url: str) -> None:
    """The answer costs what all of it has cost, whoever of the workers asked for it."""
    place, calls = Scene(config(url=model_url)), []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("the worker falls")
        return str(arguments["a"] + arguments["b"])

    with pytest.raises(AgentFailure, match="the worker falls"):
        await place.run(asked=asking(SUM, function(add), stream=True))
    whole = Scene(config(url=model_url))
    expected = await whole.run(asked=asking(SUM, function(add)))
    steps = await place.run(asked=asking(SUM, function(add), stream=True))
    assert answer(steps) == answer(expected)
    assert cost(steps) == cost(expected) != TokenUsage()
    assert text(steps) == answer(steps)
    assert calls == [{"a": 12, "b": 30}] * 3


async def test_what_was_spent_counts_also_where_no_message_says_it(
    scene: Made, model_url: str
) -> None:
    source = """
    class State(TypedDict):
        input: str
        heard: str
        output: str

    def graph(context):
        async def ask(state):
            return {"heard": (await context.model.ainvoke(state["input"])).text}

        async def say(state):
            do("say")
            return {"output": state["heard"]}

        made = StateGraph(State)
        made.add_node(ask)
        made.add_node(say)
        made.add_edge(START, "ask")
        made.add_edge("ask", "say")
        return made
    """
    whole, parts = scene(source), scene(source)
    for place in (whole, parts):
        place.config = place.config.model_copy(update={"model": Model(id="m", base_url=model_url)})
    expected = await whole.run()
    await parts.cut("say")
    assert cost(await parts.run()) == cost(expected) != TokenUsage()
