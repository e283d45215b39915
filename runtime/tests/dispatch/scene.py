"""A Stack's queue with one Agent and one Tool, in memory or real, and everybody around it."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import nats.js.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from runtime.contract.agent_config import Framework, Queue, StackConfig
from runtime.contract.catalogue import AgentEntry, WhenBusy
from runtime.contract.dead_letter import DeadLetter
from runtime.contract.keys import agent_entry, ask_key, effect_key, run_key
from runtime.contract.messages import (
    Call,
    CallResult,
    Event,
    Message,
    Role,
    Task,
    decode_event,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import (
    DISPATCHER_DURABLE,
    Bucket,
    StackSubjects,
    Stream,
    asked_durable,
)
from runtime.contract.trust_config import Role as WorkloadRole
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.dispatch.lease import LeadershipLost
from runtime.dispatch.loop import Dispatcher
from runtime.dispatch.ports import Link, Ports
from runtime.state.conversation_head import Admission, Admitted, Waits
from runtime.state.conversations import Conversations
from runtime.state.runs import Held, Runs
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack, prove, running_stack
from runtime.tools.calls import step_of
from runtime.transport.keeper import Keeper
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Inbox, Store, Stored

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="team", name="add")
WRITER = ObjectName(namespace="team", name="writer")  # an Agent that MATH may ask
SUBJECTS = StackSubjects(STACK)
MAX_DELIVER = 2
UNLIMITED = 1_000_000
LEASE_SECONDS = 0.6
USER = "ann"

type Read = Callable[[Stream], Awaitable[list[Stored]]]
type Pull = Callable[[], Awaitable[Inbox]]


@dataclass
class Scene:
    """What a test does on the side of the server, of the workers and of a reader.

    Shape:
        link    a link with the rights of the API server; `caller` with those of the Agent.
        effects the ledger, with the rights of the Tool.
        catalogue  with the rights of the operator.
        read    everything that a stream holds.
        tasks   starts pulling the tasks of the Agent; `asked` those that other agents have asked
                for, `calls` the calls of the Tool.
        ports   what a dispatcher is given: a new link of its own for each.
        limit   lets the queue of tasks hold so many messages and no more.
        nats    the real queue, if it is one, and the workloads there: Agent and dispatcher.
    """

    link: Link
    caller: Link
    effects: Store
    catalogue: Store
    read: Read
    tasks: Pull
    asked: Pull
    calls: Pull
    ports: Callable[[], contextlib.AbstractAsyncContextManager[Ports]]
    limit: Callable[[int], Awaitable[None]]
    nats: RunningStack | None = None
    workloads: tuple[Workload, ...] = ()
    runs: Runs = field(init=False)
    conversations: Conversations = field(init=False)

    def __post_init__(self) -> None:
        self.runs = Runs(self.link.store(Bucket.RUNS))
        self.conversations = Conversations(self.link.store(Bucket.CONVERSATIONS))

    async def accept(self, task: Task, state: RunState = RunState.QUEUED, **fields: object) -> Held:
        """Write the run record of a task."""
        record = RunRecord(task=task, state=state)
        return await self.runs.accept(record.model_copy(update=fields))

    async def publish(self, task: Task) -> None:
        """Put a task into the queue."""
        await self.link.outbox.publish(SUBJECTS.tasks(task.agent), task.encode(), msg_id=task.id)

    async def publish_call(self, call: Call) -> None:
        """Put a call into the queue, as the Agent."""
        subject = SUBJECTS.calls(ADD, MATH)
        await self.caller.outbox.publish(subject, call.encode(), msg_id=call.id)

    async def publish_ask(self, call: Call) -> None:
        """Ask the other Agent, as the Agent; the queue does not know the call from before."""
        subject = SUBJECTS.asks(WRITER, MATH)
        await self.caller.outbox.publish(subject, call.encode())

    async def result(self, call: Call, seconds: float = 10) -> CallResult:
        """What came of a call, once something has."""

        async def look() -> bool:
            return await self.caller.store(Bucket.EFFECTS).get(call.id) is not None

        await until(look, seconds)
        entry = await self.caller.store(Bucket.EFFECTS).get(call.id)
        assert entry is not None
        return CallResult.decode(entry.value)

    async def submit(self, text: str, conversation: str) -> tuple[Task, Admission]:
        """What the API server does with a request in a conversation."""
        task = new_task(text, conversation=conversation)
        admission = await self.conversations.admit(
            conversation,
            USER,
            task.id,
            agent=task.agent,
            when_busy=WhenBusy.QUEUE,
            now=time.time(),
            deadline=task.deadline,
        )
        match admission:
            case Admitted(sequence, history):
                task = task.model_copy(update={"sequence": sequence})
                await self.accept(task)
                await self.publish(task.model_copy(update={"history": history}))
            case Waits(sequence):
                task = task.model_copy(update={"sequence": sequence})
                await self.accept(task, RunState.WAITING)
        return task, admission

    async def cancel(self, task: Task) -> None:
        """What the API server does when a client wants a run to end."""
        held = await self.held(task)
        record = held.record.model_copy(update={"cancel_requested": True})
        key = run_key(task.agent, task.id)
        await self.link.store(Bucket.RUNS).update(key, record.encode(), held.revision)

    async def tell_of(
        self, agent: ObjectName, *, cancelling: bool = False, **facts: object
    ) -> None:
        """What the operator does with an Agent that is there, or deleted with its runs."""
        entry = AgentEntry(
            agent=agent,
            model=agent.name,
            framework=Framework.LANGGRAPH,
            accepting=not cancelling,
            cancelling=cancelling,
        ).model_copy(update=facts)
        await self.catalogue.put(agent_entry(agent), entry.encode())

    async def held(self, task: Task) -> Held:
        """The record of a run that there is."""
        held = await self.runs.get(task.agent, task.id)
        assert held is not None
        return held

    async def ended(self, task: Task, seconds: float = 10) -> RunRecord:
        """The record of a run, once it has ended."""

        async def look() -> bool:
            return (await self.held(task)).record.state.is_end

        await until(look, seconds)
        return (await self.held(task)).record

    async def events(self, task: Task) -> list[Event]:
        """What was told of a run."""
        subject = SUBJECTS.events(task.agent, task.origin, task.id)
        stored = await self.read(Stream.EVENTS)
        return [decode_event(one.data) for one in stored if one.subject == subject]

    async def told(self, task: Task) -> Event:
        """The one event there is of a run, once there is one."""

        async def look() -> bool:
            return bool(await self.events(task))

        await until(look)
        (event,) = await self.events(task)
        return event

    async def letters(self) -> list[DeadLetter]:
        """Every dead letter."""
        stored = await self.read(Stream.DEAD)
        return [DeadLetter.read(one.headers, one.data) for one in stored]

    async def letter(self, seconds: float = 10) -> DeadLetter:
        """The one dead letter there is, once there is one."""

        async def look() -> bool:
            return bool(await self.letters())

        await until(look, seconds)
        (letter,) = await self.letters()
        return letter

    async def exhaust(self, pull: Pull, messages: int = 1) -> None:
        """Take messages as often as the queue delivers them, and bring none to an end."""
        inbox = await pull()
        for _ in range(MAX_DELIVER * messages):
            await (await asyncio.wait_for(inbox.next(), 5)).nak()
        # JetStream notices at the next request that there is one delivery too many.
        waiting = asyncio.create_task(inbox.next())
        await asyncio.wait({waiting}, timeout=0.3)
        waiting.cancel()
        await inbox.stop()

    @contextlib.asynccontextmanager
    async def dispatching(self) -> AsyncIterator[Dispatcher]:
        """A dispatcher for as long as the body runs; it ends well."""
        stopping = asyncio.Event()
        async with self.ports() as ports:
            dispatcher = Dispatcher(stack_config(), ports)
            running = asyncio.create_task(dispatcher.run(stopping))
            try:
                yield dispatcher
            finally:
                stopping.set()
                await asyncio.wait_for(running, 2)


def new_task(text: str = "1 + 1", *, seconds: float = 60, conversation: str | None = None) -> Task:
    """A task that nobody knows yet."""
    return Task(
        id=uuid.uuid4().hex,
        stack=STACK,
        agent=MATH,
        origin="api",
        user=USER,
        conversation=conversation,
        input=(Message(role=Role.USER, text=text),),
        created=time.time(),
        deadline=time.time() + seconds,
    )


def new_call() -> Call:
    """A call of the Tool by the Agent that nobody knows yet."""
    task = uuid.uuid4().hex
    return Call(
        id=effect_key(ADD, MATH, task, 1, 0),
        task=task,
        step=1,
        index=0,
        caller=MATH,
        tool=ADD,
        function="add",
        arguments={"a": 1},
        worker="w",
        deadline=time.time() + 60,
    )


def new_ask(task: Task, text: str = "write", *, seconds: float = 60) -> Call:
    """What a run of the Agent asks of the other one."""
    arguments = {"input": text}
    step = step_of("writer", arguments)
    return Call(
        id=ask_key(WRITER, MATH, task.id, step, 0),
        task=task.id,
        step=step,
        index=0,
        caller=MATH,
        tool=WRITER,
        function="writer",
        arguments=arguments,
        worker="w",
        deadline=time.time() + seconds,
    )


def stack_config(lease_seconds: float = LEASE_SECONDS) -> StackConfig:
    """What a dispatcher is configured with; its link is made by the test."""
    queue = Queue(stack=STACK, url="", token_file="", service_account=STACK)
    return StackConfig(queue=queue, lease_seconds=lease_seconds)


def dispatcher_config(scene: Scene) -> StackConfig:
    """What a dispatcher is configured with as a process of its own."""
    assert scene.nats
    _, dispatcher = scene.workloads
    return StackConfig(queue=scene.nats.queue(dispatcher), lease_seconds=LEASE_SECONDS)


def crash_after(writes: int) -> Callable[[], None]:
    """A fence that lets so many writes through, and then none."""
    left = iter(range(writes))

    def check() -> None:
        if next(left, None) is None:
            raise LeadershipLost("crashed")

    return check


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def memory_scene() -> AsyncIterator[Scene]:
    """The scene in memory."""
    queue = MemoryQueue(STACK)
    link = queue.link()
    queue.add_durable(Stream.TASKS, "math-1", SUBJECTS.tasks(MATH), max_deliver=MAX_DELIVER)
    queue.add_durable(Stream.TASKS, "math-1_asked", SUBJECTS.asked(MATH), max_deliver=MAX_DELIVER)
    queue.add_durable(Stream.CALLS, "add-1", SUBJECTS.calls_of(ADD), max_deliver=MAX_DELIVER)
    queue.add_durable(Stream.ADVISORIES, DISPATCHER_DURABLE, ">")
    queue.add_durable(
        Stream.CALLS, DISPATCHER_DURABLE, SUBJECTS.every("asks"), max_deliver=UNLIMITED
    )

    async def read(stream: Stream) -> list[Stored]:
        return queue.messages(stream)

    def puller(stream: Stream, durable: str) -> Pull:
        async def pull() -> Inbox:
            return link.inbox(stream, durable)

        return pull

    @contextlib.asynccontextmanager
    async def ports() -> AsyncIterator[Ports]:
        advisories = puller(Stream.ADVISORIES, DISPATCHER_DURABLE)
        yield Ports.of(link, advisories, puller(Stream.CALLS, DISPATCHER_DURABLE))

    async def limit(messages: int) -> None:
        queue._max_messages = messages

    yield Scene(
        link=link,
        caller=link,
        effects=link.store(Bucket.EFFECTS),
        catalogue=link.store(Bucket.CATALOGUE),
        read=read,
        tasks=puller(Stream.TASKS, "math-1"),
        asked=puller(Stream.TASKS, "math-1_asked"),
        calls=puller(Stream.CALLS, "add-1"),
        ports=ports,
        limit=limit,
    )


@contextlib.asynccontextmanager
async def nats_scene(
    folder: Path, *, max_deliver: int = MAX_DELIVER, ack_wait: float = 10
) -> AsyncIterator[Scene]:
    """The scene on a real server, with the rights that everybody really has."""
    async with contextlib.AsyncExitStack() as stack:
        nats = await stack.enter_async_context(running_stack(STACK, folder))
        math, add = await nats.agent("math", calls=(ADD,), asks=(WRITER,)), await nats.tool("add")
        operator = await stack.enter_async_context(nats.connect_as(OPERATOR_WORKLOAD))
        for durable in _durables(math, add, max_deliver, ack_wait):
            await operator.jsm().add_consumer(*durable)
        server = await nats.serving(WorkloadRole.SERVER)
        dispatcher = await nats.serving(WorkloadRole.DISPATCHER)
        hands = await stack.enter_async_context(nats.link_as(OPERATOR_WORKLOAD))

        async def read(stream: Stream) -> list[Stored]:
            return await _everything(operator, stream)

        def puller(workload: Workload, stream: Stream, durable: str | None = None) -> Pull:
            async def pull() -> Inbox:
                link = await stack.enter_async_context(nats.link_as(workload))
                queue = nats.queue(workload)
                keeper = stack.enter_context(Keeper(queue, prove(queue), ack_wait_seconds=1))
                name = durable or workload.durable or DISPATCHER_DURABLE
                return await link.inbox(keeper, stream, name, slots=8, hold_seconds=60)

            return pull

        @contextlib.asynccontextmanager
        async def ports() -> AsyncIterator[Ports]:
            async with nats.link_as(dispatcher) as link:
                advisories = puller(dispatcher, Stream.ADVISORIES)
                yield Ports.of(link, advisories, puller(dispatcher, Stream.CALLS))

        async def limit(messages: int) -> None:
            config = (await operator.jsm().stream_info(SUBJECTS.stream(Stream.TASKS))).config
            await operator.jsm().update_stream(config, max_msgs=messages)

        yield Scene(
            link=await stack.enter_async_context(nats.link_as(server)),
            caller=await stack.enter_async_context(nats.link_as(math)),
            effects=(await stack.enter_async_context(nats.link_as(add))).store(Bucket.EFFECTS),
            catalogue=hands.store(Bucket.CATALOGUE),
            read=read,
            tasks=puller(math, Stream.TASKS),
            asked=puller(math, Stream.TASKS, asked_durable(str(math.durable))),
            calls=puller(add, Stream.CALLS),
            ports=ports,
            limit=limit,
            nats=nats,
            workloads=(math, dispatcher),
        )


def _durables(
    math: Workload, add: Workload, max_deliver: int, ack_wait: float
) -> list[tuple[str, ConsumerConfig]]:
    """As the operator makes them, but given up or taken away early."""

    def durable(
        stream: Stream, name: str | None, subject: str | None, wait: float, most: int
    ) -> tuple[str, ConsumerConfig]:
        return SUBJECTS.stream(stream), ConsumerConfig(
            durable_name=name,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=wait,
            max_deliver=most,
        )

    return [
        durable(Stream.TASKS, math.durable, SUBJECTS.tasks(MATH), ack_wait, max_deliver),
        durable(
            Stream.TASKS,
            asked_durable(str(math.durable)),
            SUBJECTS.asked(MATH),
            ack_wait,
            max_deliver,
        ),
        durable(Stream.CALLS, add.durable, SUBJECTS.calls_of(ADD), ack_wait, max_deliver),
        durable(Stream.ADVISORIES, DISPATCHER_DURABLE, None, 2, -1),
    ]


async def _everything(operator: Client, stream: Stream) -> list[Stored]:
    manager, name = operator.jsm(), SUBJECTS.stream(stream)
    state = (await manager.stream_info(name)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1 if state.messages else 0):
        with contextlib.suppress(LookupError):
            found.append(await _one(operator, name, sequence))
    return found


async def _one(operator: Client, name: str, sequence: int) -> Stored:
    try:
        message = await operator.jsm().get_msg(name, sequence)
    except nats.js.errors.NotFoundError as error:
        raise LookupError(str(error)) from error
    return Stored(
        message.subject or "", message.data or b"", message.seq or 0, message.headers or {}
    )
