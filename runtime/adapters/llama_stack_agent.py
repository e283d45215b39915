"""A user's `Agent`, which blocks, beside the event loop."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import httpx
from llama_stack_client import Agent
from llama_stack_client.lib.agents.turn_events import (
    AgentStreamChunk,
    StepProgress,
    TextDelta,
    TurnCompleted,
    TurnFailed,
)

from runtime.adapters.llama_stack_loop import usage_of
from runtime.adapters.port import AgentFailure, Answer, ModelFailure, Step, Text, Used
from runtime.adapters.scope import Scope
from runtime.tools.threads import in_thread

log = logging.getLogger(__name__)

_RESPONSES: ContextVar[list[httpx.Response] | None] = ContextVar("responses", default=None)
"""What the server has answered in the run of this thread."""


class Turns:
    """A `Player` of the agent's own turns, in a thread.

    A thread cannot be stopped. When the run is cancelled, it is left alone at once: what it still
    hears from the server is dropped, its next call of a platform's tool is refused, and it ends at
    the next piece of the stream, or when the server has answered.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        hooks = agent.client._client.event_hooks  # noqa: SLF001  # there is no other way to it
        if _note not in hooks["response"]:  # an adapter that is built anew finds the same agent
            hooks["response"].append(_note)

    async def play(self, scope: Scope) -> AsyncIterator[Step]:
        """Text, costs, and at last one `Answer`."""
        steps: asyncio.Queue[Step | None] = asyncio.Queue()

        def work() -> None:
            try:
                for step in self._steps(scope):
                    if scope.ended:
                        return
                    scope.loop.call_soon_threadsafe(steps.put_nowait, step)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has gone, nobody reads
                    scope.loop.call_soon_threadsafe(steps.put_nowait, None)

        working = asyncio.create_task(in_thread(work))
        try:
            while (step := await steps.get()) is not None:
                yield step
            await working
        finally:
            scope.ended = True
            working.cancel()

    def _steps(self, scope: Scope) -> Iterator[Step]:
        run = scope.run
        said = [
            {"role": str(message.role), "content": message.text}
            for message in (*run.history, *run.input)
        ]
        if run.options.instructions:
            said.insert(0, {"role": "system", "content": run.options.instructions})
        session = self._agent.create_session(f"{run.task}-{run.attempt}")
        try:
            yield from self._turn(said, session)
        finally:
            self._forget(session)

    def _turn(self, said: list[dict[str, Any]], session: str) -> Iterator[Step]:
        turn = self._agent.create_turn(said, session, stream=True)
        with (
            _closing_responses()
        ):  # while `turn` still holds the stream, so that nobody collects it
            yield from self._told(turn)

    def _told(self, turn: Iterator[AgentStreamChunk]) -> Iterator[Step]:
        for chunk in turn:
            match chunk.event:
                case StepProgress(delta=TextDelta(text=text)):
                    yield Text(text)
                case TurnFailed(error_message=why):
                    raise ModelFailure(f"the model of the agent failed: {why}")
                case TurnCompleted() as end:
                    yield from self._costs(end, chunk.response)
                    yield Answer(end.final_text)
                    return
        raise AgentFailure("the agent's turn ended without an answer")

    def _costs(self, end: TurnCompleted, last: Any) -> Iterator[Used]:
        """What each response of a turn cost; the stream tells it of the last one alone."""
        if last is not None and last.usage is not None:
            yield Used(usage_of(last.usage))
        for response_id in end.response_ids:
            if last is None or response_id != last.id:
                usage = self._agent.client.responses.retrieve(response_id).usage
                if usage is not None:
                    yield Used(usage_of(usage))

    def _forget(self, session: str) -> None:
        """A session is made for one run; the server need not keep it."""
        with contextlib.suppress(ValueError):
            self._agent.sessions.remove(session)
        try:
            self._agent.client.conversations.delete(session)
        except Exception as error:  # noqa: BLE001  # the run has its end all the same
            log.info("a session was not deleted", extra={"error": str(error)})


def _note(response: httpx.Response) -> None:
    if (responses := _RESPONSES.get()) is not None:
        responses.append(response)


@contextlib.contextmanager
def _closing_responses() -> Iterator[None]:
    """Close what the body leaves half read: of a turn that failed, or that nobody waits for.

    The stream of the SDK holds itself, so that else the garbage collector closes it, in whatever
    thread it comes to run. If that one is just opening a connection of the same client, it holds
    the lock that closing wants (httpcore 1.0, `ConnectionPool`), and waits for itself for ever.
    """
    responses: list[httpx.Response] = []
    _RESPONSES.set(responses)
    try:
        yield
    finally:
        _RESPONSES.set(None)
        for response in responses:
            response.close()
