"""The functions that clients bring along, and by which name every other tool is refused."""

from typing import Any

import pytest

from runtime.amf.errors import BadRequest
from runtime.amf.functions import (
    MOST,
    check_names,
    functions_in_chat,
    functions_in_responses,
    in_responses,
)
from runtime.contract.client_calls import ClientFunction

NUMBERS = {"type": "object", "properties": {"a": {"type": "number"}}}
ADD = ClientFunction(name="add", description="Add.", parameters=NUMBERS)
TOLD = {"name": "add", "description": "Add.", "parameters": NUMBERS}


def tool(**fields: Any) -> dict[str, Any]:
    return {"type": "function"} | TOLD | fields


def test_both_apis_say_the_same_functions() -> None:
    assert functions_in_responses([tool(strict=True)]) == (ADD,)
    assert functions_in_chat([{"type": "function", "function": TOLD}]) == (ADD,)
    assert functions_in_responses(None) == functions_in_chat([]) == ()
    assert functions_in_responses(in_responses([ADD])) == (ADD,)


@pytest.mark.parametrize("parameters", [None, {}, {"properties": {}}])
def test_a_function_may_have_no_arguments(parameters: Any) -> None:
    (one,) = functions_in_responses([tool(parameters=parameters, description=None)])
    assert one.parameters.get("type", "object") == "object"
    assert one.description == ""


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        pytest.param([{"type": "web_search"}], "tools[0].type", id="a tool of the server"),
        pytest.param([tool(), tool(name="a b")], "tools[1].name", id="a name with a blank"),
        pytest.param([tool(name="a" * 65)], "tools[0].name", id="a long name"),
        pytest.param([tool(), tool()], "tools[1].name", id="the same name twice"),
        pytest.param([tool(parameters={"type": "array"})], "tools[0].parameters", id="no object"),
        pytest.param([tool(parameters={"type": 5})], "tools[0].parameters", id="no schema"),
        pytest.param(
            [tool(parameters={"properties": {"a": {"$ref": "#/nowhere"}}})],
            "tools[0].parameters",
            id="a reference that leads nowhere",
        ),
        pytest.param([tool(name=f"f{n}") for n in range(MOST + 1)], "tools", id="too many"),
    ],
)
def test_what_cannot_be_called_is_refused_by_its_name(tools: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        functions_in_responses(tools)
    assert refused.value.param == param


def test_a_chat_names_the_function_within() -> None:
    for tools, param in (
        ([{"type": "function"}], "tools[0].function"),
        ([{"type": "function", "function": {"name": ""}}], "tools[0].function.name"),
    ):
        with pytest.raises(BadRequest) as refused:
            functions_in_chat(tools)
        assert refused.value.param == param


def test_the_name_of_a_function_of_the_agent_is_taken() -> None:
    check_names([ADD], {"minus"})
    with pytest.raises(BadRequest, match="the agent has a function add of its own") as refused:
        check_names([ADD], {"minus", "add"})
    assert refused.value.param == "tools[0].name"
