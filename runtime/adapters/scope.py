"""The run that a piece of framework code belongs to.

A framework is set up once and runs many tasks at the same time; its tools find the run they are
called for in a context variable.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from runtime.adapters.port import Run
from runtime.adapters.recorded import Recorded
from runtime.contract.messages import TokenUsage
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure, ToolFunction
from runtime.transport.port import TransportError


@dataclass(slots=True)
class Scope:
    """One run.

    Shape:
        usage     what each model call cost, by the id of its message.
        recorded  what its pieces came to, where a framework has no state that could be kept.
        ended     whether nothing may happen for this run any more.
        over      what of a call must end the run; frameworks tell the model of it and go on.
        waited    what threads of this run wait for at the moment.
    """

    run: Run
    loop: asyncio.AbstractEventLoop
    tools: dict[str, ToolFunction]
    usage: dict[str, TokenUsage] = field(default_factory=dict)
    recorded: Recorded | None = None
    ended: bool = False
    over: CallBudgetSpent | TransportError | None = None
    waited: set[Future[Any]] = field(default_factory=set)

    def end(self) -> None:
        """Let nothing happen for this run any more; its threads wait no longer."""
        self.ended = True
        for future in tuple(self.waited):
            future.cancel()

    def check(self) -> None:
        """Raise what must end the run, though the framework has swallowed it."""
        if self.over is not None:
            raise self.over


_CURRENT: ContextVar[Scope | None] = ContextVar("run", default=None)


def opened(run: Run) -> Scope:
    """The scope of `run`."""
    tools = {tool.name: tool for tool in run.tools}
    return Scope(run=run, loop=asyncio.get_running_loop(), tools=tools)


def enter(scope: Scope | None) -> None:
    """What is started from here on belongs to `scope`."""
    _CURRENT.set(scope)


def current() -> Scope | None:
    """The run that this code belongs to, if it belongs to any."""
    return _CURRENT.get()


async def within[T](scope: Scope, steps: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The items of a generator whose every piece of work belongs to `scope`.

    Whoever consumes a generator may do other things between two items; so the scope is entered
    again before each.
    """
    close = getattr(steps, "aclose", None)
    async with contextlib.AsyncExitStack() as stack:
        if close is not None:
            stack.push_async_callback(close)
        while True:
            enter(scope)
            try:
                item = await anext(steps)
            except StopAsyncIteration:
                return
            yield item


async def call_tool(name: str, arguments: dict[str, Any]) -> str:
    """Call a function of the platform for the run that this code belongs to.

    Raises:
        ToolFailure: there is no run or no such function, or the call did not work out.
        TransportError: the queue is away; that is no failure of the run.
    """
    scope = _CURRENT.get()
    if scope is None or scope.ended:
        raise ToolFailure(f"{name} can only be called while the agent runs")
    function = scope.tools.get(name)
    if function is None:
        raise ToolFailure(f"there is no function {name} any more")
    if scope.recorded is not None:  # the call follows from what a model has said
        await in_the_loop(scope, scope.recorded.flush())
    try:
        return await function.call(arguments)
    except (CallBudgetSpent, TransportError) as over:
        scope.over = over
        raise


def call_tool_from_thread(name: str, arguments: dict[str, Any]) -> str:
    """The same for code that blocks; it has to run in a thread of its own.

    Raises:
        ToolFailure: as `call_tool`, or this is the thread of the event loop.
    """
    scope = _CURRENT.get()
    if scope is None or scope.ended:
        raise ToolFailure(f"{name} can only be called while the agent runs")
    if is_in_a_loop():
        raise ToolFailure(f"{name} was called without await from async code; use its async form")
    return wait(scope, call_tool(name, arguments))


def is_in_a_loop() -> bool:
    """Whether an event loop runs in this thread, so that nothing here may wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def in_the_loop[T](scope: Scope, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs in the run's loop, for code of whatever loop."""
    if asyncio.get_running_loop() is scope.loop:
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, scope.loop))


def wait[T](scope: Scope, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs in the run's loop; for a thread of its own.

    Raises:
        concurrent.futures.CancelledError: the run ended before.
    """
    future = asyncio.run_coroutine_threadsafe(work, scope.loop)
    scope.waited.add(future)
    if scope.ended:
        future.cancel()
    try:
        return future.result()
    finally:
        scope.waited.discard(future)
