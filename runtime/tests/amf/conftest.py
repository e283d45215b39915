from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.contract.value import ObjectName
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import running_stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The server of the Stack `team/default`, on a real queue; shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("stack")
    async with (
        running_stack(ObjectName(namespace="team", name="default"), folder) as nats,
        running_server(nats, tmp_path_factory.mktemp("server")) as running,
    ):
        yield running
