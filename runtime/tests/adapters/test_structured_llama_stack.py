"""Answers of Llama Stack agents with a form."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.contract.agent_config import AgentConfig, Framework
from runtime.tests.adapters.conftest import close_clients
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
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def clients() -> AsyncIterator[None]:
    yield
    await close_clients()


@pytest.fixture
def structured(config: Config, stack_url: str) -> AgentConfig:
    return config(url=stack_url, model="small/stand-in", framework=Framework.LLAMA_STACK)
