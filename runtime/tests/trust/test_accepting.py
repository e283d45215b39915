"""What a server accepts in the name of a user, with a real token service."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.amf.desk import Desk
from runtime.amf.errors import Forbidden, OutOfReach
from runtime.amf.granting import shown
from runtime.contract.agent_config import StackConfig, TokenAccess
from runtime.contract.messages import Message, Role, Task
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Workload
from runtime.contract.work import task_work
from runtime.tests.nats import DOMAIN, service_account
from runtime.tests.tools.place import queue
from runtime.tests.trust.token_requests import user_token
from runtime.tests.trust.token_scene import Scene
from runtime.transport.memory import MemoryQueue

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


class Server:
    """A desk of the Stack's server, and the queue that it publishes to."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.queue = MemoryQueue(scene.running.stack)
        self.queue.add_durable(Stream.TASKS, "math-1", self.queue.subjects.tasks(scene.math.name))
        self.link = self.queue.link()
        config = StackConfig(queue=queue(scene.server.name), tokens=access(scene, scene.server))
        self.desk = Desk(config, self.link)

    def record(self, user: str = "ada") -> RunRecord:
        now = time.time()
        return RunRecord(
            task=Task(
                id="t1",
                stack=self.scene.running.stack,
                agent=self.scene.math.name,
                origin="o",
                user=self.scene.users.principal(user),
                input=(Message(role=Role.USER, text="2+3?"),),
                created=now,
                deadline=now + 60,
            )
        )

    async def is_untouched(self) -> bool:
        keys = await self.link.store(Bucket.RUNS).keys(">")
        return not keys and not self.queue.messages(Stream.TASKS)


def access(scene: Scene, workload: Workload) -> TokenAccess:
    scene.client(workload)  # which writes the file
    account = service_account(workload)
    file = scene.running.folder / f"{account.namespace}.{account.name}.assertion"
    return TokenAccess(url=scene.url, trust_domain=DOMAIN, token_file=str(file))


@pytest_asyncio.fixture(loop_scope="module")
async def server(scene: Scene) -> AsyncIterator[Server]:
    server = Server(scene)
    async with server.desk.running():
        yield server


async def test_an_accepted_task_carries_the_grant_of_its_user(scene: Scene, server: Server) -> None:
    with shown(user_token(scene.users)):
        await server.desk.accept(server.record())
    (message,) = server.queue.messages(Stream.TASKS)
    task = Task.decode(message.data)
    held = await scene.client(scene.math).trade(str(task.grant), task_work(task))
    assert held.token.sub == task.user
    found = await server.desk.record(task.agent, task.id)
    assert found is not None
    assert found.task.grant == task.grant


@pytest.mark.fault(31)
async def test_nobody_runs_anything_as_somebody_else(scene: Scene, server: Server) -> None:
    with shown(user_token(scene.users, "eve")), pytest.raises(Forbidden, match="not that of"):
        await server.desk.accept(server.record("ada"))
    with pytest.raises(Forbidden, match="Nobody has shown"):
        await server.desk.accept(server.record("ada"))
    assert await server.is_untouched()


async def test_a_token_that_carries_nothing_is_told_so(scene: Scene, server: Server) -> None:
    token = user_token(scene.users, scope=None)
    with shown(token), pytest.raises(Forbidden, match="does not say what its scope is"):
        await server.desk.accept(server.record())
    assert await server.is_untouched()


async def test_while_nobody_can_say_nothing_is_accepted(scene: Scene, server: Server) -> None:
    await scene.running.stop_trust()
    with shown(user_token(scene.users)), pytest.raises(OutOfReach, match="ask again"):
        await server.desk.accept(server.record())
    await scene.running.start_trust()
    assert await server.is_untouched()
