"""A run of CrewAI whose worker is killed in the middle."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agent.killing import goes_on_after_a_kill, scene
from runtime.tests.dispatch.scene import Scene

__all__ = ["scene"]  # a fixture

AGENT = """
    from crewai import Agent, Crew, Task
    from crewai.tools import tool

    @tool
    def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        asyncio.run(held())
        do(f"{a}+{b}")
        return str(a + b)

    def agent(context):
        facts = {"goal": "Sums", "backstory": "Careful.", "llm": context.model}
        adder = Agent(role="adder", tools=[add], **facts)
        task = Task(description="{input}", expected_output="The sum.", agent=adder)
        return Crew(agents=[adder], tasks=[task])
"""


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(300)
async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    await goes_on_after_a_kill(scene, tmp_path, AGENT, model_url, framework=Framework.CREWAI)
