"""The document of the API (OpenAPI 3.1), as `/openapi.json` serves it.

FastAPI writes it from the routes. Here is what it cannot see: which of two routes of one path
answers, what the providers read beside the body, how requests are refused, and the protocols that
are no routes of its own.

Source:
    OpenAPI specification 3.1.1; llama-stack-api 0.7.3, `router_utils.py`: the answers to which its
    routes refer are not in the document that its server serves.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from runtime.amf import sdk
from runtime.amf.items import Wire
from runtime.amf.statuses import RESPONSES, refusals
from runtime.amf.statuses import SCHEMAS as REFUSED
from runtime.amf.unrouted import EVENTS, JSON, PATHS, SCHEMAS

TITLE: Final = "k8gentai"
ABOUT: Final = "Agents of any framework, and the models and tools of a Stack, behind one API."
METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
TAGS: Final[Mapping[str, str]] = {
    "Responses": "Ask an agent or a model; see to responses that were asked for before.",
    "Conversations": "What was said, kept by the server.",
    "Chat": "Ask an agent or a model as chat clients do.",
    "Models": "Agents and models, as clients name them.",
    "k8gentai": "What there is to ask, and what it can do.",
    "A2A": "Agents for other agents, by the Agent2Agent protocol.",
    "MCP": "Agents as tools of one MCP server.",
    "Agents (legacy)": "The agents API of Llama Stack up to 0.3: agents, sessions, turns, tools, "
    "and vector databases.",
}
"""The parts of the API that are ours, in the order of the page; the rest is Llama Stack's own."""
CHAT: Final = "POST /v1/chat/completions"

ABOUTS: Final[Mapping[str, str]] = {
    "POST /v1/responses": (
        "Ask an agent or a model, and have its answer whole, as a stream of events, or later "
        "(`background`). Who closes a stream does not want the answer any more."
    ),
    "GET /v1/responses": (
        "The responses of whoever asks: those of agents, or with `model` those of one model."
    ),
    "GET /v1/responses/{response_id}": (
        "A response as it stands; of an agent also as a stream, from any event on and from any "
        "server."
    ),
    "DELETE /v1/responses/{response_id}": (
        "Erase a response that has ended, with all that is kept of its run."
    ),
    "POST /v1/responses/{response_id}/cancel": (
        "Cancel a response, whatever way it was asked for, with the calls of its tools. One that "
        "has ended stays as it is. Code that blocks its thread goes on to its own end."
    ),
    "GET /v1/responses/{response_id}/input_items": (
        "What a response was asked, with what was said before; the newest first."
    ),
    "POST /v1/conversations": "Begin a conversation.",
    "POST /v1/conversations/{conversation_id}/items": (
        "Add to a conversation what was said elsewhere. Each item gets an id of the server's."
    ),
    "GET /v1/conversations/{conversation_id}/items": (
        "What was said in a conversation, by whoever it was, in its order; the newest first."
    ),
    CHAT: (
        "Chat with an agent (`agents/<name>`) or a model. An agent tells its text alone, and its "
        "runs are in no conversation."
    ),
    "GET /v1/models": (
        "Agents, as `agents/<name>`, and the models of the Stack, each in OpenAI's shape and in "
        "that of Llama Stack at once."
    ),
    "GET /v1/models/{model_id}": "An agent or a model, as the list has it.",
}
"""What the server's own document says otherwise, or leaves out."""
IDEMPOTENCY_KEY: Final[Wire] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A request that is sent again under its key becomes the same run. For agents.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
RESUMING: Final[list[Wire]] = [
    {
        "name": "stream",
        "in": "query",
        "description": "Tell the response of an agent as a stream of its events.",
        "schema": {"type": "boolean", "default": False},
    },
    {
        "name": "starting_after",
        "in": "query",
        "description": "With `stream`: only events behind the one of this `sequence_number`.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 999999999999999},
    },
]
BESIDE: Final[Mapping[str, list[Wire]]] = {
    "POST /v1/responses": [IDEMPOTENCY_KEY],
    CHAT: [IDEMPOTENCY_KEY],
    "GET /v1/responses/{response_id}": RESUMING,
}
"""Parameters that are read from the connection."""


