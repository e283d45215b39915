"""Graphs that go on where an attempt before was cut off."""

import logging
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from runtime.adapters.langgraph import build
from runtime.adapters.port import AgentFailure, Step
from runtime.contract.agent_config import AgentConfig
from runtime.contract.messages import TokenUsage
from runtime.state.checkpoints import BadCheckpoint
from runtime.tests.adapters.conftest import close_clients
from runtime.tests.agents import SPEC, Config, answer, asking, cost, function, steps_of, text
from runtime.tools.numbering import Numbering

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

# What a node does is a line of DONE; each name in FAIL makes one of them fail, once.
HEAD = """
    import operator
    from typing import Annotated, Any, TypedDict
    from langchain_core.messages import AIMessage
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.types import Send

    DONE, FAIL = [], []

    def do(name):
        if name in FAIL:
            FAIL.remove(name)
            raise RuntimeError(f"{name} fails")
        DONE.append(name)

    def saying(name):
        async def node(state):
            do(name)
            return {"messages": [AIMessage(name)]}
        return node

    def line(*names):
        made = StateGraph(MessagesState)
        for name in names:
            made.add_node(name, saying(name))
        for start, end in zip((START, *names), names):
            made.add_edge(start, end)
        return made
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


@dataclass
class Kept:
    """A `Checkpoint` that remembers every save."""

    saved: list[bytes] = field(default_factory=list)
    unreadable: str | None = None

    async def load(self) -> bytes | None:
        if self.unreadable is not None:
            raise BadCheckpoint(self.unreadable)
        return self.saved[-1] if self.saved else None

    async def save(self, data: bytes) -> None:
        self.saved.append(data)


class Scene:
    """One agent, and the attempts at one task."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.kept = Kept()
        self.attempt = 0

    async def run(self, fail: str = "", **facts: Any) -> list[Step]:
        """The next attempt, by a worker that has the agent loaded already."""
        self.attempt += 1
        if fail:
            self.module.FAIL.append(fail)
        asked = replace(facts.pop("asked", asking()), attempt=self.attempt, checkpoint=self.kept)
        return await steps_of(await build(self.config, (SPEC,)), replace(asked, **facts))

    async def cut(self, fail: str, **facts: Any) -> None:
        with pytest.raises(AgentFailure, match=f"{fail} fails"):
            await self.run(fail, **facts)

    @property
    def module(self) -> Any:
        assert self.config.module
        name = self.config.module.entrypoint.partition(":")[0]
        if name not in sys.modules:
            sys.path.insert(0, str(self.config.module.path))
            __import__(name)
        return sys.modules[name]

    @property
    def done(self) -> list[str]:
        done: list[str] = self.module.DONE
        return done


@pytest.fixture
def scene(config: Config) -> Callable[[str], Scene]:
    return lambda source: Scene(config(textwrap.dedent(HEAD) + textwrap.dedent(source)))


async def test_steps_that_are_done_are_not_done_again(scene: Callable[[str], Scene]) -> None:
    place = scene("graph = line('a', 'b', 'c', 'd')")
    await place.cut("c")
    await place.cut("d")
    assert answer(await place.run()) == "d"
    assert place.done == ["a", "b", "c", "d"]


async def test_of_a_steps_tasks_only_those_that_were_cut_off_are_done_again(
    scene: Callable[[str], Scene],
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
    scene: Callable[[str], Scene], source: str, done: list[str]
) -> None:
    place = scene(textwrap.dedent(INNER) + textwrap.dedent(source))
    await place.cut("x" if done == ["a", "x"] else "z")
    assert answer(await place.run()) == "z"
    assert place.done == done


