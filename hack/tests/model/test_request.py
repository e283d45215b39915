import json

import pytest
from stand_in.request import BadRequest, Call, Message, Tool, parse

HELLO = {"role": "user", "content": "Hello"}
FUNCTION = {"type": "function", "function": {"name": "add"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [HELLO], **fields}).encode()


def test_everything_is_read() -> None:
    request = parse(
        body(
            messages=[
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "5"},
            ],
            tools=[
                {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
            ],
            parallel_tool_calls=False,
            response_format={"type": "json_schema", "json_schema": {"schema": {"type": "null"}}},
            max_tokens=7,
            stop="\n",
            stream=True,
            stream_options={"include_usage": True},
            temperature=0.3,
        )
    )

    assert request.messages == (
        Message("developer", "Be kind."),
        Message("user", "a\nb"),
        Message("assistant", "", (Call("c1", "add", "{}"),)),
        Message("tool", "5", (), "c1"),
    )
    assert request.tools == (Tool("add", "", {"type": "object"}),)
    assert (request.parallel, request.schema, request.limit) == (False, {"type": "null"}, 7)
    assert (request.stop, request.stream, request.usage) == (("\n",), True, True)


@pytest.mark.parametrize(
    ("choice", "names", "must_call"),
    [
        (None, ["add", "sub"], False),
        ("auto", ["add", "sub"], False),
        ("none", [], False),
        ("required", ["add", "sub"], True),
        ({"type": "function", "function": {"name": "sub"}}, ["sub"], True),
    ],
)
def test_tool_choice(choice: object, names: list[str], must_call: bool) -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("add", "sub")]

    request = parse(body(tools=tools, tool_choice=choice))

    assert ([tool.name for tool in request.tools], request.must_call) == (names, must_call)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
        ({"messages": [HELLO, {"role": "user", "content": 5}]}, "messages[1].content"),
        ({"messages": [{"role": "tool", "content": "5"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "tool", "content": "5", "tool_call_id": "c1"}]},
            "messages[0].tool_call_id",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}, HELLO]}, "messages[1]"),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "tool_calls"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "web"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [FUNCTION], "tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
        ),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": "yes"}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "include_usage"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "5"}, "max_completion_tokens"),
        ({"stop": 5}, "stop"),
        ({"n": 2}, "n"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequest, match=param.replace("[", r"\[")) as refused:
        parse(body(**fields))

    assert refused.value.param == param


@pytest.mark.parametrize("raw", [b"", b"hello", b"[]", b'{"model": ', b"\xff"])
def test_a_body_that_is_no_object(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="body") as refused:
        parse(raw)

    assert refused.value.param is None