def document(app: Any) -> Wire:
    """The document of a server, an application of FastAPI, with all that it serves."""
    with warnings.catch_warnings():
        # Where two routes have one path the first one answers, and the later one is told.
        warnings.filterwarnings("ignore", "Duplicate Operation ID")
        told = get_openapi(
            title=TITLE,
            version=app.version,
            description=ABOUT,
            routes=list(reversed(app.routes)),
        )
    found = completed(told, _schemas(sdk.UNLISTED))
    if (callers := app.state.callers) is not None:
        login = {"type": "openIdConnect", "openIdConnectUrl": callers.discovery}
        found["components"]["securitySchemes"] = {"user": login}
        found["security"] = [{"user": []}]
    return found


def completed(told: Wire, schemas: Wire) -> Wire:
    """What FastAPI tells, with what it cannot see.

    Shape:
        told     an OpenAPI document; it is taken over.
        schemas  those to which it refers, and which it may lack.
    """
    told["paths"] = dict(sorted({**told["paths"], **PATHS}.items()))
    told["tags"] = [{"name": name, "description": about} for name, about in TAGS.items()]
    components = told.setdefault("components", {})
    components["schemas"] = schemas | components.get("schemas", {}) | REFUSED | SCHEMAS
    components["responses"] = RESPONSES
    for where, operation in operations(told):
        _complete(where, operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return told


def operations(told: Wire) -> Iterator[tuple[str, Wire]]:
    """Every operation of a document with its place: `GET /v1/models`."""
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield f"{method.upper()} {path}", operation


def is_ours(operation: Wire) -> bool:
    """Whether an operation belongs to the part of the API that is ours."""
    return not TAGS.keys().isdisjoint(operation["tags"])


def _complete(where: str, operation: Wire) -> None:
    if where == CHAT:
        operation["tags"] = ["Chat"]
    operation["description"] = ABOUTS.get(where, operation.get("description", ""))
    if beside := BESIDE.get(where):
        operation["parameters"] = [*operation.get("parameters", []), *beside]
    if RESUMING is beside:
        operation["responses"]["200"]["content"] |= {EVENTS: {}}
    if where in sdk.OTHERWISE:
        _answers_also(operation["responses"]["200"], sdk.OTHERWISE[where])
    for answer in operation["responses"].values():
        if EVENTS in answer.get("content", {}):
            answer["content"][EVENTS] = _events(answer["content"][EVENTS].get("schema", {}))
    answers = {
        status: answer for status, answer in operation["responses"].items() if status[0] in "123"
    }
    has_input = bool(operation.get("parameters") or "requestBody" in operation)
    operation["responses"] = answers | refusals(
        where,
        is_ours=is_ours(operation),
        has_input=has_input,
        has_body="requestBody" in operation,
    )


def _answers_also(answer: Wire, names: Iterable[str]) -> None:
    told = answer["content"][JSON]
    others = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    told["schema"] = {"anyOf": [told["schema"], *others]}


def _events(told: Wire) -> Wire:
    """A stream of events, each of which has JSON of a schema as its data.

    Source:
        OpenAPI specification 3.2.0, "Server-Sent Events"; WHATWG HTML, "Server-sent events".
    """
    content = {"type": "string", "contentMediaType": "application/json"}
    data = content | ({"contentSchema": told} if told else {})
    return {
        "schema": {
            "type": "object",
            "required": ["data"],
            "properties": {"event": {"type": "string"}, "data": data},
        }
    }


def _schemas(kinds: Mapping[str, Any]) -> Wire:
    """The JSON schemas of what is answered, by their names, with those that they refer to."""
    by_name, rest = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(kind)) for name, kind in kinds.items()],
        ref_template="#/components/schemas/{model}",
    )
    found: Wire = {name: schema for (name, _), schema in by_name.items()}
    found.update(rest["$defs"])
    return found
