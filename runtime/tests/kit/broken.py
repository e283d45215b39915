"""Adapters that are broken in one way each, around one that is in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, override

from runtime.adapters.port import (
    Adapter,
    AgentFailure,
    Answer,
    EmptyAnswer,
    ModelBusy,
    ModelFailure,
    Run,
    Step,
    Text,
    Used,
)
from runtime.contract.messages import Message, Role
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure, ToolFunction

type Call = Callable[[dict[str, Any]], Awaitable[str]]


@dataclass
class Wrapped:
    """An adapter in order; what is broken overrides one of these."""

    inner: Adapter

    def asked(self, run: Run) -> Run:
        return run

    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        async for step in steps:
            yield step

    async def run(self, run: Run) -> AsyncIterator[Step]:
        inner = self.inner.run(self.asked(run))
        outer = self.steps(inner, run)
        try:
            async for step in outer:
                yield step
        finally:
            await outer.aclose()  # type: ignore[attr-defined]  # generators, both of them
            await inner.aclose()  # type: ignore[attr-defined]


class Deaf(Wrapped):
    """Asks another question."""

    @override
    def asked(self, run: Run) -> Run:
        said = run.input[-1].text
        if not said.startswith("Say the word"):
            return run
        return replace(run, input=(Message(role=Role.USER, text="Say hello."),))


class Silent(Wrapped):
    """Streams nothing."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        async for step in steps:
            if not isinstance(step, Text):
                yield step


class Hoarding(Wrapped):
    """Keeps all text until the model has finished."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        kept = []
        async for step in steps:
            if isinstance(step, Text):
                kept.append(step)
                continue
            for text in kept:
                yield text
            kept.clear()
            yield step


class Stammering(Wrapped):
    """Says each piece twice."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        async for step in steps:
            if isinstance(step, Text):
                yield step
            yield step


class Babbling(Wrapped):
    """Streams to those who did not ask for it."""

    @override
    def asked(self, run: Run) -> Run:
        options = run.options.model_copy(update={"stream": True})
        return replace(run, options=options)


class Repeating(Wrapped):
    """Answers twice."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        async for step in steps:
            yield step
            if isinstance(step, Answer):
                yield step


class Free(Wrapped):
    """Tells no costs."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        async for step in steps:
            if not isinstance(step, Used):
                yield step


class Late(Wrapped):
    """Tells all costs at the end."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        costs = []
        async for step in steps:
            if isinstance(step, Used):
                costs.append(step)
                continue
            if isinstance(step, Answer):
                for cost in costs:
                    yield cost
            yield step


class Forgetful(Wrapped):
    """Forgets what was said before."""

    @override
    def asked(self, run: Run) -> Run:
        return replace(run, history=())


class Careless(Wrapped):
    """Keeps nothing for the next attempt."""

    @override
    def asked(self, run: Run) -> Run:
        return replace(run, checkpoint=None)


class Stubborn(Wrapped):
    """Hears no instructions."""

    @override
    def asked(self, run: Run) -> Run:
        return replace(run, options=run.options.model_copy(update={"instructions": None}))


class Shared(Wrapped):
    """Gives every run the tools of the one that came last."""

    @override
    def asked(self, run: Run) -> Run:
        self.latest = run.tools

        async def call(arguments: dict[str, Any]) -> str:
            return await self.latest[0].call(arguments)

        return _calling(run, lambda _: call)


class Mistaken(Wrapped):
    """Calls tools with other arguments."""

    @override
    def asked(self, run: Run) -> Run:
        def swapped(call: Call) -> Call:
            return lambda given: call({"a": given["b"], "b": given["a"]})

        return _calling(run, swapped)


class Sequential(Wrapped):
    """Makes one call of a run at a time."""

    @override
    def asked(self, run: Run) -> Run:
        lock = asyncio.Lock()

        def locked(call: Call) -> Call:
            async def one(arguments: dict[str, Any]) -> str:
                async with lock:
                    return await call(arguments)

            return one

        return _calling(run, locked)


class Fragile(Wrapped):
    """Fails with its tools."""

    @override
    def asked(self, run: Run) -> Run:
        return _calling(run, lambda call: _translated(call, ToolFailure, RuntimeError("broken")))


class Spendthrift(Wrapped):
    """Goes on when the budget of calls is spent."""

    @override
    def asked(self, run: Run) -> Run:
        return _calling(run, lambda call: _translated(call, CallBudgetSpent, ToolFailure("no")))


class Unstoppable(Wrapped):
    """Runs on in the background, whoever has left."""

    @override
    async def run(self, run: Run) -> AsyncIterator[Step]:
        steps: asyncio.Queue[Step | Exception] = asyncio.Queue()

        async def work() -> None:
            try:
                async for step in self.inner.run(run):
                    steps.put_nowait(step)
            except AgentFailure as error:
                steps.put_nowait(error)

        self.working = asyncio.create_task(work())
        while True:
            step = await steps.get()
            if isinstance(step, Exception):
                raise step
            yield step
            if isinstance(step, Answer):
                return


class Sulking(Wrapped):
    """Takes a cancellation for a failure."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        try:
            async for step in steps:
                yield step
        except asyncio.CancelledError:
            raise AgentFailure("somebody cancelled it") from None


