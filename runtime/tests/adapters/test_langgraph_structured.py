"""Answers of LangGraph agents with a form."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.adapters.port import WrongFormat
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig
from runtime.tests.adapters.conftest import close_clients
from runtime.tests.agents import Config, answer, asking, steps_of
from runtime.tests.structuring import (
    SUM,
    test_a_sum_comes_in_the_form_that_was_asked_for,
    test_any_object_will_do,
    test_other_runs_answer_as_ever,
)

__all__ = [
    "test_a_sum_comes_in_the_form_that_was_asked_for",
    "test_any_object_will_do",
    "test_other_runs_answer_as_ever",
]
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

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


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


@pytest.fixture
def structured(config: Config, model_url: str) -> AgentConfig:
    return config(url=model_url)


@pytest.mark.parametrize("patience", [1, 3])
async def test_a_graph_of_ones_own_is_told_the_form_and_asked_again(
    config: Config, patience: int
) -> None:
    own = config(OWN.format(document='```json\n{"total": 5}\n```', patience=patience))
    steps = await steps_of(await build(own, ()), asking(output=SUM))
    assert answer(steps) == '{"total": 5}'


async def test_a_graph_that_never_answers_in_the_form_fails(config: Config) -> None:
    own = config(OWN.format(document='{"total": "five"}', patience=3))
    with pytest.raises(WrongFormat, match="total: 'five' is not of type 'integer'"):
        await steps_of(await build(own, ()), asking(output=SUM))
