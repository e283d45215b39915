"""A run of CrewAI whose worker is killed in the middle."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agent.killing import KilledContract, goes_on_after_a_kill, held_at, scene
from runtime.tests.dispatch.scene import Scene

__all__ = ["scene"]  # a fixture

AGENT = """
    from crewai import Agent, Crew, Task
    from crewai.tools import tool

    @tool
    def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        if (a, b) == HELD:
            asyncio.run(held())
        do(f"{a}+{b}")
        return str(a + b)

    def agent(context):
        facts = dict(goal="Sums", backstory="Careful.", llm=context.model)
        adder = Agent(role="adder", tools=[add], **facts)
        task = Task(description="{input}", expected_output="The sum.", agent=adder)
        return Crew(agents=[adder], tasks=[task])
"""

GREETING = """
    adding = agent

    def greeted(_output):
        do("greeted")

    def agent(context):
        crew = adding(context)
        facts = dict(expected_output="Words.", agent=crew.agents[0])
        hello = Task(description="Say hello.", callback=greeted, **facts)
        return Crew(agents=crew.agents, tasks=[hello, *crew.tasks])
"""

pytestmark = [pytest.mark.integration, pytest.mark.fault(1), pytest.mark.timeout(300)]


class TestKilled(KilledContract):
    framework = Framework.CREWAI
    source = AGENT


async def test_the_callback_of_a_task_that_is_done_is_not_called_again(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    source, crewai = AGENT + GREETING + held_at(12, 30), Framework.CREWAI
    await goes_on_after_a_kill(
        scene, tmp_path, source, model_url, before=["greeted"], framework=crewai
    )
