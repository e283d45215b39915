"""A real NATS server with the configuration of a Stack, and a trust plane that answers it.

    async with running_stack(ObjectName(namespace="team", name="default"), tmp_path) as nats:
        math = await nats.agent("math")                  # durable, policy entry
        queue = nats.queue(math)                         # url, token file: what agent.json holds
        async with nats.connect_as(math) as client: ...  # a plain nats.py client
        async with nats.link_as(math) as link: ...       # our own transport

Everything is as the operator makes it: streams, buckets, permissions; nothing is opened for tests.
"""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client

from controller.api.stack import Stack
from controller.clients.jetstream import JetStream
from controller.clients.signing_keys import signing_key
from controller.desired.signing_keys import desired_keys
from controller.desired.streams import desired_buckets, desired_streams, dispatcher_consumers
from controller.desired.workload import ASKED_PENDING
from controller.errors import QueueUnavailable
from controller.local.aside import trust_keys
from controller.local.issuer import LocalIssuer
from controller.local.site import free_port
from controller.model import ClusterSite, Consumer, QueueThing
from runtime.contract.agent_config import Queue
from runtime.contract.keys import workload_entry
from runtime.contract.subjects import Bucket, StackSubjects, Stream, asked_durable, durable, inbox
from runtime.contract.trust_config import (
    Role,
    TokenRules,
    TokenService,
    TrustConfig,
    TrustedStack,
    UserIssuer,
    Workload,
)
from runtime.contract.txn_token import ASSERTION_AUDIENCE
from runtime.contract.value import ObjectName
from runtime.identity.source import proof_source
from runtime.tests.nats_process import NatsProcess, nats_servers
from runtime.transport.jetstream import Link, connect
from runtime.transport.port import Proof, Prove
from runtime.trust.plane import run_trust
from runtime.trust.sources import FileSource

OPERATOR = ObjectName(namespace="k8gentai-system", name="k8gentai-operator")
SYSTEM = ObjectName(namespace="k8gentai-system", name="k8gentai")
OPERATOR_WORKLOAD = Workload(role=Role.OPERATOR, name=SYSTEM)
AUDIENCE = "k8gentai"
DOMAIN = "example.org"


def service_account(workload: Workload) -> ObjectName:
    """The ServiceAccount that the operator gives to `workload`."""
    if workload.role is Role.OPERATOR:
        return OPERATOR
    name = f"{workload.role.lower()}-{workload.name.name}"
    return ObjectName(namespace=workload.name.namespace, name=name)


def prove(queue: Queue) -> Prove:
    """How the workload of `queue` proves who it is."""
    source = proof_source(queue)

    def proof() -> Proof:
        token = source.read()
        return Proof(token.token, token.expires)

    return proof


