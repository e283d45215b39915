"""Answers of users' own graphs in the form that a client wants."""

import pytest

from runtime.adapters.port import WrongFormat
from runtime.tests.adapter_contract import TOTAL
from runtime.tests.agents import ON_A_MODEL, SPEC, Config, answer, asking, function, run

pytestmark = ON_A_MODEL

OWN = """
    from langchain_core.messages import AIMessage
    from langgraph.graph import MessagesState, StateGraph

    def say(state):
        said = [message.text for message in state["messages"]]
        told = any('"total"' in text for text in said)
        document = {document!r} if len(said) > {patience} and told else "I say what I want."
        return {{"messages": [AIMessage(document)]}}

    graph = StateGraph(MessagesState).add_node("say", say).set_entry_point("say")
"""


@pytest.mark.parametrize("patience", [1, 3])
async def test_a_graph_of_ones_own_is_told_the_form_and_asked_again(
    config: Config, patience: int
) -> None:
    own = config(OWN.format(document='```json\n{"total": 5}\n```', patience=patience))
    steps = await run(own, asking(output=TOTAL))
    assert answer(steps) == '{"total": 5}'


async def test_a_graph_that_never_answers_in_the_form_fails(config: Config) -> None:
    own = config(OWN.format(document='{"total": "five"}', patience=3))
    with pytest.raises(WrongFormat, match="total: 'five' is not of type 'integer'"):
        await run(own, asking(output=TOTAL))


async def test_a_model_of_ones_own_agent_hears_the_form(config: Config, model_url: str) -> None:
    source = """
        from langchain.agents import create_agent

        def graph(platform):
            return create_agent(platform.model, platform.tools)
    """
    asked = asking("What is 12 + 30?", function(), output=TOTAL)
    steps = await run(config(source, url=model_url), asked, (SPEC,))
    assert answer(steps) == '{"total": 42}'
