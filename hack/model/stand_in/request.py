"""The door: an OpenAI chat request as frozen values, or the field that is wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

ROLES = ("system", "developer", "user", "assistant", "tool")
NO_SCHEMA: Mapping[str, object] = {}


class BadRequest(Exception):
    """The request cannot be answered; `param` is the field at fault, None for the body itself."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call as the model made it; `arguments` is a JSON document, as on the wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; of multi-part contents the text parts, joined by newlines."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model may call; `schema` is the JSON Schema of the arguments."""

    name: str
    description: str = ""
    schema: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A chat completion to make.

    Shape:
        tools       those that may be called now: all, none, or the one that `tool_choice` names.
        must_call   text is no answer, `tool_choice` asks for a call.
        schema      what the text must match as JSON; None for plain text, `{}` for any object.
        limit       tokens of the answer at most, None for no limit.
        usage       a stream ends with a chunk that holds the usage.

    Source:
        OpenAI API reference, "Create chat completion".
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    parallel: bool = True
    schema: Mapping[str, object] | None = None
    limit: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    usage: bool = False


def parse(raw: bytes) -> Request:
    """The request in `raw`.

    Raises:
        BadRequest: the body is no JSON object, or a field has the wrong shape.
    """
    body = _body(raw)
    tools, must_call = _choice(body)
    if body.get("n", 1) not in (None, 1):
        raise BadRequest("'n' must be 1: this model gives one answer.", "n")
    return Request(
        model=_text(body, "model", "model"),
        messages=_messages(body),
        tools=tools,
        must_call=must_call,
        parallel=_flag(body, "parallel_tool_calls", default=True),
        schema=_schema(body.get("response_format")),
        limit=_limit(body),
        stop=_stop(body.get("stop")),
        stream=_flag(body, "stream"),
        usage=_flag(_object(body.get("stream_options") or {}, "stream_options"), "include_usage"),
    )


def _body(raw: bytes) -> Mapping[str, object]:
    try:
        body: object = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadRequest(f"'{where}' must be an object.", where)
    return value


def _text(at: Mapping[str, object], key: str, where: str) -> str:
    value = at.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"'{where}' is required and must be a string.", where)
    return value


def _flag(at: Mapping[str, object], key: str, *, default: bool = False) -> bool:
    value = at.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequest(f"'{key}' must be true or false.", key)
    return value


def _items(at: Mapping[str, object], key: str) -> Sequence[object]:
    value = at.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequest(f"'{key}' must be a list.", key)
    return value


def _messages(body: Mapping[str, object]) -> tuple[Message, ...]:
    items = _items(body, "messages")
    if not items:
        raise BadRequest("'messages' is required and must not be empty.", "messages")
    messages = tuple(_message(at, f"messages[{i}]") for i, at in enumerate(items))
    _check_pairs(messages)
    return messages


def _message(value: object, where: str) -> Message:
    at = _object(value, where)
    role = _text(at, "role", f"{where}.role")
    if role not in ROLES:
        raise BadRequest(f"'{where}.role' must be one of {', '.join(ROLES)}.", f"{where}.role")
    calls = tuple(
        _call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(_items(at, "tool_calls"))
    )
    call_id = _text(at, "tool_call_id", f"{where}.tool_call_id") if role == "tool" else ""
    return Message(role, _content(at.get("content"), f"{where}.content"), calls, call_id)


def _content(value: object, where: str) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            parts = (_object(part, where).get("text") for part in value)
            return "\n".join(part for part in parts if isinstance(part, str))
    raise BadRequest(f"'{where}' must be a string or a list of parts.", where)


def _call(value: object, where: str) -> Call:
    at = _object(value, where)
    function = _object(at.get("function"), f"{where}.function")
    name = _text(function, "name", f"{where}.function.name")
    arguments = function.get("arguments")
    return Call(_text(at, "id", f"{where}.id"), name, str(arguments or "{}"))


def _check_pairs(messages: Iterable[Message]) -> None:
    """Each call has its result right behind it, and no result stands alone, as OpenAI asks."""
    open_ids: set[str] = set()
    for i, message in enumerate(messages):
        if message.role != "tool":
            _check_answered(open_ids, f"messages[{i}]")
            open_ids = {call.id for call in message.calls}
        elif message.call_id in open_ids:
            open_ids.remove(message.call_id)
        else:
            where = f"messages[{i}].tool_call_id"
            raise BadRequest(f"'{where}' answers no tool call before it.", where)
    _check_answered(open_ids, "messages")


def _check_answered(open_ids: set[str], where: str) -> None:
    if open_ids:
        missing = ", ".join(sorted(open_ids))
        raise BadRequest(
            f"A message with 'tool_calls' must be followed by a tool message for each id;"
            f" before '{where}' ends, these are missing: {missing}.",
            where,
        )


def _tool(value: object, where: str) -> Tool:
    at = _object(value, where)
    if at.get("type") != "function":
        raise BadRequest(f"'{where}.type' must be 'function'.", f"{where}.type")
    function = _object(at.get("function"), f"{where}.function")
    description = function.get("description")
    schema = _object(function.get("parameters") or {}, f"{where}.function.parameters")
    name = _text(function, "name", f"{where}.function.name")
    return Tool(name, description if isinstance(description, str) else "", schema)


def _choice(body: Mapping[str, object]) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    tools = tuple(_tool(at, f"tools[{i}]") for i, at in enumerate(_items(body, "tools")))
    match body.get("tool_choice"):
        case None | "auto":
            return tools, False
        case "none":
            return (), False
        case "required" if tools:
            return tools, True
        case {"type": "function", "function": {"name": str(name)}}:
            chosen = tuple(tool for tool in tools if tool.name == name)
            if chosen:
                return chosen[:1], True
            raise BadRequest(f"'tool_choice' names {name!r}, which is not offered.", "tool_choice")
    raise BadRequest(
        "'tool_choice' must be auto, none, a function of 'tools', or required beside 'tools'.",
        "tool_choice",
    )


def _schema(value: object) -> Mapping[str, object] | None:
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return NO_SCHEMA
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
    raise BadRequest(
        "'response_format' must be text, json_object, or json_schema with a schema.",
        "response_format",
    )


def _limit(body: Mapping[str, object]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = body.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadRequest(f"'{key}' must be a positive integer.", key)
        return value
    return None


def _stop(value: object) -> tuple[str, ...]:
    match value:
        case None:
            return ()
        case str():
            return (value,)
        case list() if all(isinstance(each, str) for each in value):
            return tuple(value)
    raise BadRequest("'stop' must be a string or a list of strings.", "stop")
