"""Tools of the Stack as old clients read them."""

from typing import Any

import pytest

from runtime.amf.errors import Forbidden, NotFound
from runtime.amf.legacy.toolgroups import (
    Toolgroups,
    group_name,
    not_callable,
    parameters,
)
from runtime.contract.catalogue import FunctionSpec, ToolEntry
from runtime.contract.value import ObjectName

SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "description": "the first"},
        "b": {"anyOf": [{"type": "null"}, {"type": "number"}], "default": 3},
        "c": True,
    },
    "required": ["a"],
}


def entry(name: str, *functions: str, namespace: str = "team") -> ToolEntry:
    return ToolEntry(
        tool=ObjectName(namespace=namespace, name=name),
        functions=tuple(FunctionSpec(name=f, input_schema=SCHEMA) for f in functions),
    )


GROUPS = Toolgroups([entry("add", "add"), entry("web", "find", "open", namespace="far")], "team")


def test_every_tool_is_a_toolgroup() -> None:
    assert [group["identifier"] for group in GROUPS.groups()] == ["add", "far.web", "builtin::rag"]
    assert GROUPS.group("add")["type"] == "tool_group"


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (None, ["add", "find", "open", "knowledge_search"]),
        ("far.web", ["find", "open"]),
        ("far.web/open", ["open"]),
        ("builtin::rag/knowledge_search", ["knowledge_search"]),
    ],
)
def test_tools_of_a_group(group: str | None, expected: list[str]) -> None:
    assert [tool["identifier"] for tool in GROUPS.tools(group)] == expected


@pytest.mark.parametrize("name", ["open", "far.web/open"])
def test_a_tool_is_found(name: str) -> None:
    tool = GROUPS.tool(name)
    assert (tool["name"], tool["toolgroup_id"], tool["input_schema"]) == ("open", "far.web", SCHEMA)


@pytest.mark.parametrize("name", ["nothing", "add/open", "nobody/open", ""])
def test_what_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        GROUPS.tool(name)


def test_a_client_may_not_call_a_tool_and_hears_who_may() -> None:
    with pytest.raises(Forbidden, match=r"called by the Agents that name it in spec\.tools"):
        raise not_callable(GROUPS.tool("add"))


def test_parameters_are_told_one_by_one() -> None:
    told: list[dict[str, Any]] = parameters(SCHEMA)
    assert told[0] == {
        "name": "a",
        "description": "the first",
        "parameter_type": "integer",
        "required": True,
        "default": None,
    }
    assert [(one["parameter_type"], one["required"]) for one in told[1:]] == [
        ("number", False),
        ("object", False),
    ]
    assert told[1]["default"] == 3


@pytest.mark.parametrize(("namespace", "expected"), [("team", "add"), ("far", "far.add")])
def test_a_group_has_its_namespace_in_its_name_unless_it_is_at_home(
    namespace: str, expected: str
) -> None:
    assert group_name(ObjectName(namespace=namespace, name="add"), "team") == expected
