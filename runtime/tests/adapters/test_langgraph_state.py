"""LangGraph graphs of any state: what goes in and what comes out."""

from typing import Any

import pytest

from runtime.adapters.langgraph import build
from runtime.adapters.port import (
    AgentFailure,
    BadAgent,
    Step,
)
from runtime.tests.agents import (
    Config,
    answer,
    asking,
    steps_of,
)

pytestmark = pytest.mark.integration


async def run(config: Any, asked: Any) -> list[Step]:
    return await steps_of(await build(config, ()), asked)


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


async def test_an_input_of_several_keys_is_refused(config: Config) -> None:
    source = state_graph('{"a": str, "b": str}', "{}")
    with pytest.raises(BadAgent, match=r"keys a, b; it needs `messages` or `input`"):
        await run(config(source), asking("hi"))
