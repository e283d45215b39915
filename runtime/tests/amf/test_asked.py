"""What agents understand of a request, and by which name everything else is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from runtime.amf.asked import CHAT, RESPONSES, Allowed, asked, asked_in_chat
from runtime.amf.errors import BadRequest, TooLarge
from runtime.amf.flavour import IS_OGX
from runtime.contract.messages import Message, Options, Role
from runtime.contract.output_format import OutputFormat
from runtime.tests.amf.server_types import (
    CreateResponseRequest,
    OpenAIChatCompletionRequestWithExtraBody,
)


def request(**fields: Any) -> Any:
    return CreateResponseRequest.model_validate({"model": "math", "input": "2+3?"} | fields)


def chat(**fields: Any) -> Any:
    body = {"model": "math", "messages": [{"role": "user", "content": "2+3?"}]} | fields
    return OpenAIChatCompletionRequestWithExtraBody.model_validate(body)


USER = Message(role=Role.USER, text="2+3?")
SUM = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
CALLED = {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
GIVEN = {"type": "function_call_output", "call_id": "c", "output": "5"}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def test_a_field_that_nobody_knows_is_told_so_whatever_its_value() -> None:
    with pytest.raises(BadRequest, match=r"Agents do not know the field tempratur\."):
        asked(request(tempratur=1))
    with pytest.raises(BadRequest, match=r"Agents do not support top_p with this value\."):
        asked(request(top_p=0.5))


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        pytest.param("2+3?", (USER,), id="a text"),
        pytest.param([{"role": "user", "content": "2+3?"}], (USER,), id="a message"),
        pytest.param(
            [
                {"role": "developer", "content": "Be brief."},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "2+"},
                        {"type": "input_text", "text": "3?"},
                    ],
                },
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "5", "annotations": []}],
                },
            ],
            (
                Message(role=Role.SYSTEM, text="Be brief."),
                USER,
                Message(role=Role.ASSISTANT, text="5"),
            ),
            id="parts and roles",
        ),
        pytest.param(
            [
                {"role": "user", "content": "2+3?"},
                {
                    "type": "mcp_call",
                    "id": "mcp_1",
                    "server_label": "add",
                    "name": "add",
                    "arguments": "{}",
                    "output": "no",
                    "error": None,
                    "status": "failed",
                },
            ],
            (USER,),
            id="what an agent itself has answered",
        ),
    ],
)
def test_input(said: Any, understood: tuple[Message, ...]) -> None:
    assert asked(request(input=said)).input == understood


def test_options() -> None:
    read = asked(
        request(
            stream=True,
            instructions="Be brief.",
            temperature=0.5,
            max_output_tokens=100,
            metadata={"a": "b"},
            previous_response_id="resp_1",
            store=False,
        )
    )

    assert read.options == Options(
        stream=True, instructions="Be brief.", temperature=0.5, max_output_tokens=100
    )
    assert read.metadata == {"a": "b"}
    assert read.previous == "resp_1"
    assert not read.store


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"tools": [], "include": [], "conversation": "conv_1"}, id="agent helper"),
        pytest.param(
            {
                "tool_choice": "auto",
                "parallel_tool_calls": True,
                "top_p": 1.0,
                "truncation": "auto",
                "text": {"format": {"type": "text"}},
                "service_tier": "auto",
                "reasoning": {},
                "max_infer_iters": 10,
                "top_logprobs": 0,
                "background": False,
            },
            id="defaults said aloud",
        ),
        pytest.param({"something_new": None}, id="nothing asked for"),
    ],
)
def test_what_asks_for_nothing_special_is_fine(fields: dict[str, Any]) -> None:
    assert asked(request(**fields)).input == (USER,)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0].type", id="other tools"),
        pytest.param({"tool_choice": "required"}, "tool_choice", id="tool choice"),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "sum", "schema": {"type": 5}}}},
            "text.format.schema",
            id="no schema of an answer",
        ),
        pytest.param({"reasoning": {"effort": "low"}}, "reasoning", id="reasoning"),
        pytest.param({"top_p": 0.5}, "top_p", id="top_p"),
        pytest.param({"parallel_tool_calls": False}, "parallel_tool_calls", id="one tool a time"),
        pytest.param({"max_infer_iters": 3}, "max_infer_iters", id="iterations"),
        pytest.param({"max_tool_calls": 1}, "max_tool_calls", id="tool calls"),
        pytest.param({"prompt": {"id": "p"}}, "prompt", id="prompt"),
        pytest.param({"guardrails": True if IS_OGX else ["g"]}, "guardrails", id="guardrails"),
        pytest.param({"truncation": "disabled"}, "truncation", id="truncation"),
        pytest.param(
            {"include": ["message.output_text.logprobs"]}, "include", id="more in the answer"
        ),
        pytest.param({"memory": {"enabled": True}}, "memory", id="memory"),
        pytest.param({"skills": ["s"]}, "skills", id="skills"),
        pytest.param(
            {"context_management": [{"type": "compaction"}]},
            "context_management",
            id="compaction",
        ),
        pytest.param({"horoscope": 1}, "horoscope", id="a field nobody knows"),
        pytest.param({"input": []}, "input", id="no input"),
        pytest.param({"input": ""}, "input", id="empty input"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}]},
            "input[0].content[0]",
            id="image",
        ),
        pytest.param(
            {"input": [CALLED, {"role": "user", "content": "hi"}]},
            "input[0]",
            id="a call without its output",
        ),
        pytest.param(
            {"input": [GIVEN, {"role": "user", "content": "hi"}], "previous_response_id": "resp_1"},
            "input[0]",
            id="an output and something new",
        ),
        pytest.param(
            {"previous_response_id": "resp_1", "conversation": "conv_1"},
            "conversation",
            id="two pasts",
        ),
        pytest.param({"background": True, "store": False}, "store", id="nobody could ask for it"),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(request(**fields))

    assert refused.value.param == param
    assert param.partition("[")[0] in refused.value.message
    assert refused.value.body["error"]["param"] == param
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        pytest.param({"type": "text"}, None, id="text"),
        pytest.param({"type": "json_object"}, OutputFormat(), id="any object"),
        pytest.param(
            {"type": "json_schema", "name": "sum", "schema": SUM},
            OutputFormat(name="sum", json_schema=SUM),
            id="a schema",
        ),
        pytest.param(
            {
                "type": "json_schema",
                "name": "sum",
                "schema": SUM,
                "strict": True,
                "description": "A sum.",
            },
            OutputFormat(name="sum", json_schema=SUM, strict=True, description="A sum."),
            id="all of it",
        ),
    ],
)
def test_the_form_of_the_answer(said: dict[str, Any], understood: OutputFormat | None) -> None:
    about = {key: value for key, value in said.items() if key != "type"}
    response_format = {"type": said["type"]} | ({"json_schema": about} if about else {})

    assert asked(request(text={"format": said})).options.output == understood
    assert asked_in_chat(chat(response_format=response_format)).options.output == understood


def test_a_schema_counts_as_input() -> None:
    form = {"type": "json_schema", "name": "sum", "schema": SUM | {"description": "x" * 100}}
    assert 200 < asked(request(text={"format": form})).size < 300


@pytest.mark.parametrize(
    ("about", "param", "said"),
    [
        pytest.param({"schema": SUM}, "name", "1 to 64 letters", id="no name"),
        pytest.param({"name": "a b", "schema": SUM}, "name", "1 to 64 letters", id="its name"),
        pytest.param({"name": "a"}, "schema", "json_object", id="no schema"),
        pytest.param(
            {"name": "a", "schema": {"type": "nothing"}},
            "schema",
            "'nothing' is not valid",
            id="no JSON schema",
        ),
        pytest.param(
            {"name": "a", "schema": {"$ref": "https://example.org/a"}},
            "schema",
            "'https://example.org/a' is nowhere in it",
            id="it leads out",
        ),
    ],
)
def test_a_form_that_cannot_be_used_is_refused_by_its_field(
    about: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        asked(request(text={"format": {"type": "json_schema"} | about}))
    assert refused.value.param == f"text.format.{param}"

    with pytest.raises(BadRequest, match=said) as refused:
        asked_in_chat(chat(response_format={"type": "json_schema", "json_schema": about}))
    assert refused.value.param == f"response_format.json_schema.{param}"


@pytest.mark.parametrize(
    ("text", "limit", "fits"),
    [
        pytest.param("abcd", 4, True, id="the limit"),
        pytest.param("abcde", 4, False, id="one over it"),
        pytest.param("äö", 4, True, id="bytes are counted"),
        pytest.param("äöa", 4, False, id="not characters"),
    ],
)
@pytest.mark.fault(10)
def test_size(text: str, limit: int, *, fits: bool) -> None:
    read = asked(request(input=text))

    if fits:
        read.check_size(limit)
        return
    with pytest.raises(TooLarge) as refused:
        read.check_size(limit)
    assert refused.value.status_code == 413


def test_what_functions_of_the_client_gave_in_earlier_turns_is_left_out() -> None:
    assert asked(request(input=[CALLED, GIVEN, {"role": "user", "content": "2+3?"}])).input == (
        USER,
    )
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "5"},
        {"role": "user", "content": "2+3?"},
    ]
    assert asked_in_chat(chat(messages=messages)).input == (USER,)


def test_a_chat_is_read_like_an_input() -> None:
    read = asked_in_chat(
        chat(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=7,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "2+3?"}]},
            ],
        )
    )

    assert read.input == (Message(role=Role.SYSTEM, text="Be brief."), USER)
    assert read.options == Options(stream=True, max_output_tokens=7)
    assert not read.store


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            id="a function without a name",
        ),
        pytest.param({"n": 2}, "n", id="two answers"),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"name": "sum"}}},
            "response_format.json_schema.schema",
            id="no schema of an answer",
        ),
        pytest.param({"stop": "x"}, "stop", id="stop"),
        pytest.param({"seed": 1}, "seed", id="seed"),
        pytest.param(
            {"messages": [{"role": "assistant", "tool_calls": [CHAT_CALL]}]},
            "messages[0].tool_calls",
            id="a call without its output",
        ),
    ],
)
def test_what_is_not_done_in_a_chat_is_refused_by_its_name(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        asked_in_chat(chat(**fields))

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("made", "allowed"),
    [
        pytest.param(request(), RESPONSES, id="responses"),
        pytest.param(chat(), CHAT, id="chat"),
    ],
)
def test_what_a_client_does_not_say_asks_for_nothing_special(
    made: Any, allowed: Mapping[str, Allowed]
) -> None:
    values = {name: getattr(made, name, None) for name in allowed}

    assert [
        name for name, said in values.items() if said is not None and not allowed[name](said)
    ] == []
