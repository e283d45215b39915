import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runtime.contract.value import ObjectName
from runtime.tests.nats import RunningStack, running_stack

# Before they are imported, so that their assertions say what they saw, as those of tests do.
pytest.register_assert_rewrite(
    "runtime.tests.adapter_contract",
    "runtime.tests.agents",
    "runtime.tests.completions_contract",
    "runtime.tests.own_agent_contract",
    "runtime.tests.resuming",
)

# Here, so that there is one of each for all folders below.
from runtime.tests.agents import model_url, stack_url  # noqa: E402 - after they are registered

__all__ = ["model_url", "stack_url"]  # fixtures

SET_BY_BUILD = (
    "LLAMA_STACK_CLIENT_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
)


@pytest.fixture(autouse=True)
def clients_environment() -> Iterator[None]:
    """What `registry.build` sets for a user's own code goes with the test that builds.

    Processes that later tests start would inherit it, and ask a server that is gone.
    """
    before = {name: os.environ.get(name) for name in SET_BY_BUILD}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
async def nats_stack(tmp_path: Path) -> AsyncIterator[RunningStack]:
    """The queue of the Stack `team/default`: a real NATS server and a trust plane."""
    async with running_stack(ObjectName(namespace="team", name="default"), tmp_path) as running:
        yield running
