"""Answers of BeeAI agents with a form."""

import pytest

from runtime.adapters.beeai_output import expected
from runtime.adapters.structured import Form
from runtime.contract.agent_config import AgentConfig, Framework
from runtime.contract.output_format import OutputFormat
from runtime.tests.agents import Config
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.structuring import (
    test_a_sum_comes_in_the_form_that_was_asked_for,
    test_other_runs_answer_as_ever,
)

__all__ = [
    "test_a_sum_comes_in_the_form_that_was_asked_for",
    "test_other_runs_answer_as_ever",
]
pytestmark = MARKS


@pytest.fixture
def structured(config: Config, model_url: str) -> AgentConfig:
    return config(url=model_url, framework=Framework.BEEAI)


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(OutputFormat(), id="any object"),
        pytest.param(OutputFormat(name="a", json_schema={"type": "array"}), id="a list"),
    ],
)
async def test_what_no_tool_takes_is_asked_for_in_words(output: OutputFormat) -> None:
    assert expected(output) == {"expected_output": Form(output).wish}
