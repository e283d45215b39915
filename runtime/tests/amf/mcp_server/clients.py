"""The SDK's own client of MCP: of version 1, or of version 2 in an environment with OGX."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import mcp
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client

from runtime.amf.flavour import IS_OGX
from runtime.tests.amf.server import Server

sdk: Any = mcp
Refused = sdk.MCPError if IS_OGX else sdk.McpError
http: Any = import_module("httpx2" if IS_OGX else "httpx")  # what the client itself speaks with
CANCELLED = "notifications/cancelled"
SESSION = "mcp-session-id"
FIRST = 2 if IS_OGX else 1  # what a client calls the first request of a session that has begun


@dataclass
class McpClient:
    """A session, and the name that the server gave it."""

    session: ClientSession
    headers: dict[str, str]

    @property
    def name(self) -> str:
        return self.headers[SESSION]

    async def tools(self) -> dict[str, dict[str, Any]]:
        """The tools as they are told, by their names."""
        found = (await self.session.list_tools()).tools
        return {one.name: one.model_dump(by_alias=True) for one in found}

    async def ask(self, model: str, text: str, **others: Any) -> dict[str, Any]:
        return await self.call(model, {"input": text}, **others)

    async def call(self, model: str, arguments: dict[str, Any], **others: Any) -> dict[str, Any]:
        """The result of a tool, as it is told."""
        return (await self.session.call_tool(model, arguments, **others)).model_dump(by_alias=True)

    async def cancel_first(self) -> None:
        notification: Any = types.CancelledNotification(
            params=types.CancelledNotificationParams.model_validate({"requestId": FIRST})
        )
        if not IS_OGX:
            notification = types.ClientNotification(notification)
        await self.session.send_notification(notification)


@contextlib.asynccontextmanager
async def mcp_client(server: Server, who: str = "") -> AsyncIterator[McpClient]:
    given: dict[str, str] = {}

    async def note(answer: Any) -> None:
        given.update(answer.headers)

    async with (
        http.AsyncClient(
            timeout=30,
            headers={"authorization": f"Bearer {who}"} if who else {},
            event_hooks={"response": [note]},
        ) as own,
        streamable_http_client(f"{server.url}/mcp", http_client=own) as (reading, writing, *_),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield McpClient(session, dict(given))


def text_of(result: dict[str, Any]) -> str:
    (content,) = result["content"]
    assert content["type"] == "text"
    text: str = content["text"]
    return text
