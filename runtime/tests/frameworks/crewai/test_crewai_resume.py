"""Runs of CrewAI that begin again with the answers which their models gave before."""

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer, cost
from runtime.tests.resuming import Attempts, EqualCallsContract, attempts, listened

__all__ = ["attempts"]  # a fixture

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]


class TestInstructed(EqualCallsContract):
    framework = Framework.CREWAI


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
