"""LangGraph agents from instructions, on the real framework and a model that reads."""

import re
from typing import Any

import pytest

from runtime.adapters.port import AgentFailure, ModelBusy, ModelFailure
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.tests.agents import ON_A_MODEL, Config, asking, function, run
from runtime.tests.completions_contract import SAID, CompletionsContract

pytestmark = ON_A_MODEL


class TestInstructed(CompletionsContract):
    framework = Framework.LANGGRAPH
    prompt = (("system", r"You do sums\.\n\nBe {{brief}}\."), ("user", re.escape(SAID)))
    unknown = "ad is not a valid tool"


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
    stream: bool,
    kind: type[AgentFailure],
    said: str,
) -> None:
    with pytest.raises(kind, match=said) as caught:
        await run(config(url=stack_url, model=f"small/{model}"), asking(stream=stream))
    assert type(caught.value) is kind
