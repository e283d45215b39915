"""Answers of CrewAI agents with a form."""

import pytest

from runtime.contract.agent_config import AgentConfig, Framework
from runtime.tests.agents import Config
from runtime.tests.structuring import (
    test_a_sum_comes_in_the_form_that_was_asked_for,
    test_any_object_will_do,
    test_other_runs_answer_as_ever,
)

__all__ = [
    "test_a_sum_comes_in_the_form_that_was_asked_for",
    "test_any_object_will_do",
    "test_other_runs_answer_as_ever",
]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]


@pytest.fixture
def structured(config: Config, model_url: str) -> AgentConfig:
    return config(url=model_url, framework=Framework.CREWAI)
