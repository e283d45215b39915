"""The stand-in model as a process, and agents that use it."""

import asyncio
import contextlib
import gc
import itertools
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import llama_stack_client
import openai
import pytest

from runtime.adapters.port import Adapter, Run, Step
from runtime.contract.agent_config import AgentConfig, Declarative, Framework, Model, Module, Queue
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Options, Role
from runtime.contract.value import ObjectName
from runtime.tools.port import ToolFunction

MODEL = Path(__file__).parents[3] / "hack" / "model" / "server.py"
MATH = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="team", name="add")
QUEUE = Queue(stack=MATH, url="nats://nowhere", token_file="none", service_account=MATH)
NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
SPEC = FunctionSpec(name="add", description="Add two numbers.", input_schema=NUMBERS)
COUNT = itertools.count()

type Config = Callable[..., AgentConfig]


@pytest.fixture(scope="session")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a stand-in model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("model") / "log").open("wb")
    process = subprocess.Popen([sys.executable, MODEL, "--port", str(port)], stdout=log, stderr=log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    """The configuration of an agent: of a module with this source, or of instructions."""
    before = list(sys.path)

    def made(
        source: str | None = None,
        entrypoint: str = "graph",
        *,
        url: str = "http://127.0.0.1:1/v1",
        model: str = "stand-in",
        framework: Framework = Framework.LANGGRAPH,
        iterations: int = 10,
        **facts: Any,
    ) -> AgentConfig:
        if source is None:
            facts |= {
                "declarative": Declarative(instructions="You do sums.", max_iterations=iterations)
            }
        else:
            name = f"users_agent_{next(COUNT)}"
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
            module = Module(entrypoint=f"{name}:{entrypoint}", path=str(tmp_path))
            facts |= {"module": module}
        return AgentConfig(
            agent=MATH,
            queue=QUEUE,
            durable="math-1",
            framework=framework,
            model=Model(id=model, base_url=url),
            **facts,
        )

    yield made
    sys.path[:] = before


async def adding(arguments: dict[str, Any]) -> str:
    return str(arguments["a"] + arguments["b"])


def function(
    call: Callable[[dict[str, Any]], Awaitable[str]] = adding, spec: FunctionSpec = SPEC
) -> ToolFunction:
    return ToolFunction(spec, ADD, call)


def asking(text: str = "What is 12 + 30?", *tools: ToolFunction, **facts: Any) -> Run:
    """A run that asks `text`; further facts are what the client wishes."""
    attempt, history = facts.pop("attempt", 1), facts.pop("history", ())
    return Run(
        task="t1",
        attempt=attempt,
        input=(Message(role=Role.USER, text=text),),
        history=history,
        options=Options(**facts),
        tools=tools,
    )


async def steps_of(adapter: Adapter, run: Run) -> list[Step]:
    async with asyncio.timeout(60):
        return [step async for step in adapter.run(run)]


async def close_clients() -> None:
    """Close the connections that the clients of models keep for as long as a process lives."""
    clients = {openai.AsyncOpenAI, llama_stack_client.AsyncLlamaStackClient}
    for thing in [thing for thing in gc.get_objects() if type(thing) in clients]:
        await thing.close()


@contextlib.asynccontextmanager
async def no_model() -> AsyncIterator[str]:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}/v1"
