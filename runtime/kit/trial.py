"""One agent on trial: what a scenario may do with it, and how it says what it saw."""

import asyncio
import secrets
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from runtime.adapters.port import Adapter, AgentFailure, Answer, Run, Step
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.client_calls import ClientFunction
from runtime.contract.messages import Message, Options, Role
from runtime.contract.value import ObjectName
from runtime.kit.proxy import ModelProxy
from runtime.tools.port import INPUT, ToolFunction

ADD = FunctionSpec(
    name="add",
    description="Add two whole numbers. Use it for every sum, however small.",
    input_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
ARCHIVIST = FunctionSpec(
    name="archivist",
    description="Keeps the archive, and finds what is written there.",
    input_schema=INPUT,
)
SPECS = (ADD, ARCHIVIST)
"""What every agent on trial may call: a function of a tool, and another agent."""
COURIER = FunctionSpec(
    name="courier",
    description="Brings whatever is asked for.",
    input_schema={
        "type": "object",
        "properties": {"what": {"type": "string"}},
        "required": ["what"],
    },
)
"""What the client of one run brings along."""
SOON_SECONDS = 1.0
"""Within this time a run that is to end has ended, and its model calls with it."""
BEGUN_SECONDS = 30.0


class Unmet(Exception):
    """What was expected did not come; the message says what came instead."""


class Unable(Exception):
    """The agent does not do this, in its own right; the message says why that is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An agent, and the model it asks.

    Shape:
        own          a user's own code: what it makes of a prompt is its affair, so that what it
                     leaves undone is no failure.
        asks_model   whether it asks its model where the platform says.
        takes_tools  whether it offers the platform's tools to its model.
    """

    adapter: Adapter
    proxy: ModelProxy
    own: bool = False
    asks_model: bool = True
    takes_tools: bool = True

    async def steps(self, run: Run) -> list[Step]:
        """All steps of a run."""
        return [step async for step in self.adapter.run(run)]

    async def answer(self, run: Run) -> str:
        """The answer of a run.

        Raises:
            Unmet: there is none, or it is blank.
        """
        answers = [step.text for step in await self.steps(run) if isinstance(step, Answer)]
        if not answers or not answers[-1].strip():
            raise Unmet(f"the run ended with {quoted(answers[-1]) if answers else 'no answer'}")
        return answers[-1]

    async def failure(self, run: Run) -> AgentFailure:
        """How a run fails.

        Raises:
            Unmet, Unable: it answers.
        """
        try:
            said = await self.answer(run)
        except AgentFailure as failure:
            return failure
        raise self.undone(f"the agent answers all the same: {quoted(said)}")

    def undone(self, what: str) -> Exception:
        """What to raise of something that an agent from instructions must do."""
        return Unable(what) if self.own else Unmet(what)

    async def begun(self, run: asyncio.Task[Any]) -> None:
        """Wait until a model is asked.

        Raises:
            Unmet: the run ends before.
        """
        await self.proxy.until(lambda: run.done() or self.proxy.open > 0, BEGUN_SECONDS)
        if run.done():
            raise Unmet(f"the run ended before its model was asked: {ending(run)}")

    async def model_left(self) -> None:
        """Wait until no call of the model is open any more.

        Raises:
            Unmet: one stays open, or another one begins.
        """
        count = len(self.proxy.calls)
        if not await self.proxy.until(lambda: self.proxy.open == 0, SOON_SECONDS):
            raise Unmet("the call of the model was still open after 1 s")
        if await self.proxy.until(lambda: len(self.proxy.calls) > count, SOON_SECONDS / 2):
            raise Unmet("the model was asked again after the end")


def question(text: str, *tools: ToolFunction, **facts: Any) -> Run:
    """A run that asks `text`; of further facts, `history` is the run's, all others options."""
    history = facts.pop("history", ())
    return Run(
        task=word(),
        attempt=1,
        input=(Message(role=Role.USER, text=text),),
        history=history,
        options=Options(**facts),
        tools=tools,
    )


def tool(
    call: Callable[[dict[str, Any]], Awaitable[str]], spec: FunctionSpec = ADD
) -> ToolFunction:
    """A function of the platform, as this run finds it; without `spec` it is `add`."""
    return ToolFunction(spec, ObjectName(namespace="check", name=spec.name), call)


def brought(spec: FunctionSpec) -> ClientFunction:
    """A function as the client of a run brings it along."""
    return ClientFunction(
        name=spec.name, description=spec.description, parameters=spec.input_schema
    )


def word() -> str:
    """A word that nobody has said before."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))


def number() -> int:
    """A number that nobody would guess."""
    return 1000 + secrets.randbelow(9000)


def quoted(text: str, most: int = 120) -> str:
    """What was said, on one line and no longer than a reader wants."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= most else f'"{line[: most - 1]}…"'


def told(error: BaseException) -> str:
    """An error as one line."""
    kind, said = type(error).__name__, " ".join(str(error).split())
    return f"{kind}: {said}" if said else kind


def ending(run: asyncio.Task[Any]) -> str:
    """How a task that is done has ended."""
    if run.cancelled():
        return "cancelled"
    error = run.exception()
    return "with an answer" if error is None else told(error)


async def close(steps: AsyncIterator[Step]) -> None:
    """Stop reading: the run is to end here and now."""
    closing = getattr(steps, "aclose", None)
    if closing is not None:
        await closing()
