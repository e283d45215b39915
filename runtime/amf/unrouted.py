"""The protocols that are no routes of FastAPI's, as the document of the API tells them.

Their messages have documents of their own; what stands here is how they are carried.

Source:
    A2A protocol specification 1.0, "JSON-RPC Protocol Binding"; Model Context Protocol
    specification 2025-11-25, "Transports"; JSON-RPC 2.0.
"""

from collections.abc import Mapping
from typing import Final

from runtime.amf.items import Wire

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

SCHEMAS: Final[Wire] = {
    "RpcCall": {
        "type": "object",
        "description": "A call by JSON-RPC 2.0.",
        "required": ["jsonrpc", "method"],
        "properties": {
            "jsonrpc": {"type": "string", "enum": ["2.0"]},
            "id": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "method": {"type": "string"},
            "params": {"type": "object"},
        },
    },
    "Rpc": {
        "type": "object",
        "description": "An answer by JSON-RPC 2.0: a `result` or an `error`.",
        "required": ["jsonrpc"],
        "properties": {
            "jsonrpc": {"type": "string", "enum": ["2.0"]},
            "id": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            "result": {},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
            },
        },
    },
    "AgentCard": {
        "type": "object",
        "description": "An agent card of A2A 1.0 that clients of 0.3 read as well.",
        "required": ["name", "description", "version", "capabilities", "skills"],
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "version": {"type": "string"},
            "capabilities": {"type": "object"},
            "skills": {"type": "array", "items": {"type": "object"}},
        },
    },
    "AgentCards": {
        "type": "object",
        "required": ["agents"],
        "properties": {
            "agents": {"type": "array", "items": {"$ref": "#/components/schemas/AgentCard"}}
        },
    },
}
AGENT: Final[Wire] = {
    "name": "agent",
    "in": "path",
    "required": True,
    "description": "The agent, as clients name its model.",
    "schema": {"type": "string"},
}


def _json(schema: str, about: str) -> Wire:
    content = {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": about, "content": content}


def _call(about: str) -> Wire:
    return {"required": True, **_json("RpcCall", about)}


def _answered(about: str) -> Wire:
    told = _json("Rpc", about)
    told["content"][EVENTS] = {"schema": {"$ref": "#/components/schemas/Rpc"}}
    return told


PATHS: Final[Mapping[str, Wire]] = {
    "/a2a": {
        "get": {
            "tags": ["A2A"],
            "summary": "List agent cards.",
            "description": "The cards of all agents that whoever asks may use.",
            "operationId": "a2a_list_cards",
            "responses": {"200": _json("AgentCards", "The cards.")},
        }
    },
    "/a2a/{agent}/.well-known/agent-card.json": {
        "get": {
            "tags": ["A2A"],
            "summary": "Get an agent card.",
            "description": "What an agent is, and where it is called.",
            "operationId": "a2a_get_card",
            "parameters": [AGENT],
            "responses": {"200": _json("AgentCard", "The card.")},
        }
    },
    "/a2a/{agent}": {
        "post": {
            "tags": ["A2A"],
            "summary": "Call an agent.",
            "description": (
                "The methods of A2A 1.0 and 0.3, but for push notifications. A task is a run, a "
                "`contextId` a conversation. The header `A2A-Version` says which version it is."
            ),
            "operationId": "a2a_call",
            "parameters": [AGENT],
            "requestBody": _call("A call."),
            "responses": {"200": _answered("Its answer, or answers as they come.")},
        }
    },
    "/mcp": {
        "post": {
            "tags": ["MCP"],
            "summary": "Send a message of MCP.",
            "description": (
                "Streamable HTTP, where each agent is a tool with the one argument `input`. The "
                "header `Accept` has to name JSON and streams of events, both."
            ),
            "operationId": "mcp_send",
            "requestBody": _call("A message."),
            "responses": {
                "200": _answered("Its answer, or answers as they come."),
                "202": {"description": "It needs no answer."},
            },
        }
    },
}
