"""Tools and tasks of CrewAI that remember what they came to in the attempts before.

CrewAI calls them from threads and from event loops, for crews, agents and flows of a user's own;
so they remember at the one place where all of a kind are called. What blocks an event loop cannot
wait for what is kept, and is done as if nothing were.

Source:
    CrewAI 1.15, `BaseTool.run`, `Tool.run`, `BaseTool.to_structured_tool`, `Task._execute_core`.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from crewai import Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.tasks.task_output import TaskOutput
from crewai.tools import BaseTool
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from crewai.tools.base_tool import Tool
from crewai.tools.structured_tool import CrewStructuredTool

from runtime.adapters.crewai_events import current_told
from runtime.adapters.crewai_resume import read_output, read_result, written_output, written_result
from runtime.adapters.crewai_tools import PlatformTool
from runtime.adapters.progress import Json
from runtime.adapters.recorded import Outcome, Recorded, Work, question
from runtime.adapters.scope import Scope, current, in_the_loop, is_in_a_loop, wait

NOT_REMEMBERED = PlatformTool | BaseAgentTool
"""The calls of these have records of their own, or are work of other agents, which remember."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """How a piece of a run is kept.

    Shape:
        asked   what names it.
        write   what it came to as JSON.
        failed  the same of an error that whoever asked for it goes on with, None if nobody does.
        again   what has to be done where the piece itself is not done again.
    """

    scope: Scope
    recorded: Recorded
    asked: str
    read: Callable[[Json], Outcome]
    write: Callable[[Any], Json]
    failed: Callable[[Exception], Json | None] = lambda _: None
    again: Callable[[Outcome], object] = lambda _: None

    def begin(self) -> Coroutine[Any, Any, Work]:
        """Begin it: what it came to before, if it did."""
        return self.recorded.begin(self.asked, self.read)

    async def fail(self, work: Work, error: Exception) -> None:
        """Keep what it failed with, unless that is the end of the run."""
        is_over = self.scope.ended or self.scope.over is not None
        if not is_over and (said := self.failed(error)) is not None:
            await work.end(lambda: said)


def _piece(asked: str, **facts: Any) -> Piece | None:
    """A piece of the run that this code belongs to; None if it belongs to none."""
    scope, told = current(), current_told()
    if scope is None or told is None:
        return None
    return Piece(scope=scope, recorded=told.recorded, asked=asked, **facts)


def _once(piece: Piece | None, do: Callable[[], Any]) -> Any:
    """What `do` gives or has given before, for a thread; what it gives may be still to await.

    Raises:
        Exception: whatever `do` raises or has raised.
    """
    if piece is None or is_in_a_loop():
        return do()
    work = wait(piece.scope, piece.begin())
    if work.outcome is not None:
        piece.again(work.outcome)
        return work.outcome.give()
    try:
        with work.doing():
            result = do()
    except Exception as error:
        wait(piece.scope, piece.fail(work, error))
        raise
    if inspect.iscoroutine(result):
        return _awaited(piece, work, result)
    wait(piece.scope, work.end(partial(piece.write, result)))
    return result


async def _once_awaited(piece: Piece | None, do: Callable[[], Awaitable[Any]]) -> Any:
    """What `do` gives or has given before.

    Raises:
        Exception: whatever `do` raises or has raised.
    """
    if piece is None:
        return await do()
    work = await in_the_loop(piece.scope, piece.begin())
    if work.outcome is not None:
        piece.again(work.outcome)
        return work.outcome.give()
    return await _awaited(piece, work, do())


async def _awaited(piece: Piece, work: Work, doing: Awaitable[Any]) -> Any:
    try:
        with work.doing():
            result = await doing
    except Exception as error:
        await in_the_loop(piece.scope, piece.fail(work, error))
        raise
    await in_the_loop(piece.scope, work.end(partial(piece.write, result)))
    return result


class FailedBefore(Exception):
    """What a tool has failed with in an attempt before, as it was told to the model then."""


def _failed(error: Exception) -> Json:
    return {"error": str(error)}


def _call(tool: BaseTool, args: Any, kwargs: Any, *, counts: bool) -> Piece | None:
    """The piece that a call of a tool is; `counts` if nobody else counts how often it is used."""

    def came_to(said: Json) -> Outcome:
        if "error" in said:
            return Outcome(error=FailedBefore(said["error"]))
        return Outcome(read_result(said, tool.result_schema))

    return _piece(
        question("tool", tool.name, args, kwargs),
        read=came_to,
        write=lambda result: written_result(result, tool.result_schema),
        failed=_failed,
        again=lambda _: tool._claim_usage() if counts else None,  # noqa: SLF001  # as the call did
    )


def _remembers(kind: type[BaseTool]) -> None:
    """Let the calls of tools of this kind remember."""
    run: Callable[..., Any] = kind.run
    arun: Callable[..., Awaitable[Any]] = kind.arun

    @wraps(run)
    def run_once(tool: BaseTool, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tool, NOT_REMEMBERED):
            return run(tool, *args, **kwargs)
        return _once(_call(tool, args, kwargs, counts=True), lambda: run(tool, *args, **kwargs))

    @wraps(arun)
    async def arun_once(tool: BaseTool, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tool, NOT_REMEMBERED):
            return await arun(tool, *args, **kwargs)
        piece = _call(tool, args, kwargs, counts=True)
        return await _once_awaited(piece, lambda: arun(tool, *args, **kwargs))

    kind.run, kind.arun = run_once, arun_once


def _structured_tools_remember() -> None:
    """The same for models that call functions in their words: CrewAI makes other tools of these."""
    build: Callable[[BaseTool], CrewStructuredTool] = BaseTool.to_structured_tool

    @wraps(build)
    def to_structured_tool(tool: BaseTool) -> CrewStructuredTool:
        made = build(tool)
        if not isinstance(tool, NOT_REMEMBERED):
            made.func = _function(tool, made.func)
        return made

    BaseTool.to_structured_tool = to_structured_tool


def _function(tool: BaseTool, do: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(do)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        piece = _call(tool, args, kwargs, counts=False)
        return await _once_awaited(piece, lambda: do(*args, **kwargs))

    @wraps(do)
    def called(*args: Any, **kwargs: Any) -> Any:
        return _once(_call(tool, args, kwargs, counts=False), lambda: do(*args, **kwargs))

    return awaited if inspect.iscoroutinefunction(do) else called


def _task(task: Task, agent: BaseAgent | None, context: str | None) -> Piece | None:
    """The piece that a task of a crew is: who does it, what it says, and what it builds on."""
    doing = agent or task.agent

    def again(outcome: Outcome) -> None:
        task.agent, task.output = doing, outcome.value
        if task.output_file:  # it may be read later on, and this may be another pod
            task._save_file(_content(outcome.value))  # noqa: SLF001  # as the task did

    named = ("task", task.description, task.expected_output, doing and doing.role, context)
    return _piece(
        question(*named),
        read=lambda said: Outcome(read_output(task, said)),
        write=lambda output: written_output(task, output),
        again=again,
    )


def _content(output: TaskOutput) -> Any:
    """What a task writes into its file."""
    if output.json_dict:
        return output.json_dict
    return output.pydantic.model_dump_json() if output.pydantic else output.raw


def _tasks_remember() -> None:
    """Let tasks remember: of one that is done, nothing is done again, nor its callbacks called."""
    execute: Callable[..., TaskOutput] = Task._execute_core  # noqa: SLF001  # all ways lead there
    aexecute: Callable[..., Awaitable[TaskOutput]] = Task._aexecute_core  # noqa: SLF001  # as above

    @wraps(execute)
    def executed(task: Task, agent: Any, context: Any, tools: Any) -> Any:
        return _once(_task(task, agent, context), lambda: execute(task, agent, context, tools))

    @wraps(aexecute)
    async def aexecuted(task: Task, agent: Any, context: Any, tools: Any) -> Any:
        piece = _task(task, agent, context)
        return await _once_awaited(piece, lambda: aexecute(task, agent, context, tools))

    Task._execute_core = executed  # noqa: SLF001  # one place instead of each task
    Task._aexecute_core = aexecuted  # noqa: SLF001  # as above


def remember() -> None:
    """Let the tools and tasks of CrewAI remember, of all runs that are begun from here on."""
    _remembers(BaseTool)
    _remembers(Tool)
    _structured_tools_remember()
    _tasks_remember()
