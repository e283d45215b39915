"""What old clients ask for: how it is understood, and what is refused by the name of its field."""

from typing import Any

import pytest
from pydantic import ValidationError

from runtime.amf.errors import BadRequest
from runtime.amf.legacy.asked import asked_of_agent, check_config, check_turn, options
from runtime.amf.legacy.bodies import AgentConfig, ClientTool, CreateTurn
from runtime.contract.messages import Message, Options, Role
from runtime.contract.output_format import OutputFormat

SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}}
ADD: dict[str, Any] = {"name": "add", "description": "Adds."}


def config(**fields: Any) -> AgentConfig:
    return AgentConfig.model_validate({"model": "math"} | fields)


def turn(*messages: Any, **fields: Any) -> CreateTurn:
    return CreateTurn.model_validate({"messages": list(messages)} | fields)


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content} | fields


USUAL: dict[str, Any] = {
    "instructions": "You do sums.",
    "toolgroups": [],
    "client_tools": [],
    "input_shields": [],
    "output_shields": [],
    "enable_session_persistence": False,
    "tool_choice": "auto",
    "tool_prompt_format": "json",
    "tool_config": {"tool_choice": "auto", "system_message_behavior": "append"},
    "max_infer_iters": 10,
    "sampling_params": {
        "strategy": {"type": "top_p", "temperature": 0.7, "top_p": 1.0},
        "max_tokens": 0,
        "repetition_penalty": 1.0,
        "stop": [],
    },
}


@pytest.mark.parametrize("is_agent", [True, False])
def test_what_the_clients_write_by_themselves_is_taken(*, is_agent: bool) -> None:
    check_config(config(**USUAL), () if is_agent else None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, Options(), id="nothing"),
        pytest.param(
            USUAL, Options(instructions="You do sums.", temperature=0.7), id="what is usual"
        ),
        pytest.param(
            {"sampling_params": {"strategy": {"type": "greedy"}, "max_tokens": 100}},
            Options(temperature=0.0, max_output_tokens=100),
            id="greedy",
        ),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
            Options(output=OutputFormat(name="answer", json_schema=SCHEMA)),
            id="a form",
        ),
    ],
)
def test_options(fields: dict[str, Any], expected: Options) -> None:
    assert options(config(**fields), stream=False) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input_shields": ["guard"]}, "input_shields"),
        ({"output_shields": ["guard"]}, "output_shields"),
        ({"sampling_params": {"stop": ["."]}}, "sampling_params.stop"),
        ({"sampling_params": {"max_tokens": 3}}, "sampling_params.max_tokens"),
        (
            {"sampling_params": {"repetition_penalty": 1.5}},
            "sampling_params.repetition_penalty",
        ),
        (
            {"sampling_params": {"strategy": {"type": "top_k", "top_k": 3}}},
            "sampling_params.strategy.top_k",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_config": {"tool_choice": "none"}}, "tool_config.tool_choice"),
        ({"tool_prompt_format": "python_list"}, "tool_prompt_format"),
        (
            {"tool_config": {"system_message_behavior": "replace"}},
            "tool_config.system_message_behavior",
        ),
        ({"response_format": {"type": "grammar", "bnf": {}}}, "response_format.type"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"type": "nothing"}}},
            "response_format.json_schema",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"client_tools": [ADD, ADD]}, "client_tools[1].name"),
    ],
)
@pytest.mark.parametrize("is_agent", [True, False])
def test_what_is_done_for_nobody_is_refused(
    fields: dict[str, Any], param: str, *, is_agent: bool
) -> None:
    with pytest.raises(BadRequest) as refused:
        check_config(config(**fields), () if is_agent else None)
    assert refused.value.param == f"agent_config.{param}"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_infer_iters": 3}, "max_infer_iters"),
        (
            {"sampling_params": {"strategy": {"type": "top_p", "top_p": 0.5}}},
            "sampling_params.strategy.top_p",
        ),
    ],
)
def test_what_agents_have_of_their_own_is_refused_for_them_alone(
    fields: dict[str, Any], param: str
) -> None:
    check_config(config(**fields), None)
    with pytest.raises(BadRequest) as refused:
        check_config(config(**fields), ())
    assert refused.value.param == f"agent_config.{param}"


