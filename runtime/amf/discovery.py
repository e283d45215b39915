"""What there is to use behind this Stack: `/v1alpha/k8gentai/agents` and `/tools`.

Shape:
    Lists as the Llama Stack API has them, `{"data": […]}`, with names in snake_case.
"""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from runtime.amf.directory import Directory
from runtime.amf.query import ONLY_KNOWN
from runtime.contract.catalogue import AgentEntry, FunctionSpec, ToolEntry
from runtime.contract.value import ObjectName
from runtime.tools.port import INPUT

PREFIX = "/v1alpha/k8gentai"


class Named(BaseModel):
    """One object of the cluster."""

    name: str
    namespace: str


class AgentInfo(Named):
    """One Agent.

    Shape:
        model         what a client names to ask it, in every API of this server.
        input_schema  of its arguments, where it is a tool: of an agent that may ask it, and of MCP.
        version       of its spec; another one may behave otherwise.
        state         `Ready`, `NotReady`, `Unavailable`: no worker of it can start; or `Closed`: it
                      takes no new work. `reason` is that of its condition Ready; `message` says
                      why, where the status of the Agent quotes its pods besides.
        capabilities  what tests have proved of its framework.
        tools         what it may call.
        a2a           the path of its A2A endpoint.
    """

    model: str
    description: str
    input_schema: dict[str, Any]
    framework: str
    version: str
    state: str
    reason: str
    message: str
    capabilities: tuple[str, ...]
    tools: tuple[Named, ...]
    max_input_bytes: int
    timeout_seconds: int
    a2a: str


class FunctionInfo(BaseModel):
    """One function of a Tool; `input_schema` is the JSON schema of its arguments."""

    name: str
    description: str
    input_schema: dict[str, Any]


class ToolInfo(Named):
    """One Tool, which clients use through agents.

    Shape:
        side_effects  what a repeated call may do: `None`, `Idempotent` or `AtMostOnce`.
        state         `Ready` or `NotReady`; `reason` and `message` as those of an Agent.
        agents        the models of those that may call it.
    """

    description: str
    side_effects: str
    state: str
    reason: str
    message: str
    functions: tuple[FunctionInfo, ...]
    agents: tuple[str, ...]


class AgentList(BaseModel):
    """What `GET …/agents` answers."""

    data: tuple[AgentInfo, ...]


class ToolList(BaseModel):
    """What `GET …/tools` answers."""

    data: tuple[ToolInfo, ...]


def router(directory: Directory) -> APIRouter:
    """The routes; a `namespace` in the query leaves out all others."""
    routes = APIRouter(prefix=PREFIX, tags=["k8gentai"], dependencies=[ONLY_KNOWN])

    @routes.get("/agents", operation_id="k8gentai_list_agents")
    async def agents(namespace: str | None = None) -> AgentList:
        """The agents that whoever asks may use."""
        found = await directory.agents()
        shown = [one for one in found if namespace in {None, one.agent.namespace}]
        return AgentList(data=tuple(agent_info(one) for one in shown))

    @routes.get("/tools", operation_id="k8gentai_list_tools")
    async def tools(namespace: str | None = None) -> ToolList:
        """The tools that these agents may call."""
        found, asking = await directory.tools(), await directory.agents()
        shown = [one for one in found if namespace in {None, one.tool.namespace}]
        return ToolList(data=tuple(tool_info(one, asking) for one in shown))

    return routes


def agent_info(agent: AgentEntry) -> AgentInfo:
    """What is told of an Agent."""
    return AgentInfo(
        name=agent.agent.name,
        namespace=agent.agent.namespace,
        model=agent.model,
        description=agent.description,
        input_schema=INPUT,
        framework=agent.framework.value,
        version=agent.version,
        state=agent.state.value,
        reason=agent.reason,
        message=agent.message,
        capabilities=agent.capabilities,
        tools=tuple(_named(tool) for tool in agent.tools),
        max_input_bytes=agent.max_input_bytes,
        timeout_seconds=agent.timeout_seconds,
        a2a=f"/a2a/{agent.model}",
    )


def tool_info(tool: ToolEntry, agents: tuple[AgentEntry, ...]) -> ToolInfo:
    """What is told of a Tool, to whom may use these agents."""
    return ToolInfo(
        name=tool.tool.name,
        namespace=tool.tool.namespace,
        description=tool.description,
        side_effects=tool.side_effects.value,
        state="Ready" if tool.ready else "NotReady",
        reason=tool.reason,
        message=tool.message,
        functions=tuple(_function(one) for one in tool.functions),
        agents=tuple(agent.model for agent in agents if tool.tool in agent.tools),
    )


def _named(name: ObjectName) -> Named:
    return Named(name=name.name, namespace=name.namespace)


def _function(function: FunctionSpec) -> FunctionInfo:
    return FunctionInfo(
        name=function.name,
        description=function.description,
        input_schema=function.input_schema,
    )
