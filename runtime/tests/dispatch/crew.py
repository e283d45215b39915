"""Agents that ask each other on a real queue: their workers, a dispatcher, and a client."""

import asyncio
import contextlib
import secrets
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.contract.agent_config import (
    AgentBinding,
    AgentConfig,
    Declarative,
    Execution,
    Framework,
    Model,
    Module,
    Retry,
    StackConfig,
)
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import agent_entry, keys_of, run_key
from runtime.contract.messages import Message, Role, Task
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Role as WorkloadRole
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.processes.agent import _work
from runtime.processes.process import Readiness
from runtime.processes.worker import Host
from runtime.settings import Settings
from runtime.state.runs import Runs
from runtime.tests.agents import COUNT
from runtime.tests.dispatch.processes import Started, start
from runtime.tests.dispatch.scene import LEASE_SECONDS, until
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack, prove
from runtime.transport.jetstream import Link
from runtime.transport.keeper import Keeper

ACK_WAIT = 2.0


@dataclass
class Crew:
    """The agents of a Stack.

    Shape:
        model     address of a stand-in model: whoever is asked to ask another one does so.
        server    with the rights of the API server.
        operator  with the rights of the operator.
    """

    nats: RunningStack
    folder: Path
    model: str
    server: Link
    operator: Link
    configs: dict[str, AgentConfig] = field(default_factory=dict)
    workloads: dict[str, Workload] = field(default_factory=dict)
    started: list[Started] = field(default_factory=list)

    async def add(
        self,
        name: str,
        asks: Sequence[str] = (),
        framework: Framework = Framework.LANGGRAPH,
        source: str | None = None,
        max_ack_pending: int = 1000,
    ) -> None:
        """An agent with one place, from instructions or of a module with this source."""
        others = [self.named(other) for other in asks]
        workload = await self.nats.agent(
            name, ack_wait=ACK_WAIT, asks=others, max_ack_pending=max_ack_pending
        )
        users = f"users_{name}_{next(COUNT)}"  # a process imports a name once
        if source is not None:
            (self.folder / f"{users}.py").write_text(textwrap.dedent(source))
        module = Module(entrypoint=f"{users}:graph", path=str(self.folder))
        self.workloads[name] = workload
        self.configs[name] = AgentConfig(
            agent=workload.name,
            queue=self.nats.queue(workload),
            durable=str(workload.durable),
            framework=framework,
            declarative=Declarative(instructions="You help.") if source is None else None,
            module=None if source is None else module,
            model=Model(id="stand-in", base_url=self.model),
            agents=tuple(AgentBinding(agent=other) for other in others),
            execution=Execution(timeout_seconds=60, ack_wait_seconds=ACK_WAIT, concurrency=1),
            retry=Retry(max_attempts=3),
        )
        entry = AgentEntry(agent=workload.name, model=name, framework=framework, ready=True)
        key = agent_entry(workload.name)
        await self.operator.store(Bucket.CATALOGUE).put(key, entry.encode())

    def named(self, name: str) -> ObjectName:
        """The object of an agent."""
        return ObjectName(namespace=self.nats.stack.namespace, name=name)

    @contextlib.asynccontextmanager
    async def working(self, *names: str) -> AsyncIterator[None]:
        """One worker each, here in this process, for as long as the body runs."""
        async with contextlib.AsyncExitStack() as stack:
            for name in names or tuple(self.configs):
                await stack.enter_async_context(self._worker(name))
            yield

    @contextlib.asynccontextmanager
    async def _worker(self, name: str) -> AsyncIterator[None]:
        config, readiness = self.configs[name], Readiness()
        settings = Settings(
            config=self.folder,
            host="127.0.0.1",
            health_port=0,
            drain_seconds=0,
            termination_log=self.folder / f"{name}.last",
            process=secrets.token_hex(5),
        )
        proof = prove(config.queue)
        with Keeper(config.queue, proof, ack_wait_seconds=ACK_WAIT) as keeper:
            async with self.nats.link_as(self.workloads[name]) as link:
                work = asyncio.create_task(_work(Host(settings, link, keeper, readiness), config))

                async def ready() -> bool:
                    assert not work.done(), work
                    return readiness.starting is None

                try:
                    await until(ready, 60)
                    yield
                finally:
                    work.cancel()
                    await asyncio.wait({work})

    async def start(self, name: str) -> Started:
        """A worker as a process of its own."""
        return await self._start(name, "worker", f"agent/{self.named(name)}", self.configs[name])

    async def dispatcher(self) -> Started:
        """A dispatcher as a process of its own."""
        queue = self.nats.queue(await self.nats.serving(WorkloadRole.DISPATCHER))
        config = StackConfig(queue=queue, lease_seconds=LEASE_SECONDS)
        return await self._start("dispatcher", "dispatch", f"stack/{self.nats.stack}", config)

    async def _start(
        self, name: str, verb: str, whom: str, config: AgentConfig | StackConfig
    ) -> Started:
        name = f"{name}{len(self.started)}"
        self.started.append(await start(self.folder, name, verb, whom, config=config))
        return self.started[-1]

    async def ask(self, name: str, text: str, seconds: float = 60) -> Task:
        """What the API server does with a request."""
        task = Task(
            id=uuid.uuid4().hex,
            stack=self.nats.stack,
            agent=self.named(name),
            origin="api",
            user="ann",
            input=(Message(role=Role.USER, text=text),),
            created=time.time(),
            deadline=time.time() + seconds,
        )
        await Runs(self.server.store(Bucket.RUNS)).accept(RunRecord(task=task))
        subject = self.server.subjects.tasks(task.agent)
        await self.server.outbox.publish(subject, task.encode(), msg_id=task.id)
        return task

    async def cancel(self, task: Task) -> None:
        """What the API server does when a client wants a run to end."""
        held = await Runs(self.server.store(Bucket.RUNS)).get(task.agent, task.id)
        assert held is not None
        record = held.record.model_copy(update={"cancel_requested": True})
        store, key = self.server.store(Bucket.RUNS), run_key(task.agent, task.id)
        await store.update(key, record.encode(), held.revision)
        await self.server.outbox.signal(self.server.subjects.cancel(task.agent, task.id))

    async def ended(self, task: Task, seconds: float = 60) -> RunRecord:
        """The record of a run, once it has ended."""

        async def look() -> bool:
            return (await self._record(task)).state.is_end

        await until(look, seconds)
        return await self._record(task)

    async def runs(self, name: str) -> list[RunRecord]:
        """Every run of an agent."""
        found: list[RunRecord] = []
        store = self.operator.store(Bucket.RUNS)
        async for entry in store.watch(keys_of(self.named(name))):
            if entry is None:
                return found
            found.append(RunRecord.decode(entry.value))
        raise AssertionError("a watch has no end")

    async def deliveries(self, name: str) -> int:
        """How often tasks of clients for an agent were delivered, whatever came of it."""
        async with self.nats.connect_as(OPERATOR_WORKLOAD) as client:
            stream, durable = self.nats.subjects.stream(Stream.TASKS), self.configs[name].durable
            info = await client.jetstream().consumer_info(stream, durable)
        return int(info.delivered.consumer_seq)

    async def _record(self, task: Task) -> RunRecord:
        held = await Runs(self.server.store(Bucket.RUNS)).get(task.agent, task.id)
        assert held is not None
        return held.record


@contextlib.asynccontextmanager
async def crew(nats: RunningStack, folder: Path, model: str) -> AsyncIterator[Crew]:
    """A crew without anybody; whatever process it started is gone afterwards."""
    server = await nats.serving(WorkloadRole.SERVER)
    async with nats.link_as(server) as link, nats.link_as(OPERATOR_WORKLOAD) as operator:
        made, before = Crew(nats, folder, model, link, operator), list(sys.path)
        try:
            yield made
        finally:
            sys.path[:] = before
            for one in made.started:
                await one.kill()
