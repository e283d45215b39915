"""Tools and tasks of CrewAI that remember what they came to in the attempts before.

CrewAI calls them from threads and from event loops, for crews, agents and flows of a user's own;
so they remember at the one place where all of a kind are called.

Source:
    CrewAI 1.15, `BaseTool.run`, `Tool.run`, `BaseTool.to_structured_tool`, `Task._execute_core`.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

from crewai import Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.tasks.task_output import TaskOutput
from crewai.tools import BaseTool
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from crewai.tools.base_tool import Tool
from crewai.tools.structured_tool import CrewStructuredTool

from runtime.adapters.crewai_resume import read_output, read_result, written_output, written_result
from runtime.adapters.crewai_tools import PlatformTool
from runtime.adapters.once import once, once_awaited
from runtime.adapters.recorded import ERROR, Codec, Piece

NOT_REMEMBERED = PlatformTool | BaseAgentTool
"""The calls of these have records of their own, or are work of other agents, which remember."""


def _call(tool: BaseTool, args: Any, kwargs: Any, *, counts: bool) -> Piece:
    """The piece that a call of a tool is; `counts` if nobody else counts how often it is used."""
    kind = tool.result_schema
    return Piece(
        asked=lambda: ("tool", tool.name, args, kwargs),
        result=Codec(
            lambda result: written_result(result, kind), lambda said: read_result(said, kind)
        ),
        error=ERROR,
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
        return once(_call(tool, args, kwargs, counts=True), lambda: run(tool, *args, **kwargs))

    @wraps(arun)
    async def arun_once(tool: BaseTool, /, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tool, NOT_REMEMBERED):
            return await arun(tool, *args, **kwargs)
        piece = _call(tool, args, kwargs, counts=True)
        return await once_awaited(piece, lambda: arun(tool, *args, **kwargs))

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
        return await once_awaited(piece, lambda: do(*args, **kwargs))

    @wraps(do)
    def called(*args: Any, **kwargs: Any) -> Any:
        return once(_call(tool, args, kwargs, counts=False), lambda: do(*args, **kwargs))

    return awaited if inspect.iscoroutinefunction(do) else called


def _task(task: Task, agent: BaseAgent | None, context: str | None) -> Piece:
    """The piece that a task of a crew is: who does it, what it says, and what it builds on."""
    doing = agent or task.agent
    named = ("task", task.description, task.expected_output, doing and doing.role, context)

    def again(output: TaskOutput) -> None:
        task.agent, task.output = doing, output
        if task.output_file:  # it may be read later on, and this may be another pod
            task._save_file(_content(output))  # noqa: SLF001  # as the task did

    return Piece(
        asked=lambda: named,
        result=Codec(partial(written_output, task), partial(read_output, task)),
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
        return once(_task(task, agent, context), lambda: execute(task, agent, context, tools))

    @wraps(aexecute)
    async def aexecuted(task: Task, agent: Any, context: Any, tools: Any) -> Any:
        piece = _task(task, agent, context)
        return await once_awaited(piece, lambda: aexecute(task, agent, context, tools))

    Task._execute_core = executed  # noqa: SLF001  # one place instead of each task
    Task._aexecute_core = aexecuted  # noqa: SLF001  # as above


def remember() -> None:
    """Let the tools and tasks of CrewAI remember, of all runs that are begun from here on."""
    _remembers(BaseTool)
    _remembers(Tool)
    _structured_tools_remember()
    _tasks_remember()
