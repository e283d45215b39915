"""Real workers of agents from instructions, beside a real server, with the stand-in model."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from runtime.contract.agent_config import (
    AgentConfig,
    Declarative,
    Execution,
    Framework,
    Model,
)
from runtime.tests.amf.server import Server
from runtime.tests.dispatch.processes import Started, start

ACK_WAIT = 2.0


@contextlib.asynccontextmanager
async def worker(folder: Path, config: AgentConfig, name: str = "worker") -> AsyncIterator[Started]:
    """A worker of the agent as a process of its own, for as long as the body runs."""
    started = await start(folder, name, "worker", f"agent/{config.agent}", config=config)
    try:
        yield started
    finally:
        await started.kill()


async def agent_config(
    server: Server,
    model_url: str,
    framework: Framework = Framework.LANGGRAPH,
    *,
    client_seconds: int = 60,
    **facts: Any,
) -> AgentConfig:
    """An Agent of its own, which the server knows by the name of `config.agent`."""
    name = f"a{secrets.token_hex(3)}"
    workload = await server.nats.agent(name, ack_wait=ACK_WAIT)
    await server.add_agent(name, framework=framework)
    given = {"declarative": Declarative(instructions="You help.")} | facts
    return AgentConfig(
        agent=workload.name,
        queue=server.nats.queue(workload),
        durable=str(workload.durable),
        framework=framework,
        model=Model(id="stand-in", base_url=model_url),
        execution=Execution(ack_wait_seconds=ACK_WAIT),
        client_seconds=client_seconds,
        **given,
    )
