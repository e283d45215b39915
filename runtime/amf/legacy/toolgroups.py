"""The Tools of the Stack as old clients know tools: each is a toolgroup, its functions are tools.

Source:
    llama-stack-client 0.1.4, 0.2.23 and 0.3.5: `types/tool_group.py`, `types/tool.py`,
    `types/tool_def.py`, `types/tool_invocation_result.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runtime.amf.errors import Forbidden, NotFound
from runtime.amf.items import Wire
from runtime.amf.legacy.rag import PROVIDER, RAG, SEARCH_TOOL
from runtime.contract.catalogue import FunctionSpec, ToolEntry
from runtime.contract.value import ObjectName


class Toolgroups:
    """What can be asked about the Tools of a Stack, and the tool that finds what is kept.

    Shape:
        home  the namespace of the Stack.
    """

    def __init__(self, tools: Iterable[ToolEntry], home: str) -> None:
        self._functions = {group_name(one.tool, home): one.functions for one in tools}
        self._functions[RAG] = (SEARCH_TOOL,)

    def groups(self) -> list[Wire]:
        """All of them."""
        return [group_wire(name) for name in self._functions]

    def group(self, name: str) -> Wire:
        """One of them.

        Raises:
            NotFound: there is none of this name.
        """
        self._of(name)
        return group_wire(name)

    def tools(self, name: str | None = None) -> list[Wire]:
        """The functions of one of them, or of all; a slash and a name behind it chooses one.

        Raises:
            NotFound: there is none of this name.
        """
        group, _, function = (name or "").partition("/")
        chosen = self._functions if name is None else {group: self._of(group)}
        return [
            tool_wire(one, known)
            for one, functions in chosen.items()
            for known in functions
            if function in {"", known.name}
        ]

    def tool(self, name: str) -> Wire:
        """One function: by its name, or by that of its group, a slash and its name.

        Raises:
            NotFound: there is none of this name.
        """
        group, slash, function = name.rpartition("/")
        for tool in self.tools(group if slash else None):
            if tool["name"] == function:
                return tool
        raise NotFound(f"There is no tool {name}. See GET /v1/tools.", param="tool_name")

    def _of(self, group: str) -> tuple[FunctionSpec, ...]:
        if group not in self._functions:
            names = ", ".join(self._functions)
            raise NotFound(
                f"There is no toolgroup {group}. There are: {names}.", param="toolgroup_id"
            )
        return self._functions[group]


def not_callable(tool: Wire) -> Forbidden:
    """No client calls a Tool by himself: only Agents whose spec names it may publish calls."""
    return Forbidden(
        f"Clients do not call Tools: {tool['toolgroup_id']} is called by the Agents that name it "
        "in spec.tools. Ask one of them.",
        param="tool_name",
    )


def not_registered() -> Forbidden:
    """Toolgroups do not come and go by this API."""
    return Forbidden(
        "Toolgroups are the Tools of the Stack: apply a Tool, or delete one.", param="toolgroup_id"
    )


def group_name(tool: ObjectName, home: str) -> str:
    """What clients call the toolgroup of a Tool; its namespace is in it unless it is `home`."""
    return tool.name if tool.namespace == home else f"{tool.namespace}.{tool.name}"


def group_wire(name: str) -> Wire:
    """A toolgroup as old clients read it."""
    return {
        "identifier": name,
        "provider_id": PROVIDER,
        "provider_resource_id": name,
        "type": "tool_group",
        "args": None,
        "mcp_endpoint": None,
    }


def tool_wire(group: str, function: FunctionSpec) -> Wire:
    """A tool as every client reads it: old ones know `parameters`, new ones a schema."""
    return {
        "identifier": function.name,
        "name": function.name,
        "description": function.description,
        "parameters": parameters(function.input_schema),
        "input_schema": function.input_schema,
        "output_schema": None,
        "provider_id": PROVIDER,
        "provider_resource_id": function.name,
        "toolgroup_id": group,
        "tool_host": "distribution",
        "type": "tool",
        "metadata": {},
    }


def parameters(schema: Mapping[str, Any]) -> list[Wire]:
    """The parameters that a JSON schema of arguments tells of, one by one."""
    required: Sequence[str] = schema.get("required", ())
    return [
        {
            "name": name,
            "description": about.get("description", ""),
            "parameter_type": _type(about),
            "required": name in required,
            "default": about.get("default"),
        }
        for name, about in _properties(schema)
    ]


def _properties(schema: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for name, about in schema.get("properties", {}).items():
        yield name, about if isinstance(about, Mapping) else {}


def _type(about: Mapping[str, Any]) -> str:
    """The one type of a parameter; of several, the first, since old clients know no unions."""
    kind = about.get("type") or next(
        (one.get("type") for one in about.get("anyOf", ()) if one.get("type") != "null"), "object"
    )
    return str(kind[0] if isinstance(kind, list) else kind)
