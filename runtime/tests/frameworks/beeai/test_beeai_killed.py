"""A run of BeeAI whose worker is killed in the middle."""

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agent.killing import KilledContract, scene

__all__ = ["scene"]  # a fixture

AGENT = """
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.tools import tool

    @tool
    async def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        if (a, b) == HELD:
            await held()
        do(f"{a}+{b}")
        return str(a + b)

    def agent(context):
        return RequirementAgent(llm=context.model, tools=[add])
"""

pytestmark = [pytest.mark.integration, pytest.mark.fault(1), pytest.mark.timeout(300)]


class TestKilled(KilledContract):
    framework = Framework.BEEAI
    source = AGENT
