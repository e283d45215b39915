"""What is kept of a run of a graph, and what is not."""

import logging
from dataclasses import replace

import pytest

from runtime.adapters.langgraph import build
from runtime.adapters.langgraph_resume import takes_steps
from runtime.adapters.langgraph_saver import Serializer
from runtime.adapters.port import AgentFailure
from runtime.tests.adapters.resuming import Made, Scene, scene
from runtime.tests.agents import ON_A_MODEL, Config, answer, asking, of_revision, steps_of
from runtime.tools.numbering import Numbering

__all__ = ["scene"]  # a fixture

pytestmark = ON_A_MODEL


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
async def test_a_step_is_kept_if_another_one_follows(scene: Made, names: str) -> None:
    place = scene(f"graph = line(*{names!r})")
    await place.run()
    assert len(place.kept.saved) == len(names) - 1


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        pytest.param("graph = line('a')", False, id="one node"),
        pytest.param("graph = line('a', 'b')", True, id="two"),
        pytest.param("graph = line('a').add_edge('a', 'a')", True, id="one, again"),
        pytest.param(
            "graph = line('a').add_conditional_edges('a', lambda s: END)", True, id="perhaps again"
        ),
        pytest.param(
            """
            graph = StateGraph(MessagesState).add_node("a", line("b", "c").compile())
            graph.add_edge(START, "a")
            """,
            True,
            id="a graph within",
        ),
        pytest.param(
            """
            inner = line("b", "c").compile()

            async def a(state):
                return await inner.ainvoke(state)

            graph = StateGraph(MessagesState).add_node(a).add_edge(START, "a")
            """,
            True,
            id="a graph that the node calls",
        ),
        pytest.param(
            """
            from typing import Literal
            from langgraph.types import Command

            async def a(state) -> Command[Literal["a", "__end__"]]:
                return Command(goto=END)

            graph = StateGraph(MessagesState).add_node(a).add_edge(START, "a")
            """,
            True,
            id="one that may call for itself",
        ),
    ],
)
async def test_only_what_takes_steps_is_worth_keeping(
    scene: Made, source: str, *, steps: bool
) -> None:
    graph = scene(source).module.graph
    assert takes_steps(graph.compile()) is steps


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


async def test_what_is_kept_does_not_grow_with_the_steps(scene: Made) -> None:
    place = scene(LOOP)
    await place.cut("end")
    sizes = [len(saved) for saved in place.kept.saved]
    assert len(sizes) > 40
    assert max(sizes[5:]) < 1.2 * max(sizes[:5])
    assert answer(await place.run()) == "z" * 1000


async def test_a_state_that_cannot_be_kept_does_no_harm(
    scene: Made, caplog: pytest.LogCaptureFixture
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
    async def failing(state):
        raise ValueError("no such key: canary")

    async def a(state):
        return {"messages": [AIMessage("handled")]}

    graph = line("b")
    graph.add_node(failing, error_handler=a)
    graph.add_edge(START, "failing")
    graph.add_edge("failing", "b")
    graph.add_edge(START, "b")
    """, id="in an error that is handled"),
        pytest.param("""
    from langchain_openai import ChatOpenAI

    MODEL = ChatOpenAI(model="m", api_key="canary", base_url="http://127.0.0.1:1/v1")
    graph = line("a", "b").compile().with_config({"configurable": {"model": MODEL}})
    """, id="in a model"),
    ],
)  # fmt: skip
async def test_no_secret_is_kept(scene: Made, source: str) -> None:
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
    scene: Made, caplog: pytest.LogCaptureFixture, value: bytes, said: str
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


async def test_what_turns_out_to_be_damaged_late_leaves_no_trace(
    scene: Made, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls that count as made, in a run that begins anew, would be made twice."""
    place = scene("graph = line('a', 'b')")
    await place.cut("b")
    content = Serializer().loads_typed(("msgpack", place.kept.saved[-1]))
    content["noted"]["calls"] = [("add", 0)]
    content["blobs"] = [(*key, (kind, b"\xc1")) for *key, (kind, _) in content["blobs"]]
    place.kept.saved.append(Serializer().dumps_typed(content)[1])
    numbering = Numbering()
    assert answer(await place.run(numbering=numbering)) == "b"
    assert place.done == ["a", "a", "b"]
    assert len(numbering) == 0
    assert "cannot be used" in caplog.records[0].message


async def test_a_checkpoint_that_the_queue_damaged_begins_the_run_anew(
    scene: Made, caplog: pytest.LogCaptureFixture
) -> None:
    place = scene("graph = line('a', 'b')")
    await place.cut("b")
    place.kept.unreadable = "it is damaged: a part is missing"
    assert answer(await place.run()) == "b"
    assert place.done == ["a", "a", "b"]
    assert "a part is missing" in caplog.records[0].__dict__["error"]


async def test_a_graph_that_was_changed_meanwhile_begins_anew(
    scene: Made, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = scene("graph = line('a', 'b')"), scene("graph = line('a', 'c')")
    await before.cut("b")
    after.kept, after.attempt = before.kept, 1
    assert answer(await after.run()) == "c"
    assert after.done == ["a", "c"]
    assert "other nodes or channels" in caplog.records[0].__dict__["error"]


@pytest.mark.parametrize(
    ("revisions", "done", "said"),
    [
        pytest.param(("one", "one"), ["a", "b"], [], id="the same"),
        pytest.param(("one", "two"), ["a", "a", "b"], ["it is of other code"], id="another"),
        pytest.param((None, "one"), ["a", "a", "b"], ["it is of other code"], id="not known"),
    ],
)
async def test_other_code_with_the_same_nodes_begins_anew(
    scene: Made,
    caplog: pytest.LogCaptureFixture,
    revisions: tuple[str | None, str],
    done: list[str],
    said: list[str],
) -> None:
    place = scene("graph = line('a', 'b')")
    before, after = (of_revision(place.config, revision) for revision in revisions)
    place.config = before
    await place.cut("b")
    place.config = after
    assert answer(await place.run()) == "b"
    assert place.done == done
    assert [record.__dict__["error"] for record in caplog.records] == said


async def test_a_users_own_saver_stays_the_only_one(scene: Made) -> None:
    place = scene("""
    from langgraph.checkpoint.memory import MemorySaver

    graph = line("a", "b").compile(checkpointer=MemorySaver())
    """)
    await place.cut("b")
    assert answer(await place.run()) == "b"
    assert place.kept.saved == []


async def test_an_agent_that_restarts_keeps_nothing(scene: Made) -> None:
    place = scene("graph = line('a', 'b')")
    await place.cut("b", asked=asking())
    asked = replace(asking(), attempt=2)
    assert answer(await steps_of(await build(place.config, ()), asked)) == "b"
    assert place.done == ["a", "a", "b"]


async def test_a_run_of_one_turn_keeps_nothing(config: Config, model_url: str) -> None:
    place = Scene(config(url=model_url))
    await place.run(asked=asking("Hello"))
    assert place.kept.saved == []