@pytest.mark.parametrize("field", ["topgroups", "model_id"])
def test_a_field_that_nobody_knows_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        config(**{field: "?"})


def test_an_agent_may_be_asked_for_the_tools_that_it_has() -> None:
    check_config(config(toolgroups=["add", "builtin::rag"]), ["add", "far.web"])
    with pytest.raises(BadRequest, match=r"and add, far\.web"):
        check_config(config(toolgroups=["refund"]), ["add", "far.web"])
    with pytest.raises(BadRequest) as refused:
        check_config(config(toolgroups=["add"]), None)
    assert refused.value.param == "agent_config.toolgroups"


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValidationError, match="surrogates"):
        config(response_format={"type": "\ud800"})


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"a": {"param_type": "int", "description": "the first"}}, id="0.1, by name"),
        pytest.param(
            [{"name": "a", "parameter_type": "integer", "description": "the first"}], id="0.2"
        ),
        pytest.param(
            [{"name": "a", "parameter_type": "int", "description": "the first", "required": True}],
            id="0.2, from a Python function",
        ),
    ],
)
def test_the_parameters_of_a_tool_of_the_client(parameters: Any) -> None:
    tool = ClientTool.model_validate(ADD | {"parameters": parameters, "metadata": {}})
    assert tool.schema_of_arguments == {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "the first"}},
        "required": ["a"],
    }


def test_a_schema_of_arguments_is_taken_as_it_is() -> None:
    tool = ClientTool.model_validate(ADD | {"input_schema": SCHEMA})
    assert tool.schema_of_arguments == SCHEMA


def test_a_type_that_json_does_not_know_is_any() -> None:
    tool = ClientTool.model_validate(
        ADD | {"parameters": [{"name": "a", "parameter_type": "Decimal", "required": False}]}
    )
    assert tool.schema_of_arguments == {"type": "object", "properties": {"a": {}}, "required": []}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(turn(user("2+3?")), ["2+3?"], id="text"),
        pytest.param(turn(user({"type": "text", "text": "2+3?"})), ["2+3?"], id="an item"),
        pytest.param(
            turn(user([{"type": "text", "text": "2+"}, {"type": "text", "text": "3?"}])),
            ["2+3?"],
            id="items",
        ),
        pytest.param(
            turn(user("2+3?", context="In base 10.")), ["In base 10.", "2+3?"], id="context"
        ),
        pytest.param(
            turn(user("2+3?"), documents=[{"content": "Rules.", "mime_type": "text/plain"}]),
            ["Rules.", "2+3?"],
            id="a document",
        ),
    ],
)
def test_what_was_said(body: CreateTurn, expected: list[str]) -> None:
    asked = asked_of_agent(config(), body, conversation="session_1")
    assert asked.input == tuple(Message(role=Role.USER, text=text) for text in expected)
    assert asked.conversation == "session_1"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (turn(user("")), "messages"),
        (turn(user([])), "messages"),
        (turn(user("?"), tool_config={"tool_choice": "required"}), "tool_config.tool_choice"),
        (turn(user("?"), toolgroups=["builtin::websearch"]), "toolgroups"),
        (turn(user("?"), toolgroups=[{"name": "builtin::rag", "args": {"k": 1}}]), "toolgroups"),
    ],
)
def test_a_turn_that_nobody_can_answer_is_refused(body: CreateTurn, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_turn(body, None)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "body",
    [
        turn({"role": "tool", "content": "", "call_id": "1"}),
        turn(user("?"), toolgroups=["builtin::rag"], tool_config={"tool_choice": "auto"}),
    ],
)
def test_a_turn_that_can_be_answered_is_let_in(body: CreateTurn) -> None:
    check_turn(body, None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (turn(user({"type": "image", "image": {}})), "messages[0].content"),
        (turn(user("?"), user(["?", {"uri": "file:a"}])), "messages[1].content[1]"),
        (turn(user("?", context={"type": "image"})), "messages[0].context"),
        (
            turn(user("?"), documents=[{"content": {"uri": "http://a"}, "mime_type": "a/b"}]),
            "documents[0].content",
        ),
        (turn({"role": "tool", "content": "5", "call_id": "1"}), "messages[0].role"),
    ],
)
def test_what_an_agent_cannot_read_is_refused(body: CreateTurn, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked_of_agent(config(), body, conversation="session_1")
    assert refused.value.param == param
