"""The SDK's own client of MCP."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client

from runtime.tests.amf.server import Server


@dataclass
class McpClient:
    """A session, and the name that the server gave it."""

    session: ClientSession
    name: str

    async def ask(self, model: str, text: str, **others: Any) -> types.CallToolResult:
        return await self.session.call_tool(model, {"input": text}, **others)


@contextlib.asynccontextmanager
async def mcp_client(server: Server, who: str = "") -> AsyncIterator[McpClient]:
    headers = {"authorization": f"Bearer {who}"} if who else {}
    async with (
        httpx.AsyncClient(timeout=30, headers=headers) as http,
        streamable_http_client(f"{server.url}/mcp", http_client=http) as (reading, writing, name),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield McpClient(session, name() or "")


def text_of(result: types.CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text
