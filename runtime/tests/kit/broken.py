"""Adapters that are broken in one way each, around one that is in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

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
from runtime.kit.resuming import Kept
from runtime.tests.agents import closed
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure, ToolFunction

type Call = Callable[[dict[str, Any]], Awaitable[str]]
type Ask = Callable[[Run], Run]
type Tell = Callable[[AsyncIterator[Step]], AsyncGenerator[Step]]
type Break = Callable[[Adapter], Adapter]


async def whole(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
    """All of the steps, as they are."""
    async for step in steps:
        yield step


@dataclass
class Wrapped:
    """An adapter in order, but for what it is asked and what it tells."""

    inner: Adapter
    ask: Ask = lambda run: run
    tell: Tell = whole

    async def run(self, run: Run) -> AsyncIterator[Step]:
        inner = self.inner.run(self.ask(run))
        try:
            async with aclosing(self.tell(inner)) as outer:
                async for step in outer:
                    yield step
        finally:
            await closed(inner)


# What it is asked


def deaf(run: Run) -> Run:
    """Asks another question."""
    said = run.input[-1].text
    if not said.startswith("Say the word"):
        return run
    return replace(run, input=(Message(role=Role.USER, text="Say hello."),))


def forgetful(run: Run) -> Run:
    """Forgets what was said before."""
    return replace(run, history=())


def careless(run: Run) -> Run:
    """Keeps nothing for the next attempt."""
    return replace(run, checkpoint=None)


def wishing(**wishes: Any) -> Ask:
    """Has wishes of its own in place of the client's."""
    return lambda run: replace(run, options=run.options.model_copy(update=wishes))


def calling(changed: Callable[[Call], Call]) -> Ask:
    """Calls its tools otherwise."""

    def ask(run: Run) -> Run:
        tools = tuple(ToolFunction(one.spec, one.tool, changed(one.call)) for one in run.tools)
        return replace(run, tools=tools)

    return ask


def shared() -> Ask:
    """Gives every run the tools of the one that came last."""
    latest: dict[str, tuple[ToolFunction, ...]] = {}

    async def call(arguments: dict[str, Any]) -> str:
        return await latest["tools"][0].call(arguments)

    def ask(run: Run) -> Run:
        latest["tools"] = run.tools
        return calling(lambda _: call)(run)

    return ask


def swapped(call: Call) -> Call:
    """Calls a tool with other arguments."""
    return lambda given: call({"a": given["b"], "b": given["a"]} if "a" in given else given)


def mute(call: Call) -> Call:
    """Asks other agents for nothing in particular."""
    return lambda given: call(given | {"input": "hm"} if "input" in given else given)


def sequential(run: Run) -> Run:
    """Makes one call of a run at a time."""
    lock = asyncio.Lock()

    def locked(call: Call) -> Call:
        async def one(arguments: dict[str, Any]) -> str:
            async with lock:
                return await call(arguments)

        return one

    return calling(locked)(run)


def failing(kind: type[Exception], other: type[Exception]) -> Ask:
    """Takes one failure of a tool for an other one."""

    def translated(call: Call) -> Call:
        async def one(arguments: dict[str, Any]) -> str:
            try:
                return await call(arguments)
            except kind:
                raise other("broken") from None

        return one

    return calling(translated)


# What it tells


