"""A Stack with a server, two agents and a tool, and the token service that serves it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from controller.local.site import free_port
from runtime.contract.trust_config import Role, TrustConfig, Workload
from runtime.contract.txn_token import ACCESS_TOKEN, GRANT, Work, digest
from runtime.contract.value import ObjectName
from runtime.identity.exchange import Held, TokenClient
from runtime.tests.issuer import UserIssuer
from runtime.tests.nats import DOMAIN, RunningStack, running_stack
from runtime.tests.trust.token_requests import client_of, post, trusted, user_token
from runtime.trust.plane import run_trust
from runtime.trust.sources import FileSource
from runtime.verify import Verifier

TASK = Work("f00d", digest("what is 1 + 2"))
ADD = ObjectName(namespace="team", name="add")


@dataclass
class Scene:
    """A Stack with a server, two agents and a tool, and the service that serves it."""

    running: RunningStack
    url: str
    users: UserIssuer
    server: Workload
    math: Workload
    other: Workload
    add: Workload
    clients: dict[str, TokenClient] = field(default_factory=dict)

    @property
    def verifier(self) -> Verifier:
        """As a tool outside of the platform has it."""
        return Verifier(trust_domain=DOMAIN, keys=f"{self.url}/jwks")

    def client(self, workload: Workload) -> TokenClient:
        """The one client of a workload, as long as the scene lasts."""
        name = f"{workload.role} {workload.name}"
        if name not in self.clients:
            self.clients[name] = client_of(self.running, workload, self.url)
        return self.clients[name]

    @contextlib.asynccontextmanager
    async def replica(self) -> AsyncIterator[str]:
        """Another trust plane on the same keys, elsewhere; gives the address of its service."""
        config = TrustConfig.decode(self.running.trust_file.read_bytes())
        assert config.tokens is not None
        tokens = config.tokens.model_copy(update={"port": free_port()})
        path = self.running.folder / "replica.json"
        path.write_bytes(config.model_copy(update={"tokens": tokens}).encode())
        ready = asyncio.Event()

        def on_ready(_: object, sentence: str) -> None:
            if sentence == "answering for 1 of 1 stacks":
                ready.set()

        plane = asyncio.create_task(run_trust(FileSource(path), on_ready, read_seconds=0.02))
        await asyncio.wait_for(ready.wait(), 20)
        try:
            yield f"http://127.0.0.1:{tokens.port}"
        finally:
            plane.cancel()
            await asyncio.gather(plane, return_exceptions=True)

    async def grant(self, work: Work = TASK, **claims: Any) -> str:
        user, stack = user_token(self.users, **claims), self.running.stack
        return await self.client(self.server).task_grant(user, stack, self.math.name, work)

    async def token(self) -> Held:
        return await self.client(self.math).trade(await self.grant(), TASK)

    async def asked(self, workload: Workload, **fields: str) -> httpx.Response:
        """A request of `workload` for a grant, of which some fields are other ones."""
        details = {
            "stack": "team/default",
            "agent": "team/math",
            "work": TASK.id,
            "digest": TASK.digest,
        }
        default = {
            "subject_token": user_token(self.users),
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": GRANT,
        }
        return await post(self.url, self.running.assertion(workload), details, **(default | fields))


@contextlib.asynccontextmanager
async def token_scene(folder: Path) -> AsyncIterator[Scene]:
    """All of it, for as long as the body runs."""
    stack = ObjectName(namespace="team", name="default")
    with UserIssuer() as users:
        async with running_stack(stack, folder) as running:
            other = await running.agent("other")
            made = Scene(
                running=running,
                url=await running.serve_tokens(trusted(users)),
                users=users,
                server=await running.serving(Role.SERVER),
                math=await running.agent("math", calls=[ADD], asks=[other.name]),
                other=other,
                add=await running.tool("add"),
            )
            yield made
            for client in made.clients.values():
                client.close()
