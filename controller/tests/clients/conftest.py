import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.clients.jetstream import JetStream
from controller.errors import QueueUnavailable
from controller.model import QueueQuery
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
    """The operator's hands on that queue, once it is let in: a busy machine may take its time."""
    async with JetStream(OPERATOR, token_file).running() as jetstream:
        async with asyncio.timeout(60):
            while not await _is_let_in(jetstream, queue.url):
                pass
        yield jetstream


async def _is_let_in(jetstream: JetStream, url: str) -> bool:
    try:
        await jetstream.observe(url, QueueQuery(streams=("any",)))
    except QueueUnavailable:
        return False
    return True