def times(number: int, kind: type[Step]) -> Tell:
    """Tells each step of this kind so many times."""

    async def tell(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
        async for step in steps:
            for _ in range(number if isinstance(step, kind) else 1):
                yield step

    return tell


def held(kind: type[Step], *until: type[Step]) -> Tell:
    """Keeps the steps of a kind until it tells one of another."""

    async def tell(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
        kept = []
        async for step in steps:
            if isinstance(step, kind):
                kept.append(step)
                continue
            if isinstance(step, until):
                for one in kept:
                    yield one
                kept.clear()
            yield step

    return tell


async def content(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
    """Takes nothing for an answer."""
    try:
        async for step in steps:
            yield step
    except EmptyAnswer:
        yield Answer("")


async def sulking(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
    """Takes a cancellation for a failure."""
    try:
        async for step in steps:
            yield step
    except asyncio.CancelledError:
        raise AgentFailure("somebody cancelled it") from None


def misjudging(words: str, kind: type[AgentFailure]) -> Tell:
    """Takes a failure whose message has `words` for one of another `kind`."""

    async def tell(steps: AsyncIterator[Step]) -> AsyncGenerator[Step]:
        try:
            async for step in steps:
                yield step
        except AgentFailure as failure:
            raise kind(str(failure)) if words in str(failure) else failure from None

    return tell


@dataclass
class Unstoppable:
    """Runs on in the background, whoever has left."""

    inner: Adapter

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


@dataclass
class Parting:
    """Keeps how far it has come when it is cancelled, for which a crash leaves no time."""

    inner: Adapter

    async def run(self, run: Run) -> AsyncIterator[Step]:
        place = run.checkpoint or Kept()
        last = Kept(await place.load())
        inner = self.inner.run(replace(run, checkpoint=last))
        try:
            async for step in inner:
                yield step
        finally:
            await closed(inner)
            if (data := last.data) is not None:
                await place.save(lambda: data)


def asked(ask: Ask) -> Break:
    return partial(Wrapped, ask=ask)


def told(tell: Tell) -> Break:
    return partial(Wrapped, tell=tell)


ENDLESS = {"cancel", "cancel amid text", "timeout"}
BROKEN: dict[str, tuple[Break, set[str]]] = {
    "in order": (Wrapped, set()),
    "asks another question": (asked(deaf), {"answer"}),
    "streams nothing": (told(times(0, Text)), {"stream"}),
    "streams at the end": (told(held(Text, Used, Answer)), {"stream"}),
    "streams twice": (told(times(2, Text)), {"stream"}),
    "streams unasked": (asked(wishing(stream=True)), {"order of steps"}),
    "answers twice": (told(times(2, Answer)), {"order of steps"}),
    "tells no costs": (told(times(0, Used)), {"usage", "budget of tokens"}),
    "tells costs at the end": (told(held(Used, Answer)), {"budget of tokens"}),
    "forgets history": (asked(forgetful), {"conversation"}),
    "keeps nothing": (asked(careless), {"resume"}),
    "keeps too late": (Parting, {"resume"}),
    "drops instructions": (asked(wishing(instructions=None)), {"instructions of the client"}),
    "answers in words": (asked(wishing(output=None)), {"structured output"}),
    "mixes up runs": (lambda inner: Wrapped(inner, ask=shared()), {"concurrent runs"}),
    "mixes up arguments": (asked(calling(swapped)), {"tool call"}),
    "asks other agents for nothing": (asked(calling(mute)), {"sub-agent"}),
    "drops functions of the client": (asked(wishing(functions=())), {"function of the client"}),
    "calls one after the other": (asked(sequential), {"parallel tool calls"}),
    "dies of a tool": (asked(failing(ToolFailure, RuntimeError)), {"tool error"}),
    "ignores the budget of calls": (
        asked(failing(CallBudgetSpent, ToolFailure)),
        {"budget of tool calls"},
    ),
    "runs on": (Unstoppable, {*ENDLESS, "budget of tokens"}),
    "hides a cancellation": (told(sulking), ENDLESS),
    "answers nothing": (told(content), {"empty model answer"}),
    "takes 429 for broken": (
        told(misjudging("no capacity", ModelFailure)),
        {"model answers 429"},
    ),
    "takes 500 for busy": (told(misjudging("answered 500", ModelBusy)), {"model answers 500"}),
    "takes garbage for the agent's own": (
        told(misjudging("no completion", AgentFailure)),
        {"model answers garbage"},
    ),
}
"""How each is broken, and which scenarios must fail for it; all others must not."""
