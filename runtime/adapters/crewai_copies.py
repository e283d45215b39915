"""Copies of what a user made, one a run: CrewAI keeps in them how far a run is.

Their own `copy()` drops what they hold of MCP servers and apps, takes tasks of two agents with one
role for the same, and knows nothing of flows. What is set anew here is what a run changes.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from crewai import Agent, Crew, Flow, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.agents.cache.cache_handler import CacheHandler
from crewai.agents.tools_handler import ToolsHandler
from crewai.tools import BaseTool
from pydantic import BaseModel
from pydantic_core import PydanticUndefined


def copied_crew(crew: Crew) -> Crew:
    """A crew as it was made, with agents, tasks and tools of its own."""
    copies = _Copies()
    made = crew.model_copy(
        update={
            "id": uuid.uuid4(),
            "agents": [copies.agent(agent) for agent in crew.agents],
            "tasks": [copies.task(task) for task in crew.tasks],
            "manager_agent": copies.agent(crew.manager_agent),
            "execution_logs": [],
            "usage_metrics": None,
            "token_usage": None,
            "stream": False,  # the run is listened to, see `crewai_events`
        }
    )
    _renew(made, ("_inputs", "_kickoff_event_id", "_execution_start_dispatched"))
    made._cache_handler = copies.cache  # noqa: SLF001  # what one run asked is no other's answer
    made._task_output_handler = _Forgotten()  # noqa: SLF001  # as above
    return made


def copied_agent(agent: Agent) -> Agent:
    """An agent as it was made, that no crew has set up yet."""
    made: Agent = _Copies().agent(agent)
    return made


class _Forgotten:
    """Takes what tasks came to, which CrewAI would write into one database for all runs."""

    def reset(self) -> None:
        """Forget the run before."""

    def update(self, task_index: int, log: dict[str, Any]) -> None:
        """Forget what a task came to."""


class _Copies:
    """One copy of each thing for one run: agents, tasks and tools are shared within a crew."""

    def __init__(self) -> None:
        self.cache = CacheHandler()
        self._made: dict[int, Any] = {}

    def agent(self, agent: BaseAgent | None) -> Any:
        """The copy of an agent.

        An agent that fails begins its task again, with all its tool calls, unless its maker said
        how often; here the models' clients and the queue try again.
        """
        if agent is None or id(agent) in self._made:
            return self._made.get(id(agent))
        cache = self.cache if agent.tools_handler.cache is not None else None
        update: dict[str, Any] = {
            "agent_executor": None,
            "crew": None,
            "tools": self._tools(agent.tools),
            "cache_handler": cache,
            "tools_handler": ToolsHandler(cache=cache),
            "tools_results": [],
        }
        if isinstance(agent, Agent) and "max_retry_limit" not in agent.model_fields_set:
            update["max_retry_limit"] = 0
        made = agent.model_copy(update=update)
        _renew(made, ("_token_process", "_tool_failures", "_last_messages", "_times_executed"))
        self._made[id(agent)] = made
        return made

    def task(self, task: Task) -> Any:
        """The copy of a task, whose context comes before it."""
        if id(task) in self._made:
            return self._made[id(task)]
        context = task.context
        if isinstance(context, list):
            context = [self.task(before) for before in context]
        update: dict[str, Any] = {
            "agent": self.agent(task.agent),
            "context": context,
            "tools": self._tools(task.tools),
            "output": None,
            "processed_by_agents": set(),
            **dict.fromkeys(("used_tools", "tools_errors", "delegations", "retry_count"), 0),
        }
        made = task.model_copy(update=update)
        _renew(made, ("_guardrail_retry_counts", "_thread"))
        self._made[id(task)] = made
        return made

    def _tools(self, tools: list[BaseTool] | None) -> list[BaseTool] | None:
        """Copies of tools, which count how often they were used."""
        return None if tools is None else [self._tool(tool) for tool in tools]

    def _tool(self, tool: BaseTool) -> BaseTool:
        if id(tool) not in self._made:
            self._made[id(tool)] = tool.model_copy(update={"current_usage_count": 0})
        made: BaseTool = self._made[id(tool)]
        return made


def copied_flow(flow: Flow[Any]) -> Flow[Any]:
    """A flow as it was made, at its beginning."""
    update = {"stream": False, "human_feedback_history": [], "last_human_feedback": None}
    made = flow.model_copy(update=update)
    declared = flow._definition if type(flow) is Flow else None  # noqa: SLF001  # not from a class
    _renew(made, Flow.__private_attributes__)
    object.__setattr__(made, "_flow_post_init_done", False)  # as Flow itself does
    made._flow_post_init(declared)  # noqa: SLF001  # it binds the methods to the copy
    return made


def _renew(made: BaseModel, names: Iterable[str]) -> None:
    """Give private attributes the values that a new object has."""
    for name in names:
        attribute = type(made).__private_attributes__.get(name)
        if attribute is not None and (fresh := attribute.get_default()) is not PydanticUndefined:
            setattr(made, name, fresh)