async def test_tasks_of_the_functional_api_are_not_done_again(
    scene: Callable[[str], Scene],
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


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
async def test_a_step_is_kept_if_another_one_follows(
    scene: Callable[[str], Scene], names: str
) -> None:
    place = scene(f"graph = line(*{names!r})")
    await place.run()
    assert len(place.kept.saved) == len(names) - 1


LOOP = """
    from langgraph.types import Command

    class State(TypedDict):
        input: str
        output: str
        count: int

    inner = StateGraph(State)
    inner.add_node("x", lambda state: {"count": state.get("count", 0) + 1})
    inner.add_node("y", lambda state: {"output": "z" * 1000})
    inner.add_edge(START, "x")
    inner.add_edge("x", "y")

    made = StateGraph(State)
    made.add_node("inner", inner.compile())
    made.add_node("end", lambda state: do("end"))
    made.add_edge(START, "inner")
    made.add_conditional_edges("inner", lambda s: "inner" if s["count"] < 20 else "end")
    graph = made.compile()
"""


async def test_what_is_kept_does_not_grow_with_the_steps(scene: Callable[[str], Scene]) -> None:
    place = scene(LOOP)
    await place.cut("end")
    sizes = [len(saved) for saved in place.kept.saved]
    assert len(sizes) > 40
    assert max(sizes[5:]) < 1.2 * max(sizes[:5])
    assert answer(await place.run()) == "z" * 1000


async def test_a_state_that_cannot_be_kept_does_no_harm(
    scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture
) -> None:
    place = scene("""
    class State(MessagesState):
        connection: Any

    async def first(state):
        do("first")
        return {"connection": object()}

    graph = StateGraph(State)
    graph.add_node(first)
    graph.add_node("a", saying("a"))
    graph.add_node("b", saying("b"))
    graph.add_edge(START, "first")
    graph.add_edge("first", "a")
    graph.add_edge("a", "b")
    """)
    with caplog.at_level(logging.WARNING):
        await place.cut("b")
        assert answer(await place.run()) == "b"
    assert place.done == ["first", "a", "first", "a", "b"]
    assert place.kept.saved == []
    assert [r.message for r in caplog.records] == [
        "the state of the graph cannot be kept; a crash would begin anew"
    ] * 2
    assert "not msgpack serializable" in caplog.records[0].__dict__["error"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("""
    graph = line("a", "b").compile().with_config(
        {"configurable": {"api_key": "canary"}, "metadata": {"token": "canary"}, "tags": ["canary"]}
    )
    """, id="in the config"),
        pytest.param("""
    from pydantic import BaseModel, SecretStr

    class ApiKey(SecretStr): ...

    class Account(BaseModel):
        key: ApiKey

    class State(MessagesState):
        account: Account

    async def first(state):
        return {"account": Account(key="canary")}

    graph = StateGraph(State)
    graph.add_node(first)
    graph.add_node("a", saying("a"))
    graph.add_node("b", saying("b"))
    graph.add_edge(START, "first")
    graph.add_edge("first", "a")
    graph.add_edge("a", "b")
    """, id="in the state"),
        pytest.param("""
    graph = line("a", "b")

    async def other(state):
        raise ValueError("no such key: canary")

    graph.add_node(other)
    graph.add_node("c", saying("c"))
    graph.add_edge("a", "other")
    graph.add_edge("b", "c")
    """, id="in an error"),
        pytest.param("""
    from langchain_openai import ChatOpenAI

    MODEL = ChatOpenAI(model="m", api_key="canary", base_url="http://127.0.0.1:1/v1")
    graph = line("a", "b").compile().with_config({"configurable": {"model": MODEL}})
    """, id="in a model"),
    ],
)  # fmt: skip
async def test_no_secret_is_kept(scene: Callable[[str], Scene], source: str) -> None:
    place = scene(source)
    with pytest.raises(AgentFailure):
        await place.run("b")
    assert b"canary" not in b"".join(place.kept.saved)
    assert b"canary" not in repr(place.kept.saved).encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(b"\xc1garbage", "damaged", id="damaged"),
        pytest.param(b"\x81\xa4form\xabframework 0", "of the form framework 0", id="older"),
        pytest.param(b"\x81\xa4form\xablanggraph 1", "damaged", id="without content"),
    ],
)
async def test_a_checkpoint_that_cannot_be_used_begins_the_run_anew(
    scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture, value: bytes, said: str
) -> None:
    place = scene("graph = line('a', 'b')")
    await place.cut("b")
    place.kept.saved.append(value)
    with caplog.at_level(logging.WARNING):
        assert answer(await place.run()) == "b"
    assert place.done == ["a", "a", "b"]
    (record,) = caplog.records
    assert record.message == "a checkpoint cannot be used; the run begins anew"
    assert said in record.__dict__["error"]


async def test_a_checkpoint_that_the_queue_damaged_begins_the_run_anew(
    scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture
) -> None:
    place = scene("graph = line('a', 'b')")
    await place.cut("b")
    place.kept.unreadable = "it is damaged: a part is missing"
    assert answer(await place.run()) == "b"
    assert place.done == ["a", "a", "b"]
    assert "a part is missing" in caplog.records[0].__dict__["error"]


async def test_a_graph_that_was_changed_meanwhile_begins_anew(
    scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture
) -> None:
    before, after = scene("graph = line('a', 'b')"), scene("graph = line('a', 'c')")
    await before.cut("b")
    after.kept, after.attempt = before.kept, 1
    assert answer(await after.run()) == "c"
    assert after.done == ["a", "c"]
    assert "other nodes or channels" in caplog.records[0].__dict__["error"]


async def test_a_users_own_saver_stays_the_only_one(scene: Callable[[str], Scene]) -> None:
    place = scene("""
    from langgraph.checkpoint.memory import MemorySaver

    graph = line("a", "b").compile(checkpointer=MemorySaver())
    """)
    await place.cut("b")
    assert answer(await place.run()) == "b"
    assert place.kept.saved == []


async def test_an_agent_that_restarts_keeps_nothing(scene: Callable[[str], Scene]) -> None:
    place = scene("graph = line('a', 'b')")
    await place.cut("b", asked=asking())
    asked = replace(asking(), attempt=2)
    assert answer(await steps_of(await build(place.config, ()), asked)) == "b"
    assert place.done == ["a", "a", "b"]


async def test_all_attempts_share_the_limit_of_steps(scene: Callable[[str], Scene]) -> None:
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
    scene: Callable[[str], Scene],
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


async def test_a_run_of_one_turn_keeps_nothing(config: Config, model_url: str) -> None:
    place = Scene(config(url=model_url))
    await place.run(asked=asking("Hello"))
    assert place.kept.saved == []
