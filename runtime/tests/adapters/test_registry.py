"""From a configuration to an adapter, and to a sentence when there is none."""

import asyncio
from typing import Any

import pytest

from runtime.adapters import registry
from runtime.adapters.port import BadAgent
from runtime.adapters.registry import build, default_environment
from runtime.contract.agent_config import Execution, Framework
from runtime.tests.agents import SPEC, Config, answer, asking, function, steps_of
from runtime.worker.slots import Places

GRAPH = """
    from langgraph.graph import START, MessagesState, StateGraph

    graph = StateGraph(MessagesState)
    graph.add_node("node", lambda state: {"messages": [("ai", "I am a graph.")]})
    graph.add_edge(START, "node")
"""

BLOCKING = """
    from langgraph.graph import START, MessagesState, StateGraph

    def graph(context):
        (add,) = context.tools

        def ask(state):
            return {"messages": [("ai", str(add.invoke({"a": 12, "b": 30})))]}

        made = StateGraph(MessagesState)
        made.add_node(ask)
        made.add_edge(START, "ask")
        return made
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.setenv(name, "unused")
    monkeypatch.setenv("LLAMA_STACK_CLIENT_API_KEY", "unused")


async def test_a_framework_has_an_adapter(config: Config) -> None:
    steps = await steps_of(await build(config(GRAPH), ()), asking())
    assert answer(steps) == "I am a graph."


async def test_all_runs_that_a_worker_may_hold_can_wait_in_code_that_blocks(config: Config) -> None:
    """Each for another agent; with fewer threads, what they wait for would get none to run in."""
    runs = Places.with_own(1).most
    together = asyncio.Barrier(runs)

    async def add(arguments: dict[str, Any]) -> str:
        await together.wait()
        return str(arguments["a"] + arguments["b"])

    made = config(BLOCKING, execution=Execution(concurrency=1))
    adapter = await build(made, (SPEC,))
    ended = await asyncio.gather(
        *(steps_of(adapter, asking("12 + 30?", function(add))) for _ in range(runs))
    )
    assert [answer(steps) for steps in ended] == ["42"] * runs


async def test_a_framework_without_an_adapter_is_told(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {Framework.LANGGRAPH: "a", Framework.LLAMA_STACK: "b"}
    monkeypatch.setattr(registry, "MODULES", known)
    with pytest.raises(BadAgent) as caught:
        await build(config(GRAPH, framework=Framework.BEEAI), ())
    assert str(caught.value) == (
        "spec.framework BeeAI cannot be run yet; use one of LangGraph, LlamaStack"
    )


async def test_an_image_without_the_framework_is_told(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MODULES", {Framework.LANGGRAPH: "nowhere_at_all.langgraph"})
    with pytest.raises(BadAgent) as caught:
        await build(config(GRAPH), ())
    assert str(caught.value) == (
        "spec.framework is LangGraph, and this image has no nowhere_at_all; "
        "build spec.source.module.image FROM the runtime image for LangGraph"
    )


async def test_a_module_that_does_not_import_is_told(config: Config) -> None:
    with pytest.raises(BadAgent, match=r'^spec\.source\.module\.entrypoint "users_agent_\d+:nope"'):
        await build(config(GRAPH, "nope"), ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            {},
            {
                "OPENAI_BASE_URL": "http://stack:8321/v1",
                "OPENAI_API_KEY": "unused",
                "OPENAI_MODEL": "stand-in",
                "LLAMA_STACK_CLIENT_BASE_URL": "http://stack:8321",
            },
            id="the Stack's server",
        ),
        pytest.param(
            {"OPENAI_API_KEY": "mine", "LLAMA_STACK_CLIENT_API_KEY": "mine"},
            {
                "OPENAI_API_KEY": "mine",
                "LLAMA_STACK_CLIENT_API_KEY": "mine",
                "OPENAI_MODEL": "stand-in",
            },
            id="keys of the user's own",
        ),
        pytest.param(
            {"OPENAI_BASE_URL": "http://mine/v1", "OPENAI_MODEL": "big"},
            {
                "OPENAI_BASE_URL": "http://mine/v1",
                "OPENAI_API_KEY": "unused",
                "OPENAI_MODEL": "big",
                "LLAMA_STACK_CLIENT_BASE_URL": "http://stack:8321",
            },
            id="an address of the user's own",
        ),
    ],
)
def test_the_usual_clients_find_the_stack(
    config: Config, before: dict[str, str], after: dict[str, str]
) -> None:
    default_environment(config(GRAPH, url="http://stack:8321/v1"), before)
    assert before == after
