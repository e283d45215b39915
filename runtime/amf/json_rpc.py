"""Messages of JSON-RPC that are none, refused before the SDKs of A2A and MCP see them. Pure.

They tell what is wrong with a message in words of the libraries that found it.

Source:
    JSON-RPC 2.0 specification, "Request object", "Error object".
"""

import json
from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INVALID_PARAMS: Final = -32602

type Message = dict[str, Any]


def read(body: bytes) -> tuple[Message, Message | None]:
    """The message, and the answer to one that is none; the message is empty if it is no object.

    Shape:
        A client's own answer to the server has no `method`, but `result` or `error`.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}, refused(None, PARSE_ERROR, "The body is no JSON; send a message of JSON-RPC.")
    if not isinstance(message, dict):
        one = "The body has to be one message of JSON-RPC, which is an object."
        return {}, refused(None, INVALID_REQUEST, one)
    if message.get("jsonrpc") != "2.0":
        return message, refused(message, INVALID_REQUEST, 'jsonrpc has to be "2.0".')
    is_answer = "result" in message or "error" in message
    if not is_answer and not isinstance(message.get("method"), str):
        return message, refused(message, INVALID_REQUEST, "method has to name what to do.")
    return message, None


def refused(message: Message | None, code: int, why: str) -> Message:
    """The answer to a message that is refused."""
    known = None if message is None else message.get("id")
    is_id = isinstance(known, str | int) and not isinstance(known, bool)
    error = {"code": code, "message": why}
    return {"jsonrpc": "2.0", "id": known if is_id else None, "error": error}
