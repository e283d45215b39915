"""Where MCP is served: `/mcp`, by streamable HTTP.

Source:
    Model Context Protocol specification 2025-11-25, "Transports", "Streamable HTTP".
"""

import contextlib
import uuid
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from runtime.amf import json_rpc
from runtime.amf.body import body_limit, body_of, replayed
from runtime.amf.directory import Directory
from runtime.amf.mcp_server.calls import SESSION, Calls

PATH = "/mcp"
LARGEST_BODY = 1 << 30  # bytes; no body comes this far that is over `body_limit`
CANCELLED = "notifications/cancelled"
ABOUT = (
    "Each tool is an AI agent. It does what `input` says and answers in words; it may take minutes."
)


class McpEndpoint:
    """The endpoint; `running` once, for as long as it serves."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        server: Server[Any, Request] = Server("k8gentai", instructions=ABOUT)
        self._calls = Calls(directory, server)
        self._sessions = StreamableHTTPSessionManager(
            server, stateless=True, max_request_body_size=LARGEST_BODY
        )

    def route(self) -> BaseRoute:
        """Where it is served."""
        return Route(PATH, self)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the body runs."""
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request.

        Shape:
            A session is a name that a client gets when it initializes; no process knows of it. It
            tells its requests from another client's of the same numbers.

        Raises:
            TooLarge: its body is over what any agent takes.
            WrongType: its body is no JSON.
        """
        request = Request(scope, receive)
        if request.method != "POST":  # the server never begins to speak, and ends no sessions
            refusal = Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
            await refusal(scope, receive, send)
            return
        body = await body_of(request, await self._limit())
        message, refused = json_rpc.read(body)
        if refused is not None:
            await JSONResponse(refused, HTTPStatus.BAD_REQUEST)(scope, receive, send)
            return
        session = request.headers.get(SESSION)
        if session is not None and (cancelled := _cancelled(message)) is not None:
            await self._calls.cancel(session, cancelled)
        named = _naming(send) if message.get("method") == "initialize" else send
        await self._sessions.handle_request(scope, replayed(body, receive), named)

    async def _limit(self) -> int:
        agents = await self._directory.agents()
        return body_limit(max((agent.max_input_bytes for agent in agents), default=0))


def _cancelled(message: dict[str, Any]) -> str | int | None:
    """The request that a message cancels, None if it cancels nothing."""
    match message:
        case {"method": method, "params": {"requestId": str() | int() as request}} if (
            method == CANCELLED
        ):
            return request
        case _:
            return None


def _naming(send: Send) -> Send:
    """Answers that give the client the name of its session."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.OK:
            MutableHeaders(scope=message)[SESSION] = uuid.uuid4().hex
        await send(message)

    return named
