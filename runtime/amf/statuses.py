"""With what each operation may refuse a request, for the document of the API. Pure.

Source:
    `errors`, whose classes say what each status and code means.
"""

from collections.abc import Mapping
from typing import Final

from runtime.amf import errors
from runtime.amf.chat import RunFailed
from runtime.amf.items import Wire

KINDS: Final = (
    errors.BadRequest,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.NotFound,
    errors.UnknownModel,
    errors.Conflict,
    errors.Gone,
    errors.TooLarge,
    errors.WrongType,
    errors.KeyReused,
    RunFailed,
    errors.Full,
    errors.NotDone,
    errors.ModelFailed,
    errors.OutOfReach,
    errors.IssuerAway,
    errors.Unavailable,
    errors.DatabaseAway,
    errors.Stopping,
    errors.Overdue,
)
"""Every kind of refusal that has a code."""
NULLABLE: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}
SCHEMAS: Final[Wire] = {
    "Refusal": {
        "type": "object",
        "description": "Why a request gets no answer.",
        "required": ["error"],
        "properties": {"error": {"$ref": "#/components/schemas/RefusalDetail"}},
    },
    "RefusalDetail": {
        "type": "object",
        "required": ["message", "type", "param", "code"],
        "properties": {
            "message": {"type": "string", "description": "A sentence that names the way out."},
            "type": {
                "type": "string",
                "enum": ["invalid_request_error", "rate_limit_error", "server_error"],
            },
            "param": NULLABLE | {"description": "The field that is meant."},
            "code": NULLABLE | {"description": "What to look for in a program."},
        },
    },
    "RpcRefusal": {
        "anyOf": [{"$ref": "#/components/schemas/Rpc"}, {"$ref": "#/components/schemas/Refusal"}]
    },
}
MCP: Final = "POST /mcp"
ACCEPTING: Final = (403, 404, 409, 429, 504)
"""Of requests that become runs."""
BEYOND: Final[Mapping[str, tuple[int, ...]]] = {
    "POST /v1/responses": (*ACCEPTING, 422),
    "POST /v1/chat/completions": (*ACCEPTING, 422, 424),
    "POST /v1/responses/compact": (404, 501),
    "GET /v1/responses": (404,),
    "GET /v1/responses/{response_id}": (410,),
    "DELETE /v1/responses/{response_id}": (409,),
    "POST /v1/responses/{response_id}/cancel": (409,),
    "POST /v1/agents": (404,),
    "POST /v1/agents/{agent_id}/session/{session_id}/turn": (*ACCEPTING, 424, 502),
    "POST /v1/agents/{agent_id}/session/{session_id}/turn/{turn_id}/resume": (*ACCEPTING, 424),
    "GET /v1/tools": (404,),
    "GET /v1/tool-runtime/list-tools": (404,),
    "POST /v1/toolgroups": (403,),
    "DELETE /v1/toolgroups/{toolgroup_id}": (403,),
    "POST /v1/tool-runtime/invoke": (403, 404, 502),
    "POST /v1/tool-runtime/rag-tool/insert": (404, 409, 502),
    "POST /v1/tool-runtime/rag-tool/query": (404, 502),
    "POST /v1/vector-dbs": (409, 502),
    "DELETE /v1alpha/k8gentai/users/me": (409,),
    "POST /a2a/{agent}": (429, 504),
    MCP: (406,),
}
"""What an operation may refuse beside what others of its form do; those under `/v1alpha/agents` do
as those under `/v1/agents`."""


def refusals(where: str, *, is_ours: bool, has_input: bool, has_body: bool) -> Wire:
    """The refusals of one operation, as its `responses`.

    Shape:
        where      its method and path.
        is_ours    else nobody here knows how the server refuses it.
        has_input  it has parameters or a body.
    """
    if not is_ours:
        return {"default": {"$ref": "#/components/responses/Refused"}}
    found = {401, 503, *BEYOND.get(where.replace(" /v1alpha/agents", " /v1/agents"), ())}
    found |= {400} if has_input else set()
    found |= {413, 415} if has_body else set()
    found |= {404} if "{" in where else set()
    told = {str(one): component(one) for one in sorted(found)}
    if where == MCP:
        told |= {"400": "RefusedRpc", "406": "RefusedRpc"}
    return {one: {"$ref": f"#/components/responses/{name}"} for one, name in told.items()}


def component(status: int) -> str:
    """What the answer with this status is called in the document."""
    return f"Refused{status}"


def meanings() -> Mapping[int, list[tuple[str, str]]]:
    """The codes of each status, each with a sentence."""
    found: dict[int, list[tuple[str, str]]] = {}
    for kind in KINDS:
        told = (kind.__doc__ or "").partition("\n")[0]
        found.setdefault(int(kind.status), []).append((kind.code or "", told))
    return dict(sorted(found.items()))


def _answer(about: str, schema: str = "Refusal", headers: Wire | None = None) -> Wire:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": about, "content": content} | ({"headers": headers} if headers else {})


def _responses() -> Wire:
    waiting = {
        "Retry-After": {
            "description": "After how many seconds to ask again.",
            "schema": {"type": "integer", "minimum": 0},
        }
    }
    challenge = {
        "WWW-Authenticate": {
            "description": "What is wrong, as RFC 6750 has it.",
            "schema": {"type": "string"},
        }
    }
    headers = {401: challenge, 429: waiting, 503: waiting}
    told = {
        component(status): _answer(
            " ".join(f"`{code}`: {sentence}" for code, sentence in codes),
            headers=headers.get(status),
        )
        for status, codes in meanings().items()
    }
    return told | {
        "RefusedRpc": _answer("It is no message of MCP, or not one for this client.", "RpcRefusal"),
        "Refused": {"description": "The server refuses it."},
    }


RESPONSES: Final = _responses()
"""The answers to which operations refer."""