@dataclass
class RunningStack:
    """A Stack's queue that runs, and the hands of its operator.

    Shape:
        servers  one, or three that are a cluster; `server` is the first of them.
        errors   what servers complained about to plain clients.
        tokens   the transaction token service, once `serve_tokens` was called.
        users    whose users it takes.
    """

    stack: ObjectName
    folder: Path
    servers: tuple[NatsProcess, ...]
    issuer: LocalIssuer
    trust_file: Path
    errors: list[Exception] = field(default_factory=list)
    tokens: TokenService | None = None
    users: UserIssuer | None = None
    _trust: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to; several addresses are separated by commas."""
        return ",".join(server.url for server in self.servers)

    @property
    def server(self) -> NatsProcess:
        """The first of the servers, or the only one."""
        return self.servers[0]

    @property
    def subjects(self) -> StackSubjects:
        """All names of the Stack."""
        return StackSubjects(self.stack)

    async def agent(
        self,
        name: str,
        calls: Sequence[ObjectName] = (),
        ack_wait: float = 10,
        asks: Sequence[ObjectName] = (),
        max_ack_pending: int = 1000,
    ) -> Workload:
        """An Agent in the Stack's namespace: its durables and its policy entry exist.

        `max_ack_pending` is that of the tasks of clients.
        """
        agent = ObjectName(namespace=self.stack.namespace, name=name)
        workload = Workload(
            role=Role.AGENT,
            name=agent,
            durable=_durable(agent),
            calls=tuple(calls),
            asks=tuple(asks),
        )
        first = self._consumer(workload, Stream.TASKS, self.subjects.tasks(agent), ack_wait)
        asked = replace(
            first,
            durable=asked_durable(first.durable),
            filter_subject=self.subjects.asked(agent),
            max_ack_pending=ASKED_PENDING,
        )
        await self._admit(workload, replace(first, max_ack_pending=max_ack_pending), asked)
        return workload

    async def tool(self, name: str, ack_wait: float = 10) -> Workload:
        """A Tool in the Stack's namespace: its durable and its policy entry exist."""
        tool = ObjectName(namespace=self.stack.namespace, name=name)
        workload = Workload(role=Role.TOOL, name=tool, durable=_durable(tool))
        subject = self.subjects.calls_of(tool)
        await self._admit(workload, self._consumer(workload, Stream.CALLS, subject, ack_wait))
        return workload

    async def serving(self, role: Role) -> Workload:
        """The Stack's server or dispatcher: its policy entry exists."""
        workload = Workload(role=role, name=self.stack)
        await self.put_policy(workload)
        return workload

    async def put_policy(self, workload: Workload) -> None:
        """Write what `workload` is, as the operator does."""
        key = workload_entry(service_account(workload))
        await self.put(self.subjects.record(Bucket.POLICY, key), workload.encode())

    async def delete_policy(self, workload: Workload) -> None:
        """Take it away, as the operator does when the object is deleted."""
        key = workload_entry(service_account(workload))
        await self.put(self.subjects.record(Bucket.POLICY, key), b"", {"KV-Operation": "DEL"})

    async def put(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Keep `data` in the stream of `subject`, as the operator."""
        async with self.connect_as(OPERATOR_WORKLOAD) as client:
            await client.jetstream().publish(subject, data, headers=headers)

    def queue(self, workload: Workload, seconds: float = 3600) -> Queue:
        """What the configuration of `workload` says; its token file is written anew."""
        account = service_account(workload)
        path = self.folder / f"{account.namespace}.{account.name}.token"
        self.issuer.write_token(path, account, seconds)
        return Queue(stack=self.stack, url=self.url, token_file=str(path), service_account=account)

    @contextlib.asynccontextmanager
    async def connect_as(
        self, workload: Workload, *, token: str | None = None
    ) -> AsyncIterator[Client]:
        """A plain client; what the server complains about is added to `errors`."""
        account = service_account(workload)
        client = await self.connect(
            token=self.issuer.token(account, 3600) if token is None else token,
            inbox_prefix=f"{inbox(account)}.{secrets.token_hex(6)}",
        )
        try:
            yield client
        finally:
            await client.close()

    async def connect(self, **options: Any) -> Client:
        """A client with whatever options; `AuthorizationError` if not let in within 2 s."""
        client = Client()

        async def on_error(error: Exception) -> None:
            self.errors.append(error)

        try:
            await client.connect(
                self.url.split(","),
                allow_reconnect=False,
                connect_timeout=10,
                error_cb=on_error,
                **options,
            )
        except BaseException:
            await client.close()
            raise
        if not client.is_connected:
            # The server pings whom it has not let in yet; nats.py takes that for a yes.
            await client.close()
            raise nats.errors.AuthorizationError
        return client

    @contextlib.asynccontextmanager
    async def link_as(self, workload: Workload, seconds: float = 3600) -> AsyncIterator[Link]:
        """Our own transport, as the process of `workload` uses it; its token lives `seconds`."""
        queue = self.queue(workload, seconds)
        async with connect(queue, prove(queue), name=str(queue.service_account)) as link:
            await link.connection.current()
            yield link

    async def stop_trust(self) -> None:
        """The trust plane goes away."""
        if self._trust is not None:
            self._trust.cancel()
            await asyncio.gather(self._trust, return_exceptions=True)
            self._trust = None

    async def start_trust(self) -> None:
        """The trust plane is there and answers."""
        reached = asyncio.Event()

        def ready(is_ready: bool, sentence: str) -> None:
            if is_ready and sentence == "answering for 1 of 1 stacks":
                reached.set()

        source = FileSource(self.trust_file)
        self._trust = asyncio.create_task(
            run_trust(source, ready, read_seconds=0.02, look_seconds=0.2)
        )
        await asyncio.wait_for(reached.wait(), 20)

    async def serve_tokens(self, users: UserIssuer | None = None, **rules: Any) -> str:
        """Let the trust plane serve transaction tokens; gives the address of the service."""
        keys_file = self.folder / "signing.json"
        if not keys_file.exists():
            keys_file.write_bytes(desired_keys(None, signing_key, time.time()).encode())
        self.users = users
        self.tokens = TokenService(
            port=free_port(),
            rules=TokenRules(service=f"spiffe://{DOMAIN}/tokens", trust_domain=DOMAIN, **rules),
            audience=ASSERTION_AUDIENCE,
            signing_keys_file=str(keys_file),
        )
        await self.stop_trust()
        self.trust_file.write_bytes(trust_config(self).encode())
        await self.start_trust()
        return f"http://127.0.0.1:{self.tokens.port}"

    def assertion(self, workload: Workload, seconds: float = 600) -> str:
        """By what `workload` proves to the transaction token service who it is."""
        return self.issuer.token(service_account(workload), seconds, ASSERTION_AUDIENCE)

    async def create_all(self) -> None:
        """The streams and buckets of the Stack, as the operator makes them."""
        stack = _stack_resource(self.stack, len(self.servers))
        things: tuple[QueueThing, ...] = (
            *desired_streams(stack, self._site),
            *desired_buckets(stack, self._site),
            *dispatcher_consumers(stack),
        )
        async with self._operator() as operator:
            for thing in things:
                await _until_led(partial(operator.apply, self.url, thing))

    def _consumer(
        self, workload: Workload, stream: Stream, subject: str, ack_wait: float
    ) -> Consumer:
        return Consumer(
            stream=self.subjects.stream(stream),
            durable=str(workload.durable),
            filter_subject=subject,
            owner=f"{workload.role} {workload.name}",
            ack_wait=timedelta(seconds=ack_wait),
            max_deliver=100,
            max_ack_pending=1000,
        )

    async def _admit(self, workload: Workload, *consumers: Consumer) -> None:
        async with self._operator() as operator:
            for consumer in consumers:
                await operator.apply(self.url, consumer)
        await self.put_policy(workload)

    def _operator(self) -> contextlib.AbstractAsyncContextManager[JetStream]:
        token_file = self.folder / "operator.token"
        self.issuer.write_token(token_file, OPERATOR, 3600)
        return JetStream(OPERATOR, token_file).running()

    @property
    def _site(self) -> ClusterSite:
        return ClusterSite(
            namespace=SYSTEM.namespace,
            operator=OPERATOR,
            trust_keys=trust_keys(self.folder),
            issuers=(self.issuer.trusted(),),
            image_prefix="localhost",
            image_tag="none",
            seeds_dir=str(self.folder),
        )


@contextlib.asynccontextmanager
async def running_stack(
    stack: ObjectName, folder: Path, *, replicas: int = 1
) -> AsyncIterator[RunningStack]:
    """A Stack's queue, with its streams and buckets, for as long as the body runs."""
    servers = nats_servers(stack, folder, trust_keys(folder), replicas)
    running = RunningStack(stack, folder, servers, LocalIssuer(AUDIENCE), folder / "trust.json")
    try:
        await asyncio.gather(*(server.start() for server in servers))
        running.trust_file.write_bytes(trust_config(running).encode())
        await running.start_trust()
        await running.create_all()
        yield running
    finally:
        await running.stop_trust()
        for server in servers:  # a gentle end waits for whoever is not let in yet
            await server.stop(signal.SIGKILL)


def _stack_resource(stack: ObjectName, replicas: int) -> Stack:
    """The Stack that a user would have applied."""
    spec = {
        "models": [],
        "storage": {"sqlite": {}},
        "messaging": {"managed": {"replicas": replicas}},
    }
    metadata = {"namespace": stack.namespace, "name": stack.name}
    return Stack.model_validate({"metadata": metadata, "spec": spec})


async def _until_led(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until JetStream answers: a young cluster has no leader yet."""
    async with asyncio.timeout(30):
        while True:
            try:
                await ask()
            except QueueUnavailable:
                await asyncio.sleep(0.2)
            else:
                return


def trust_config(running: RunningStack) -> TrustConfig:
    """What the operator tells the trust plane."""
    return TrustConfig(
        audience=AUDIENCE,
        issuers=(running.issuer.trusted(),),
        operator=OPERATOR,
        account_seed_file=str(running.folder / "account.seed"),
        user_seed_file=str(running.folder / "user.seed"),
        xkey_seed_file=str(running.folder / "xkey.seed"),
        tokens=running.tokens,
        stacks=(TrustedStack(stack=running.stack, url=running.url, users=running.users),),
    )


def _durable(name: ObjectName) -> str:
    return durable(name.name, name.namespace, "7f4c1e1e-0000-4000-8000-000000000000")
