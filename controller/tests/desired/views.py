"""Views as one would have seen them."""

from collections.abc import Mapping
from typing import Any

from controller.api.agent import Agent
from controller.api.names import Kind
from controller.api.parse import parse
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.metadata import key_of
from controller.model import (
    AgentView,
    Key,
    QueueFacts,
    QueueState,
    Reference,
    StackView,
    ToolView,
    WorkloadView,
)
from controller.tests import samples

CREATED = "2026-11-22T10:00:00Z"


def read[R: (Agent, Stack, Tool)](model: type[R], body: Mapping[str, Any], uid: str) -> R:
    metadata = {"uid": uid, "generation": 1, "creationTimestamp": CREATED, **body["metadata"]}
    return parse(model, {**body, "metadata": metadata})


def the_stack(**spec: Any) -> Stack:
    return read(Stack, samples.stack(**spec), "stack-uid")


def stack_view(
    stack: Stack | None = None, queue: QueueState | None = None, **facts: Any
) -> StackView:
    return StackView(
        key=Key(Kind.STACK, "team", "default"),
        owner=stack or the_stack(),
        url=samples.QUEUE_URL,
        queue=queue or QueueFacts(),
        **facts,
    )


def agent_view(
    stack: Stack | None = None,
    tools: tuple[Tool, ...] = (),
    agents: tuple[Agent, ...] = (),
    *,
    approval: Mapping[str, Any] | None = None,
    facts: Any = None,
    **spec: Any,
) -> AgentView:
    names = {
        "tools": [{"toolRef": ref_to(one), "approval": approval or {}} for one in tools],
        "agents": [{"agentRef": ref_to(one)} for one in agents],
    }
    owner = read(Agent, samples.agent(**{**names, **spec}), "agent-uid")
    stack = stack or the_stack()
    return WorkloadView(
        key=Key(Kind.AGENT, "team", "math"),
        owner=owner,
        stack=Reference(Key(Kind.STACK, "team", stack.metadata.name), stack),
        tools=tuple(Reference(key_of(one), one) for one in tools),
        agents=tuple(Reference(key_of(one), one) for one in agents),
        **(facts or {}),
    )


def ref_to(owner: Agent | Tool) -> dict[str, str]:
    return {"name": owner.metadata.name, "namespace": owner.metadata.namespace}


def an_agent(name: str = "poet", namespace: str = "team", **spec: Any) -> Agent:
    return read(Agent, samples.agent(name, namespace, **spec), f"{name}-uid")


def a_tool(name: str = "add", namespace: str = "team", **spec: Any) -> Tool:
    return read(Tool, samples.tool(name, namespace, **spec), f"{name}-uid")


def the_tool(**spec: Any) -> Tool:
    return read(Tool, samples.tool(**spec), "tool-uid")


def tool_view(tool: Tool | None = None, *, facts: Any = None) -> ToolView:
    stack = the_stack()
    return WorkloadView(
        key=Key(Kind.TOOL, "team", "add"),
        owner=tool or the_tool(),
        stack=Reference(Key(Kind.STACK, "team", "default"), stack),
        source={"arithmetic.py": "def add(a, b): return a + b\n"},
        **(facts or {}),
    )