class Content(Wrapped):
    """Takes nothing for an answer."""

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        try:
            async for step in steps:
                yield step
        except EmptyAnswer:
            yield Answer("")


@dataclass
class Misjudging(Wrapped):
    """Takes a failure whose message has `words` for one of another `kind`."""

    words: str = ""
    kind: type[AgentFailure] = AgentFailure

    @override
    async def steps(self, steps: AsyncIterator[Step], run: Run) -> AsyncIterator[Step]:
        del run
        try:
            async for step in steps:
                yield step
        except AgentFailure as failure:
            raise self.kind(str(failure)) if self.words in str(failure) else failure from None


def _calling(run: Run, changed: Callable[[Call], Call]) -> Run:
    """The run with its tools called otherwise."""
    tools = tuple(ToolFunction(one.spec, one.tool, changed(one.call)) for one in run.tools)
    return replace(run, tools=tools)


def _translated(call: Call, kind: type[Exception], other: Exception) -> Call:
    async def one(arguments: dict[str, Any]) -> str:
        try:
            return await call(arguments)
        except kind:
            raise other from None

    return one


type Break = Callable[[Adapter], Adapter]

ENDLESS = {"cancel", "cancel amid text", "timeout"}
BROKEN: dict[str, tuple[Break, set[str]]] = {
    "in order": (Wrapped, set()),
    "asks another question": (Deaf, {"answer"}),
    "streams nothing": (Silent, {"stream"}),
    "streams at the end": (Hoarding, {"stream"}),
    "streams twice": (Stammering, {"stream"}),
    "streams unasked": (Babbling, {"order of steps"}),
    "answers twice": (Repeating, {"order of steps"}),
    "tells no costs": (Free, {"usage", "budget of tokens"}),
    "tells costs at the end": (Late, {"budget of tokens"}),
    "forgets history": (Forgetful, {"conversation"}),
    "keeps nothing": (Careless, {"resume"}),
    "drops instructions": (Stubborn, {"instructions of the client"}),
    "mixes up runs": (Shared, {"concurrent runs"}),
    "mixes up arguments": (Mistaken, {"tool call"}),
    "calls one after the other": (Sequential, {"parallel tool calls"}),
    "dies of a tool": (Fragile, {"tool error"}),
    "ignores the budget of calls": (Spendthrift, {"budget of tool calls"}),
    "runs on": (Unstoppable, {*ENDLESS, "budget of tokens"}),
    "hides a cancellation": (Sulking, ENDLESS),
    "answers nothing": (Content, {"empty model answer"}),
    "takes 429 for broken": (
        lambda inner: Misjudging(inner, "no capacity", ModelFailure),
        {"model answers 429"},
    ),
    "takes 500 for busy": (
        lambda inner: Misjudging(inner, "answered 500", ModelBusy),
        {"model answers 500"},
    ),
    "takes garbage for the agent's own": (
        lambda inner: Misjudging(inner, "no completion", AgentFailure),
        {"model answers garbage"},
    ),
}
"""How each is broken, and which scenarios must fail for it; all others must not."""
