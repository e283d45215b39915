"""Runs of CrewAI that begin again with the answers which their models gave before."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer, cost
from runtime.tests.resuming import (
    Attempts,
    Made,
    listened,
    test_a_run_goes_on,
    test_a_run_goes_on_to_the_form_that_is_wanted,
    test_a_run_of_one_turn_keeps_nothing,
    test_an_agent_that_restarts_keeps_nothing_and_asks_again,
    test_another_version_of_the_agent_begins_anew,
    test_attempts_share_the_limit_of_turns,
    test_equal_calls_are_told_apart,
    test_it_goes_on_as_often_as_need_be,
    test_no_key_is_kept,
    test_what_cannot_be_used_begins_the_run_anew,
)

__all__ = [
    "test_a_run_goes_on",
    "test_a_run_goes_on_to_the_form_that_is_wanted",
    "test_a_run_of_one_turn_keeps_nothing",
    "test_an_agent_that_restarts_keeps_nothing_and_asks_again",
    "test_another_version_of_the_agent_begins_anew",
    "test_attempts_share_the_limit_of_turns",
    "test_equal_calls_are_told_apart",
    "test_it_goes_on_as_often_as_need_be",
    "test_no_key_is_kept",
    "test_what_cannot_be_used_begins_the_run_anew",
]

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def attempts(config: Config, model_url: str) -> AsyncIterator[Made]:
    async with listened(model_url) as proxy:

        def made(*, stream: bool = False, restarts: bool = False, **facts: Any) -> Attempts:
            proxy.calls.clear()
            agent = config(framework=Framework.CREWAI, url=proxy.url, **facts)
            return Attempts(agent, proxy, stream=stream, restarts=restarts)

        yield made


CREW = """
    from crewai import Agent, Crew, Task
    from crewai.llm import LLM
    import os

    def crew(context):
        model = LLM(
            model="openai/stand-in",
            base_url=os.environ["OPENAI_BASE_URL"],
            api_key="canary",
            default_headers={"Authorization": "Bearer canary"},
        )
        facts = {"goal": "Sums", "backstory": "Careful.", "llm": model}
        first = Agent(role="adder", tools=context.tools, **facts)
        second = Agent(role="clerk", tools=context.tools, **facts)
        return Crew(
            agents=[first, second],
            tasks=[
                Task(description="What is 1 + 2?", expected_output="The sum.", agent=first),
                Task(description="What is 30 + 40?", expected_output="The sum.", agent=second),
            ],
        )
"""


async def test_a_task_that_is_done_asks_no_model(
    config: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listened(model_url) as proxy:
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        agent = config(CREW, "crew", framework=Framework.CREWAI, url=proxy.url)
        expected = await Attempts(agent, proxy).whole("")
        turns = len(proxy.calls)
        proxy.calls.clear()
        place = Attempts(agent, proxy)
        await place.cut("", calls=2)
        kept = await place.kept()
        assert kept is not None
        assert b"canary" not in kept
        assert len(proxy.calls) == turns - 1
        steps = await place.whole("")
    assert answer(steps) == answer(expected)
    assert cost(steps) == cost(expected)
    assert place.effects == [{"a": 1, "b": 2}, {"a": 30, "b": 40}]
    assert len(place.questions) == len(set(place.questions)) == turns
