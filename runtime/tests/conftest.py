from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.contract.value import ObjectName
from runtime.tests.nats import RunningStack, running_stack


@pytest.fixture
async def nats_stack(tmp_path: Path) -> AsyncIterator[RunningStack]:
    """The queue of the Stack `team/default`: a real NATS server and a trust plane."""
    async with running_stack(ObjectName(namespace="team", name="default"), tmp_path) as running:
        yield running
