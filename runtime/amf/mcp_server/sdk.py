"""The SDK's server of MCP, and how its versions differ: 1 is beside Llama Stack, 2 beside OGX.

Source:
    The SDK mcp 1.30 and 2.3, `server/lowlevel/server.py`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp
from mcp import types
from mcp.server.lowlevel import Server
from starlette.requests import Request

from runtime.amf.flavour import IS_OGX

SESSION = "mcp-session-id"

type Tell = Callable[[int, str], Awaitable[None]]
type ListTools = Callable[[], Awaitable[list[types.Tool]]]
type CallTool = Callable[["Asking", str, dict[str, Any] | None], Awaitable[types.CallToolResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One request of a client.

    Shape:
        session  the name of its session, None if it has none.
        tell     sends how far it has come: steps so far, and the newest; None if nobody asked.
    """

    request: str | int
    session: str | None
    tell: Tell | None


def tool(name: str, description: str, schema: Mapping[str, Any]) -> types.Tool:
    """A tool with arguments of this JSON schema."""
    return types.Tool.model_validate(
        {"name": name, "description": description, "inputSchema": schema}
    )


def result(text: str, *, is_error: bool = False) -> types.CallToolResult:
    """The result of a call; with `is_error` the sentence is for the model, which may try again."""
    return types.CallToolResult.model_validate(
        {"content": [{"type": "text", "text": text}], "isError": is_error}
    )


def invalid(why: str) -> Exception:
    """The protocol's refusal of parameters."""
    if IS_OGX:
        refusal: Exception = mcp.MCPError(types.INVALID_PARAMS, why)  # type: ignore[attr-defined]  # of version 2
        return refusal
    return mcp.McpError(types.ErrorData(code=types.INVALID_PARAMS, message=why))


def tool_server(name: str, about: str, list_tools: ListTools, call: CallTool) -> Any:
    """A server with these tools, for the SDK's transports."""
    return (_server_2 if IS_OGX else _server_1)(name, about, list_tools, call)


def _server_1(name: str, about: str, list_tools: ListTools, call: CallTool) -> Any:
    server: Server[Any, Request] = Server(name, instructions=about)

    async def listed(_request: types.ListToolsRequest) -> types.ServerResult:
        return types.ServerResult(types.ListToolsResult(tools=await list_tools()))

    async def called(request: types.CallToolRequest) -> types.ServerResult:
        context, asked = server.request_context, request.params
        token = context.meta.progressToken if context.meta else None
        asking = _asking(context, token)
        return types.ServerResult(await call(asking, asked.name, asked.arguments))

    server.request_handlers[types.ListToolsRequest] = listed
    server.request_handlers[types.CallToolRequest] = called
    return server


def _server_2(name: str, about: str, list_tools: ListTools, call: CallTool) -> Any:
    async def listed(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=await list_tools())

    async def called(context: Any, params: Any) -> types.CallToolResult:
        asking = _asking(context, (context.meta or {}).get("progress_token"))
        return await call(asking, params.name, params.arguments)

    server: Any = Server
    return server(name, instructions=about, on_list_tools=listed, on_call_tool=called)


def _asking(context: Any, progress_token: str | int | None) -> Asking:
    async def tell(steps: int, newest: str) -> None:
        await context.session.send_progress_notification(
            progress_token,
            steps,
            message=newest,
            # As text: version 1 takes the id 0 for none, and then nobody reads it.
            related_request_id=str(context.request_id),
        )

    return Asking(
        request=context.request_id,
        session=context.request.headers.get(SESSION) if context.request else None,
        tell=None if progress_token is None else tell,
    )
