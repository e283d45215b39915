"""Which functions an agent may call, from its bindings and from what its tools said: pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import override

from runtime.contract.agent_config import AgentBinding, ToolBinding
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.keys import ask_key, effect_key
from runtime.contract.subjects import StackSubjects
from runtime.contract.value import ObjectName
from runtime.tools.errors import BadSpec
from runtime.tools.port import INPUT
from runtime.tools.schema import Schema

LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that a model may ask for.

    Shape:
        spec      as the model sees it.
        function  the name its tool knows it by.
    """

    spec: FunctionSpec
    function: str
    binding: ToolBinding | AgentBinding
    schema: Schema

    @property
    def owner(self) -> ObjectName:
        """The Tool, or the Agent that is asked."""
        match self.binding:
            case ToolBinding(tool=tool):
                return tool
            case AgentBinding(agent=agent):
                return agent

    @property
    def is_agent(self) -> bool:
        """Whether another agent is asked."""
        return isinstance(self.binding, AgentBinding)

    @property
    def approval_seconds(self) -> int | None:
        """How long a call of it waits for a person; None if it needs none."""
        match self.binding:
            case ToolBinding(approval_required=True, approval_seconds=seconds):
                return seconds
            case _:
                return None

    def key(self, caller: ObjectName, task: str, step: int, index: int) -> str:
        """The key of a call of it in `effects`."""
        make = ask_key if self.is_agent else effect_key
        return make(self.owner, caller, task, step, index)

    def subject(self, subjects: StackSubjects, caller: ObjectName) -> str:
        """Where calls of it are published."""
        where = subjects.asks if self.is_agent else subjects.calls
        return where(self.owner, caller)

    def deadline(self, task_deadline: float, now: float) -> float:
        """Until when a call of it is waited for; another agent's own timeout ends it sooner."""
        if isinstance(self.binding, AgentBinding):
            return task_deadline
        return min(task_deadline, now + self.binding.timeout_seconds)

    @override
    def __str__(self) -> str:
        return f"the {'Agent' if self.is_agent else 'Tool'} {self.owner}"


def offers(
    tools: tuple[ToolBinding, ...],
    found: Mapping[ObjectName, ToolFunctions],
    agents: tuple[AgentBinding, ...] = (),
) -> dict[str, Offered]:
    """What is offered, by the name the model sees.

    Raises:
        BadSpec: two functions have the same name, or one cannot be offered.
    """
    offered: dict[str, Offered] = {}
    for binding in tools:
        for function in found[binding.tool].functions:
            _add(_of_tool(function, binding), offered)
    for agent in agents:
        _add(_of_agent(agent), offered)
    return offered


def _add(one: Offered, offered: dict[str, Offered]) -> None:
    name = one.spec.name
    if (other := offered.get(name)) is None:
        offered[name] = one
        return
    if one.is_agent:
        raise BadSpec(
            f"spec.agents: {other} and {one} would both be offered as {name}; "
            "name only one of them, or rename the function"
        )
    raise BadSpec(
        f"spec.tools: the Tools {other.owner} and {one.owner} both have a function {name}; "
        "name only one of them, or rename the function"
    )


def _of_tool(function: FunctionSpec, binding: ToolBinding) -> Offered:
    field = f"spec.tools: the input schema of {function.name} of the Tool {binding.tool}"
    return Offered(
        spec=function.model_copy(update={"name": visible(function.name)}),
        function=function.name,
        binding=binding,
        schema=Schema(function.input_schema, field=field),
    )


def _of_agent(binding: AgentBinding) -> Offered:
    name = binding.agent.name
    said = binding.description or f"Ask the agent {name}."
    return Offered(
        spec=FunctionSpec(name=visible(name), description=said, input_schema=INPUT),
        function=name,
        binding=binding,
        schema=Schema(INPUT, field=f"spec.agents: the input schema of {binding.agent}"),
    )


def visible(name: str) -> str:
    """A function's name as every model takes it: letters, digits, `_` and `-`, at most 64.

    Source:
        OpenAI API reference, "Create chat completion", `tools.function.name`.
    """
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:LONGEST_NAME]
