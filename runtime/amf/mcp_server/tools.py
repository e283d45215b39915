"""Agents as tools, and the ends of their runs as results. Pure.

Source:
    Model Context Protocol specification 2025-11-25, "Tools".
"""

import hashlib
import json
from collections.abc import Iterable

from mcp import types

from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import (
    AgentCalled,
    Event,
    Outcome,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.tools.port import INPUT


def tool_of(agent: AgentEntry) -> types.Tool:
    """The tool that an agent is: it takes what is to be done, in words, and gives the answer."""
    return types.Tool(
        name=agent.model,
        description=agent.description or f"The agent {agent.model}, written in {agent.framework}.",
        inputSchema=INPUT,
    )


def said(arguments: dict[str, object] | None) -> str | None:
    """What the agent is asked, None if the arguments do not fit `INPUT`."""
    match arguments or {}:
        case {"input": str(text), **others} if text.strip() and not others:
            return text
        case _:
            return None


def result(text: str, *, is_error: bool = False) -> types.CallToolResult:
    """The result of a call; with `is_error` the sentence is for the model, which may try again."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], isError=is_error
    )


def ended(record: RunRecord) -> types.CallToolResult:
    """The result of a run that has ended, or that waits for a person, who has no say here."""
    match record.state:
        case RunState.COMPLETED:
            return result(record.text or "")
        case RunState.FAILED:
            return result(record.message or "The run has failed.", is_error=True)
        case RunState.CANCELLED:
            return result("The run was cancelled.", is_error=True)
        case _:
            names = ", ".join(one.function for one in record.approvals if one.is_open)
            return result(
                f"A person has to approve the call of {names}, and a tool of MCP cannot wait for "
                "one; ask the agent by /v1/responses. The run was cancelled.",
                is_error=True,
            )


def told(events: Iterable[Event]) -> list[str]:
    """What there is to say of a run's events, for people; text that goes on is one piece."""
    steps: list[str] = []
    goes_on = False
    for event in events:
        match event:
            case TextDelta(text=text) if goes_on:
                steps[-1] += text
            case TextDelta(text=text):
                steps.append(text)
            case ToolCalled(tool=name) | AgentCalled(agent=name):
                steps.append(f"asks {name}")
            case ToolReturned(tool=name, outcome=Outcome.SUCCEEDED):
                steps.append(f"{name} has answered")
            case ToolReturned(tool=name, output=why):
                steps.append(f"{name} has failed: {why}")
            case _:
                continue
        goes_on = isinstance(event, TextDelta)
    return steps


def task_id(user: str, session: str, request: str | int) -> str:
    """The task of one request of a session: whoever cancels the request names the same.

    Shape:
        session  the Mcp-Session-Id; it names no state, it just tells clients apart.
    """
    named = json.dumps([user, session, request])
    return hashlib.sha256(named.encode()).hexdigest()[:32]
