import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from runtime.contract.value import ObjectName
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import running_stack


@contextlib.contextmanager
def silent_model() -> Iterator[str]:
    """The URL of a model that takes connections and never answers: a server starts without it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The server of the Stack `team/default`, on a real queue; shared by all tests."""
    folder = tmp_path_factory.mktemp("stack")
    home = tmp_path_factory.mktemp("server")
    with silent_model() as model_url:
        async with (
            running_stack(ObjectName(namespace="team", name="default"), folder) as nats,
            running_server(nats, home, model_url=model_url) as running,
        ):
            yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A second server of the same Stack."""
    async with running_server(server.nats, tmp_path_factory.mktemp("other")) as running:
        yield running
