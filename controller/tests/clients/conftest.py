from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.clients.jetstream import JetStream
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR, RunningStack, running_stack


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[RunningStack]:
    """The queue of the Stack `team/default`: a real NATS server and a trust plane."""
    async with running_stack(ObjectName(namespace="team", name="default"), tmp_path) as running:
        yield running


@pytest.fixture
def token_file(queue: RunningStack, tmp_path: Path) -> Path:
    """The operator's proof of identity."""
    path = tmp_path / "operator.token"
    queue.issuer.write_token(path, OPERATOR, 3600)
    return path


@pytest.fixture
async def streams(queue: RunningStack, token_file: Path) -> AsyncIterator[JetStream]:
    """The operator's hands on that queue."""
    del queue
    async with JetStream(OPERATOR, token_file).running() as jetstream:
        yield jetstream
