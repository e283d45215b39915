"""Copies of what a user made, one a run: CrewAI keeps in them how far a run is.

Their own `copy()` drops what they hold of MCP servers and apps, takes tasks of two agents with one
role for the same, and knows nothing of flows. What is set anew here is what a run changes.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crewai import Agent, Crew, Flow, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.agents.cache.cache_handler import CacheHandler
from crewai.agents.tools_handler import ToolsHandler
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

ANEW = ("_token_process", "_tool_failures", "_last_messages", "_times_executed")


def copied_crew(crew: Crew) -> Crew:
    """A crew as it was made, with agents and tasks of its own."""
    cache = CacheHandler()
    agents = {id(agent): copied_agent(agent, cache) for agent in members(crew)}
    tasks: dict[int, Task] = {}
    for task in crew.tasks:
        tasks[id(task)] = _copied_task(task, agents, tasks)
    made = crew.model_copy(
        update={
            "id": uuid.uuid4(),
            "agents": [agents[id(agent)] for agent in crew.agents],
            "tasks": list(tasks.values()),
            "manager_agent": agents.get(id(crew.manager_agent)),
            "execution_logs": [],
            "usage_metrics": None,
            "token_usage": None,
            "stream": False,  # the run is listened to, see `crewai_events`
        }
    )
    _renew(made, ("_inputs", "_kickoff_event_id", "_execution_start_dispatched"))
    made._cache_handler = cache  # noqa: SLF001  # what one run asked must not answer another
    made._task_output_handler = _Forgotten()  # noqa: SLF001  # as above
    return made


class _Forgotten:
    """Takes what tasks came to, which CrewAI would write into one database for all runs."""

    def reset(self) -> None:
        """Forget the run before."""

    def update(self, task_index: int, log: dict[str, Any]) -> None:
        """Forget what a task came to."""


def members(crew: Crew) -> Iterator[BaseAgent]:
    """The agents of a crew: a task may have one that the crew does not list."""
    yield from crew.agents
    yield from (task.agent for task in crew.tasks if task.agent is not None)
    if crew.manager_agent is not None:
        yield crew.manager_agent


def copied_agent[A: BaseAgent](agent: A, cache: CacheHandler | None = None) -> A:
    """An agent as it was made, that no crew has set up yet.

    An agent that fails begins its task again, with all its tool calls, unless its maker said how
    often; here the models' clients and the queue try again.
    """
    kept = agent.tools_handler.cache is not None
    update: dict[str, Any] = {
        "agent_executor": None,
        "crew": None,
        "tools": None if agent.tools is None else list(agent.tools),
        "tools_handler": ToolsHandler(cache=(cache or CacheHandler()) if kept else None),
        "tools_results": [],
    }
    if isinstance(agent, Agent) and "max_retry_limit" not in agent.model_fields_set:
        update["max_retry_limit"] = 0
    made: A = agent.model_copy(update=update)
    _renew(made, ANEW)
    return made


def _copied_task(task: Task, agents: Mapping[int, BaseAgent], tasks: Mapping[int, Task]) -> Task:
    context = task.context
    if isinstance(context, list):
        context = [tasks.get(id(before), before) for before in context]
    made = task.model_copy(
        update={
            "agent": agents.get(id(task.agent)),
            "context": context,
            "tools": None if task.tools is None else list(task.tools),
            "output": None,
            "processed_by_agents": set(),
            **dict.fromkeys(("used_tools", "tools_errors", "delegations", "retry_count"), 0),
        }
    )
    _renew(made, ("_guardrail_retry_counts", "_thread"))
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
