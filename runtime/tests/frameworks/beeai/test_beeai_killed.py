"""A run of BeeAI whose worker is killed in the middle."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agent.killing import goes_on_after_a_kill, goes_on_behind_a_call, scene
from runtime.tests.dispatch.scene import Scene

__all__ = ["scene"]  # a fixture

AGENT = """
    HELD = {held}

    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.tools import tool

    @tool
    async def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        if (a, b) == HELD:
            await held()
        do(f"{{a}}+{{b}}")
        return str(a + b)

    def agent(context):
        return RequirementAgent(llm=context.model, tools=[add])
"""


pytestmark = [pytest.mark.integration, pytest.mark.fault(1), pytest.mark.timeout(300)]


async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    source = AGENT.format(held=(12, 30))
    await goes_on_after_a_kill(scene, tmp_path, source, model_url, framework=Framework.BEEAI)


async def test_a_users_own_tool_is_not_called_again(
    scene: Scene, tmp_path: Path, model_url: str
) -> None:
    source = AGENT.format(held=(3, 30))
    await goes_on_behind_a_call(scene, tmp_path, source, model_url, framework=Framework.BEEAI)
