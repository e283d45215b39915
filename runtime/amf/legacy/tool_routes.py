"""The routes about tools that the server no longer has, and the one that it has in another shape.

Source:
    llama-stack-client 0.1.4, 0.2.23 and 0.3.5, `resources/toolgroups.py`, `resources/tools.py` and
    `resources/tool_runtime`.
"""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header
from pydantic import Field
from starlette.responses import Response

from runtime.amf.legacy.agents import LegacyAgents
from runtime.amf.legacy.answers import (
    LegacyToolList,
    QueryResult,
    Toolgroup,
    ToolgroupList,
    ToolTold,
    answers,
)
from runtime.amf.legacy.bodies import Strict
from runtime.amf.legacy.rag import RAG, QueryConfig, query_result, search_of
from runtime.amf.legacy.toolgroups import not_callable, not_registered
from runtime.amf.responses import json_response

JSON_LINES = "application/jsonl"
LISTED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": LegacyToolList,
        "description": LegacyToolList.__doc__,
        "content": {JSON_LINES: {"schema": {"type": "string"}}},
    }
}


class RegisterToolgroup(Strict):
    """The body of `POST /toolgroups`."""

    toolgroup_id: str
    provider_id: str
    args: dict[str, Any] | None = None
    mcp_endpoint: dict[str, Any] | None = None


class InvokeTool(Strict):
    """The body of `POST /tool-runtime/invoke`; 0.3 says by a header who asks."""

    tool_name: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    authorization: str | None = None


def add_toolgroups(router: APIRouter, agents: LegacyAgents) -> None:
    """Toolgroups and their tools, as they are."""

    @router.get("/v1/toolgroups", responses=answers(ToolgroupList))
    async def list_toolgroups() -> Response:
        """The toolgroups: the Tools of the Stack, and the search in vector databases."""
        return json_response({"data": (await agents.toolgroups()).groups()})

    @router.get("/v1/toolgroups/{toolgroup_id:path}", responses=answers(Toolgroup))
    async def get_toolgroup(toolgroup_id: str) -> Response:
        """A toolgroup."""
        return json_response((await agents.toolgroups()).group(toolgroup_id))

    @router.post("/v1/toolgroups")
    async def register_toolgroup(_body: RegisterToolgroup) -> None:
        """Refused: a toolgroup comes with its Tool."""
        raise not_registered()

    @router.delete("/v1/toolgroups/{toolgroup_id:path}")
    async def unregister_toolgroup(toolgroup_id: str) -> None:
        """Refused: a toolgroup goes with its Tool."""
        (await agents.toolgroups()).group(toolgroup_id)
        raise not_registered()

    @router.get("/v1/tools", responses=answers(LegacyToolList))
    async def list_tools(toolgroup_id: str | None = None) -> Response:
        """The functions of one toolgroup, or of all."""
        return json_response({"data": (await agents.toolgroups()).tools(toolgroup_id)})

    @router.get("/v1/tools/{tool_name:path}", responses=answers(ToolTold))
    async def get_tool(tool_name: str) -> Response:
        """A function of a toolgroup."""
        return json_response((await agents.toolgroups()).tool(tool_name))


def add_tool_runtime(router: APIRouter, agents: LegacyAgents) -> None:
    """What tools can be called, and calling them."""

    @router.get("/v1/tool-runtime/list-tools", responses=LISTED)
    async def list_runtime_tools(
        tool_group_id: str | None = None, accept: Annotated[str, Header()] = ""
    ) -> Response:
        """The functions of one toolgroup, or of all; as lines for who accepts those."""
        tools = (await agents.toolgroups()).tools(tool_group_id)
        if JSON_LINES in accept:  # 0.1 and 0.2 read one a line
            return Response(
                b"".join(orjson.dumps(one) + b"\n" for one in tools), media_type=JSON_LINES
            )
        return json_response({"data": tools})

    @router.post("/v1/tool-runtime/invoke", responses=answers(QueryResult))
    async def invoke_tool(body: InvokeTool) -> Response:
        """Search in vector databases; other tools are called by Agents alone."""
        tool = (await agents.toolgroups()).tool(body.tool_name)
        if tool["toolgroup_id"] != RAG:
            raise not_callable(tool)
        asked, databases = search_of(body.kwargs)
        config = QueryConfig()
        found = await (await agents.vectors()).search(databases, asked, config.max_chunks)
        return json_response(query_result(asked, found, config))
