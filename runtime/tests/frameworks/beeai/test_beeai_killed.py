"""A run of BeeAI whose worker is killed in the middle."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agent.killing import goes_on_after_a_kill, scene
from runtime.tests.dispatch.scene import Scene

__all__ = ["scene"]  # a fixture

AGENT = """
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.tools import tool

    @tool
    async def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        await held()
        do(f"{a}+{b}")
        return str(a + b)

    def agent(context):
        return RequirementAgent(llm=context.model, tools=[add])
"""


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(300)
async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    await goes_on_after_a_kill(scene, tmp_path, AGENT, model_url, framework=Framework.BEEAI)
