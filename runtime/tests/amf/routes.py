"""A request to every operation of ours that takes a body or has a parameter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from runtime.amf.flavour import IS_OGX

LEGACY = ("/v1/agents", "/v1alpha/agents")
SESSION = "/{agent_id}/session/{session_id}"
TURN = f"{SESSION}/turn/{{turn_id}}"
MESSAGES = [{"role": "user", "content": "?"}]
RESULTS = [{"call_id": "1", "tool_name": "add", "content": "5"}]


@dataclass(frozen=True)
class Route:
    """One operation.

    Shape:
        body   one that is right, but for MODEL in it; None for none.
        wrong  fields of body or query that are not, each with what the refusal calls it.
    """

    method: str
    path: str
    body: dict[str, Any] | None = None
    wrong: Mapping[str, tuple[Any, str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_rpc(self) -> bool:
        """Whether it tells mistakes in a body by JSON-RPC."""
        return self.path in {"/a2a/{agent}", "/mcp"}

    def request(self, ids: Mapping[str, str], **sent: Any) -> httpx.Request:
        return httpx.Request(self.method, f"http://server{self.path.format(**ids)}", **sent)


def _legacy(prefix: str) -> list[Route]:
    agent = prefix + "/{agent_id}"
    limit = {"limit": ("x", "limit")}
    config = {"model": "MODEL"}
    return [
        Route(
            "POST",
            prefix,
            {"agent_config": config},
            {"agent_config": ({}, "agent_config.model"), "colour": (1, "colour")},
        ),
        Route("GET", prefix, wrong=limit | {"start_index": (-1, "start_index")}),
        Route("GET", agent),
        Route("DELETE", agent),
        Route(
            "POST", f"{agent}/session", {"session_name": "s"}, {"session_name": (5, "session_name")}
        ),
        Route("GET", f"{agent}/sessions", wrong=limit),
        Route("GET", prefix + SESSION),
        Route("DELETE", prefix + SESSION),
        Route(
            "POST",
            f"{prefix}{SESSION}/turn",
            {"messages": MESSAGES},
            {"messages": ([{"role": "king", "content": "?"}], "messages[0].role")},
        ),
        Route(
            "POST",
            f"{prefix}{TURN}/resume",
            {"tool_responses": RESULTS},
            {"tool_responses": ([], "tool_responses")},
        ),
        Route("GET", prefix + TURN),
        Route("GET", f"{prefix}{TURN}/step/{{step_id}}"),
    ]


def _ogx() -> list[Route]:
    """What OGX alone has."""
    return [
        Route("GET", "/v1/models", wrong={"limit": ("x", "limit")}),
        Route(
            "POST",
            "/v1/responses/compact",
            {"model": "MODEL", "input": "?"},
            {"model": (None, "model"), "prompt_cache_key": (5, "prompt_cache_key")},
        ),
    ]


ROUTES = [
    Route(
        "POST",
        "/v1/responses",
        {"model": "MODEL", "input": "?"},
        {
            "input": ("\ud800", "input"),
            "model": (5, "model"),
            "max_output_tokens": (10**30, "max_output_tokens"),
            "instructions": ("a\udfff", "instructions"),
        },
    ),
    Route("GET", "/v1/responses", wrong={"limit": ("x", "limit"), "order": ("up", "order")}),
    Route("GET", "/v1/responses/{response_id}", wrong={"stream": ("x", "stream")}),
    Route("DELETE", "/v1/responses/{response_id}"),
    Route("POST", "/v1/responses/{response_id}/cancel"),
    Route(
        "GET",
        "/v1/responses/{response_id}/input_items",
        wrong={"limit": (0, "limit"), "include": ("message.output_text.logprobs", "include")},
    ),
    Route(
        "POST",
        "/v1/conversations",
        {"metadata": {"a": "b"}},
        {
            "items": (5, "items"),
            "metadata": ({"a": "\ud800"}, "metadata.a"),
        },
    ),
    Route("GET", "/v1/conversations/{conversation_id}"),
    Route(
        "POST",
        "/v1/conversations/{conversation_id}",
        {"metadata": {"a": "b"}},
        {"metadata": ({"a": 1}, "metadata.a")},
    ),
    Route("DELETE", "/v1/conversations/{conversation_id}"),
    Route(
        "POST",
        "/v1/conversations/{conversation_id}/items",
        {"items": [{"type": "message", **MESSAGES[0]}]},
        {"items": (None, "items")},
    ),
    Route("GET", "/v1/conversations/{conversation_id}/items", wrong={"limit": ("x", "limit")}),
    Route("GET", "/v1/conversations/{conversation_id}/items/{item_id}"),
    Route("DELETE", "/v1/conversations/{conversation_id}/items/{item_id}"),
    Route(
        "POST",
        "/v1/chat/completions",
        {"model": "agents/MODEL", "messages": MESSAGES},
        {
            "messages": ([{"role": "user", "content": ""}], "messages"),
            "temperature": ("hot", "temperature"),
        },
    ),
    Route("GET", "/v1/models/{model_id}"),
    Route(
        "POST",
        "/v1/toolgroups",
        {"toolgroup_id": "a", "provider_id": "b"},
        {"toolgroup_id": (5, "toolgroup_id")},
    ),
    Route("GET", "/v1/toolgroups/{toolgroup_id}"),
    Route("DELETE", "/v1/toolgroups/{toolgroup_id}"),
    Route("GET", "/v1/tools"),
    Route("GET", "/v1/tools/{tool_name}"),
    Route("GET", "/v1/tool-runtime/list-tools"),
    Route(
        "POST",
        "/v1/tool-runtime/invoke",
        {"tool_name": "knowledge_search"},
        {"tool_name": (5, "tool_name"), "kwargs": ({"query": 5}, "kwargs.query")},
    ),
    Route(
        "POST",
        "/v1/tool-runtime/rag-tool/insert",
        {"vector_db_id": "a", "documents": []},
        {"documents": (5, "documents"), "chunk_size_in_tokens": (1, "chunk_size_in_tokens")},
    ),
    Route(
        "POST",
        "/v1/tool-runtime/rag-tool/query",
        {"content": "?", "vector_db_ids": ["a"]},
        {"vector_db_ids": ([], "vector_db_ids")},
    ),
    Route(
        "POST",
        "/v1/vector-dbs",
        {"vector_db_id": "a", "embedding_model": "b"},
        {
            "embedding_model": (5, "embedding_model"),
            "embedding_dimension": (0, "embedding_dimension"),
        },
    ),
    Route("GET", "/v1/vector-dbs/{vector_db_id}"),
    Route("DELETE", "/v1/vector-dbs/{vector_db_id}"),
    Route("GET", "/v1alpha/k8gentai/agents"),
    Route("GET", "/v1alpha/k8gentai/tools"),
    Route("GET", "/a2a/{agent}/.well-known/agent-card.json"),
    Route("POST", "/a2a/{agent}", {"jsonrpc": "2.0", "id": 1, "method": "GetTask"}),
    Route("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    *(route for prefix in LEGACY for route in _legacy(prefix)),
    *(_ogx() if IS_OGX else ()),
]
UNKNOWN = {
    "response_id": "resp_" + "0" * 32,
    "conversation_id": "conv_" + "0" * 48,
    "item_id": "msg_0",
    "model_id": "agents/nobody",
    "agent": "nobody",
    "toolgroup_id": "nothing",
    "tool_name": "nothing",
    "vector_db_id": "nothing",
    **dict.fromkeys(
        ("agent_id", "session_id", "turn_id", "step_id"), "01234567-89ab-4def-8123-456789abcdef"
    ),
}
"""Ids of the form that each has, of nothing."""
