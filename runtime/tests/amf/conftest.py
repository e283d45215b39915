import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.amf.flavour import IS_OGX
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.dispatch.ends import Ends
from runtime.dispatch.ports import Ports
from runtime.dispatch.supervision import Supervision
from runtime.tests.amf.server import Server, running_server
from runtime.tests.amf.tap import TAP
from runtime.tests.amf.users import Users, two_users
from runtime.tests.amf.wire import Tapped, taken
from runtime.tests.nats import running_stack
from runtime.transport.port import Inbox

collect_ignore = [] if IS_OGX else ["test_ogx.py"]


@contextlib.contextmanager
def silent_model() -> Iterator[str]:
    """The URL of a model that takes connections and never answers: a server starts without it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.fixture(scope="session", autouse=True)
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tapped]:
    """All that servers of this session stream."""
    file: Path = tmp_path_factory.mktemp("tapped") / "events"
    found = Tapped(file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(TAP, str(file))
        yield found
    found.check()


@pytest.fixture(autouse=True)
def every_event_is_one_that_clients_know(
    tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever a test streams, in its own process or from a server, is checked in its end."""
    with taken(monkeypatch):
        yield
    tapped.check()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The server of the Stack `team/default`, on a real queue; shared by all tests."""
    folder = tmp_path_factory.mktemp("stack")
    home = tmp_path_factory.mktemp("server")
    (home / ".llama").mkdir()  # as Llama Stack leaves it, and OGX would take it along
    with silent_model() as model_url:
        async with (
            running_stack(ObjectName(namespace="team", name="default"), folder) as nats,
            running_server(nats, home, model_url=model_url) as running,
        ):
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def people(server: Server) -> AsyncIterator[Server]:
    """The server, and somebody who brings parked runs on."""

    async def nothing() -> Inbox:
        raise AssertionError("who looks after runs takes no deliveries")

    workload = await server.nats.serving(Role.DISPATCHER)
    async with server.nats.link_as(workload) as link:
        ports = Ports.of(link, nothing, nothing)
        work = asyncio.create_task(Supervision(ports, Ends(ports), event_seconds=3600).run())
        try:
            yield server
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A second server of the same Stack."""
    async with running_server(server.nats, tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def users(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Users]:
    """Two users at a third one, which wants to know who they are."""
    async with two_users(server, tmp_path_factory.mktemp("guarded")) as both:
        yield both
