"""An agent and its tool `add` on a queue in memory, and an executor that plays a script."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.contract.agent_config import (
    AgentConfig,
    Declarative,
    Execution,
    Framework,
    Model,
    Queue,
    Retry,
    SideEffects,
    ToolBinding,
    ToolConfig,
)
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.keys import agent_account, effect_key, workload_entry
from runtime.contract.messages import Call, CallResult, Message, Role, Task
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Role as Admitted
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.identity.delegation import Delegations
from runtime.state.ledger import Ledger
from runtime.state.rights import Rights
from runtime.tools.calls import Calls, step_of
from runtime.tools.executors import announce
from runtime.tools.port import Announced
from runtime.tools.signed import SignedCalls
from runtime.tools.toolbox import CatalogueToolbox
from runtime.tools.worker import CallHandler
from runtime.transport.memory import MemoryDelivery, MemoryQueue
from runtime.transport.port import Entry
from runtime.worker.loop import Worker
from runtime.worker.slots import Places

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="team", name="add")
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
SPEC = FunctionSpec(name="add", description="Add.", input_schema=NUMBERS)

type Play = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def adding(function: str, arguments: dict[str, Any]) -> Any:
    assert function == "add"
    return arguments["a"] + arguments["b"]


@dataclass
class Scripted:
    """An executor that plays what the test says, and remembers what it was asked."""

    play: Play = adding
    functions: tuple[FunctionSpec, ...] = (SPEC,)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def why_not(self) -> str | None:
        return None

    async def call(self, function: str, arguments: dict[str, Any], key: str) -> Any:
        self.asked.append(arguments)
        self.keys.append(key)
        return await self.play(function, arguments)


def queue(of: ObjectName, url: str = "nats://nowhere") -> Queue:
    return Queue(stack=STACK, url=url, token_file="none", service_account=of)


def agent_config(*tools: ToolBinding, **facts: Any) -> AgentConfig:
    return AgentConfig(
        **{
            "agent": MATH,
            "queue": queue(MATH),
            "durable": "math-1",
            "framework": Framework.LANGGRAPH,
            "declarative": Declarative(instructions="You add."),
            "model": Model(id="small/m", base_url="http://nowhere/v1"),
            "tools": tools or (ToolBinding(tool=ADD, timeout_seconds=20),),
        }
        | facts
    )


def tool_config(
    side_effects: SideEffects = SideEffects.IDEMPOTENT,
    *,
    timeout_seconds: int = 10,
    max_attempts: int = 3,
    **facts: Any,
) -> ToolConfig:
    return ToolConfig(
        tool=ADD,
        queue=queue(ADD),
        durable="add-1",
        side_effects=side_effects,
        execution=Execution(timeout_seconds=timeout_seconds),
        retry=Retry(max_attempts=max_attempts),
        **facts,
    )


def task(task_id: str = "t1", seconds: float = 30) -> Task:
    said = Message(role=Role.USER, text="2+3?")
    now = time.time()
    return Task(
        id=task_id,
        stack=STACK,
        agent=MATH,
        origin="o",
        input=(said,),
        created=now,
        deadline=now + seconds,
    )


def call(a: int = 2, b: int = 3, *, index: int = 0, seconds: float = 30, **facts: Any) -> Call:
    arguments = {"a": a, "b": b}
    step = step_of("add", arguments)
    fields: dict[str, Any] = {
        "id": effect_key(ADD, MATH, "t1", step, index),
        "task": "t1",
        "step": step,
        "index": index,
        "caller": MATH,
        "tool": ADD,
        "function": "add",
        "arguments": arguments,
        "worker": "w1",
        "deadline": time.time() + seconds,
    }
    return Call(**fields | facts)


class Place:
    """The Stack in memory."""

    def __init__(
        self,
        play: Play = adding,
        config: ToolConfig | None = None,
        delegations: Delegations | None = None,
    ) -> None:
        self.queue = MemoryQueue(STACK)
        self.queue.add_durable(Stream.CALLS, "add-1", self.queue.subjects.calls_of(ADD))
        self.link = self.queue.link()
        self.effects = self.link.store(Bucket.EFFECTS)
        self.catalogue = self.link.store(Bucket.CATALOGUE)
        self.ledger = Ledger(self.effects)
        self.executor = Scripted(play)
        self.config = config or tool_config()
        self.policy = self.link.store(Bucket.POLICY)
        self.rights = Rights(self.policy, fresh_seconds=0)
        self.handler = CallHandler(
            self.config,
            self.executor,
            self.ledger,
            self.rights,
            self.link.outbox,
            SignedCalls(delegations),
            look_seconds=0.01,
        )
        self.allow(ADD)
        self.places = Places.with_own(1)
        self.told: list[Announced] = []

    def allow(self, *tools: ObjectName, asks: tuple[ObjectName, ...] = ()) -> None:
        """What the agent may call from now on, as the operator writes it."""
        allowed = Workload(role=Admitted.AGENT, name=MATH, durable="d", calls=tools, asks=asks)
        key = workload_entry(agent_account(MATH))
        buckets = self.queue.buckets
        entries = buckets.entries[self.queue.subjects.bucket(Bucket.POLICY)]
        entries[key] = Entry(key, allowed.encode(), next(buckets.revisions))

    async def tell(self, what: Announced) -> None:
        self.told.append(what)

    async def publish(self, asked: Call, msg_id: str | None = None) -> None:
        subject = self.queue.subjects.calls(ADD, MATH)
        await self.link.outbox.publish(subject, asked.encode(), msg_id=msg_id)

    async def delivery(self) -> MemoryDelivery:
        return await self.link.inbox(Stream.CALLS, "add-1").next()

    async def record(self, asked: Call) -> CallResult | None:
        return (await self.ledger.read(asked.id)).record

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """The tool's worker works for as long as the body runs."""
        worker = Worker([self.link.inbox(Stream.CALLS, "add-1")], self.handler)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain(5)
            await running

    @contextlib.asynccontextmanager
    async def toolbox(
        self,
        config: AgentConfig | None = None,
        *,
        worker: str = "w1",
        delegations: Delegations | None = None,
        **facts: Any,
    ) -> AsyncIterator[CatalogueToolbox]:
        """The agent's toolbox, once the tool has said what it can do."""
        config = config or agent_config()
        agents = tuple(one.agent for one in config.agents)
        self.allow(*(one.tool for one in config.tools), asks=agents)
        await announce(self.config, self.executor.functions, self.catalogue)
        calls = Calls(
            self.link.outbox, self.effects, self.queue.subjects, caller=MATH, worker=worker, **facts
        )
        box = CatalogueToolbox(
            config, self.catalogue, self.rights, calls, self.places, delegations=delegations
        )
        async with calls.running():
            await box.open()
            yield box
