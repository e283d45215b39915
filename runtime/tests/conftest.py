from collections.abc import AsyncIterator
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
)


@pytest.fixture
async def nats_stack(tmp_path: Path) -> AsyncIterator[RunningStack]:
    """The queue of the Stack `team/default`: a real NATS server and a trust plane."""
    async with running_stack(ObjectName(namespace="team", name="default"), tmp_path) as running:
        yield running
