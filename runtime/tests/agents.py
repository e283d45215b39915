"""What tests of any framework need: a stand-in model as a process, and agents that use it."""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controller.local.site import free_port
from runtime.adapters.port import Adapter, Answer, Run, Step, Text, Used
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Declarative, Framework, Model, Module, Queue
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.client_calls import ClientFunction
from runtime.contract.messages import Message, Options, Role, TokenUsage
from runtime.contract.value import ObjectName
from runtime.tools.port import ToolFunction

MODEL = Path(__file__).parents[2] / "hack" / "model" / "server.py"
STACK = Path(__file__).with_name("stack.yaml")
MATH = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="team", name="add")
QUEUE = Queue(stack=MATH, url="nats://nowhere", token_file="none", service_account=MATH)
NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
SPEC = FunctionSpec(name="add", description="Add two numbers.", input_schema=NUMBERS)
CLIENTS = ClientFunction(name="add", description="Add two numbers.", parameters=NUMBERS)
"""The same, brought along by a client."""
NOWHERE = "http://127.0.0.1:1/v1"
COUNT = itertools.count()
ON_A_MODEL = [
    pytest.mark.integration,
    # One event loop for all, as in a worker: the clients of models keep their connections in it.
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("closed_clients"),
]
"""The marks of tests whose agents ask a model."""

type Config = Callable[..., AgentConfig]


@contextlib.contextmanager
def served(folder: Path, command: Sequence[object], port: int, **env: str) -> Iterator[None]:
    """A server as a process, from its first connection on."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | env,
        )
        try:
            for _ in range(600):
                assert process.poll() is None, (folder / "log").read_text()
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:  # it waits for answers that never come
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a stand-in model."""
    port = free_port()
    command = [sys.executable, MODEL, "--port", str(port)]
    with served(tmp_path_factory.mktemp("model"), command, port):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="session")
def stack_url(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[str]:
    """The address of a Llama Stack server that knows the stand-in model as `small/stand-in`."""
    port, folder = free_port(), tmp_path_factory.mktemp("stack")
    llama = Path(sys.prefix) / "bin" / "llama"
    command = [llama, "stack", "run", STACK, "--port", str(port)]
    # Its other format paints a traceback for each failed request, for seconds.
    env = {"MODEL_URL": model_url, "DATA": str(folder), "LLAMA_STACK_LOG_FORMAT": "json"}
    with served(folder, command, port, **env):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    """The configuration of an agent: of a module with this source, or of instructions."""
    before = list(sys.path)

    def made(
        source: str | None = None,
        entrypoint: str = "graph",
        *,
        url: str = NOWHERE,
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


@pytest.fixture
def environment(model_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker sets for a user's own code."""
    monkeypatch.setenv("LLAMA_STACK_CLIENT_BASE_URL", NOWHERE)
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")


def users(config: AgentConfig, name: str) -> Any:
    """What the module of a user's agent, once it is loaded, calls `name`."""
    assert config.module is not None
    return getattr(sys.modules[config.module.entrypoint.partition(":")[0]], name)


async def adding(arguments: dict[str, Any]) -> str:
    return str(arguments["a"] + arguments["b"])


@dataclass
class Endless:
    """A tool that goes on until it is ended; says when it has begun, and when it has ended."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _arguments: dict[str, Any]) -> str:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


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


async def closed(steps: AsyncIterator[Step]) -> None:
    """Leaves a run in the middle, as who reads its steps may."""
    await steps.aclose()  # type: ignore[attr-defined]  # adapters are generators


async def run(
    config: AgentConfig, asked: Run | None = None, specs: tuple[FunctionSpec, ...] = ()
) -> list[Step]:
    """The steps of one run of the agent that is configured so."""
    return await steps_of(await build(config, specs), asked or asking())


def of_revision(config: AgentConfig, revision: str | None) -> AgentConfig:
    """The same agent with other code behind its entrypoint."""
    assert config.module
    module = config.module.model_copy(update={"revision": revision})
    return config.model_copy(update={"module": module})


def answer(steps: list[Step]) -> str:
    (last,) = [step for step in steps if isinstance(step, Answer)]
    assert steps[-1] is last
    return last.text


def text(steps: list[Step]) -> str:
    return "".join(step.text for step in steps if isinstance(step, Text))


def cost(steps: list[Step]) -> TokenUsage:
    return sum((step.usage for step in steps if isinstance(step, Used)), TokenUsage())


@contextlib.asynccontextmanager
async def no_model() -> AsyncIterator[str]:
    """An address where nobody listens."""
    yield f"http://127.0.0.1:{free_port()}/v1"
