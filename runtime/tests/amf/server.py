"""A real server of a Stack, in a process of its own, beside a real queue."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from controller.local.site import free_port
from runtime.amf.flavour import IS_OGX
from runtime.contract.agent_config import Framework, Queue
from runtime.contract.catalogue import AgentEntry, ToolEntry, WhenBusy
from runtime.contract.keys import agent_entry, tool_entry
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.amf.tap import serve_tapped
from runtime.tests.forks import Forked, forked
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack

RUN_CONFIG = Path(__file__).parent / "run.yaml"
START_SECONDS = 200


def server_config() -> dict[str, Any]:
    """The run config for the server of this environment."""
    config: dict[str, Any] = yaml.safe_load(RUN_CONFIG.read_text())
    if IS_OGX:
        stores = {
            name: {"table_name": name, "backend": "sql"} for name in ("prompts", "connectors")
        }
        config["storage"]["stores"].update(stores)
        del config["providers"]["responses"][0]["config"]["builtin"]["persistence"]["agent_state"]
    return config


def write_server_config(folder: Path) -> Path:
    """The run config for the server of this environment, in a file in `folder`."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(server_config()))
    return path


@dataclass
class Server:
    """The process; `url` is what clients use, without `/v1`."""

    nats: RunningStack
    folder: Path
    environment: dict[str, str]
    port: int
    health_port: int
    process: Forked | asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self.launch()
        await self.until_ready()

    async def launch(self) -> None:
        """Start it, whether or not it can be ready."""
        self.process = await forked(
            serve_tapped,
            environment=os.environ | self.environment,
            log=self.folder / "server.log",
        )

    async def launch_command(self) -> None:
        """Start it by its command line, as it does where it starts further processes itself."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runtime", "serve", f"stack/{self.nats.stack}"),
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
            )

    async def until_ready(self) -> None:
        """Wait until it is ready."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        async with asyncio.timeout(START_SECONDS):
            while await self.readiness() != 200:
                if self.process.returncode is not None:
                    raise RuntimeError(self.log)
                await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """Stop it gently; gives its exit code."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        return await self.process.wait()

    async def kill(self) -> None:
        """Let it end as if its machine had."""
        if self.process is None:
            raise RuntimeError("the server was not started")
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def readiness(self) -> int:
        """The status of `/ready`, 0 when nobody answers."""
        status, _ = await self.why_not_ready()
        return status

    async def why_not_ready(self) -> tuple[int, str]:
        """The status of `/ready`, and what it says; 0 when nobody answers."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.health_port}/ready")
            except httpx.TransportError:
                return 0, ""
            return answer.status_code, answer.text.strip()

    async def add_agent(
        self,
        name: str,
        *,
        namespace: str = "team",
        accepting: bool = True,
        leaving: bool = False,
        available: bool = True,
        reason: str = "",
        message: str = "",
        when_busy: WhenBusy = WhenBusy.QUEUE,
        timeout_seconds: int = 60,
        max_input_bytes: int = 524288,
        description: str = "",
        tools: Sequence[ObjectName] = (),
        agents: Sequence[ObjectName] = (),
        framework: Framework = Framework.LANGGRAPH,
    ) -> AgentEntry:
        """Write an Agent into the catalogue, as the operator does."""
        model = name if namespace == self.nats.stack.namespace else f"{namespace}.{name}"
        entry = AgentEntry(
            agent=ObjectName(namespace=namespace, name=name),
            model=model,
            framework=framework,
            description=description,
            accepting=accepting,
            leaving=leaving,
            available=available,
            reason=reason,
            message=message,
            when_busy=when_busy,
            timeout_seconds=timeout_seconds,
            max_input_bytes=max_input_bytes,
            tools=tuple(tools),
            service_account=ObjectName(namespace=namespace, name=f"agent-{name}"),
            agents=tuple(agents),
        )
        await self.tell(entry)
        return entry

    async def tell(self, entry: AgentEntry) -> None:
        """Write what is known of an Agent into the catalogue, as the operator does."""
        async with self.nats.link_as(OPERATOR_WORKLOAD) as link:
            await link.store(Bucket.CATALOGUE).put(agent_entry(entry.agent), entry.encode())
        await self.until_listed(entry)

    async def add_tool(self, tool: ToolEntry) -> None:
        """Write a Tool into the catalogue, as the operator does."""
        async with self.nats.link_as(OPERATOR_WORKLOAD) as link:
            await link.store(Bucket.CATALOGUE).put(tool_entry(tool.tool), tool.encode())

    async def remove_agent(self, entry: AgentEntry) -> None:
        """Take an Agent out of the catalogue, as the operator does."""
        async with self.nats.link_as(OPERATOR_WORKLOAD) as link:
            await link.store(Bucket.CATALOGUE).delete(agent_entry(entry.agent))

    async def models(self) -> dict[str, dict[str, object]]:
        """`GET /v1/models`: what is told of each."""
        async with httpx.AsyncClient() as client:
            listed = (await client.get(f"{self.url}/v1/models")).json()["data"]
        return {model["id"]: model["custom_metadata"] for model in listed}

    async def until_known(self, model: str) -> None:
        """Wait until the server knows an Agent that was written elsewhere."""
        async with asyncio.timeout(5):
            while f"agents/{model}" not in await self.models():
                await asyncio.sleep(0.05)

    async def until_listed(self, entry: AgentEntry) -> None:
        """Wait until the server shows an Agent as the catalogue has it."""
        async with asyncio.timeout(5):
            while True:
                shown = (await self.models()).get(f"agents/{entry.model}", {})
                about = {"description": entry.description, "message": entry.message}
                if shown.items() >= about.items():
                    return
                await asyncio.sleep(0.05)


def a_server(
    nats: RunningStack, folder: Path, queue: Queue, config: Path, **environment: str
) -> Server:
    """A server of the Stack that is not started yet."""
    server = Server(nats, folder, {}, free_port(), free_port())
    server.environment = {
        "K8GENTAI_CONFIG": str(config),
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_PORT": str(server.port),
        "K8GENTAI_HEALTH_PORT": str(server.health_port),
        "QUEUE_URL": queue.url,
        "TOKEN_FILE": queue.token_file or "",
        "DATA": str(folder),
        "HOME": str(folder),
        **environment,
    }
    return server


@contextlib.asynccontextmanager
async def running_server(
    nats: RunningStack,
    folder: Path,
    *,
    model_url: str = "http://127.0.0.1:9/v1",
    run_config: Path | None = None,
) -> AsyncIterator[Server]:
    """The server of the Stack, with this run config, for as long as the body runs."""
    queue = nats.queue(await nats.serving(Role.SERVER))
    config = run_config or write_server_config(folder)
    server = a_server(nats, folder, queue, config, MODEL_URL=model_url)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
