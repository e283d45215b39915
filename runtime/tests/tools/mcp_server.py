"""An MCP server over streamable HTTP, as a process: `python mcp_server.py PORT FILE [MANNER]`.

Each effect is a line in FILE. The tool `grow` adds a tool and says so. As `upgraded`, its tools are
others; as `restless`, it says at each look at them that they have changed.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import override

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.session import ServerSession
from mcp.types import ImageContent, Tool

PORT, FILE, MANNER = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


class Server(FastMCP):
    @override
    async def list_tools(self) -> list[Tool]:
        if MANNER == "restless":
            with FILE.open("a") as effects:  # noqa: ASYNC230 - a test can wait for it
                effects.write("listed\n")
            await self.get_context().session.send_tool_list_changed()
        return await super().list_tools()


server = Server("sums", host="127.0.0.1", port=PORT, log_level="ERROR")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    with FILE.open("a") as effects:
        effects.write(f"{a}+{b}\n")
    return a + b


def add_all(numbers: list[int]) -> int:
    """Add numbers."""
    return sum(numbers)


server.add_tool(add_all if MANNER == "upgraded" else add, name="add")


@server.tool()
def key(context: Context[ServerSession, None]) -> str:
    """Tell the key of this call."""
    meta = context.request_context.meta
    return "none" if meta is None else str((meta.model_extra or {})["k8gentai.dev/idempotency-key"])


@server.tool()
def header(context: Context[ServerSession, None], name: str = "idempotency-key") -> str:
    """Tell a header of this call."""
    request = context.request_context.request
    return "none" if request is None else str(request.headers.get(name))


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@server.tool()
async def wait(seconds: float) -> str:
    """Wait."""
    with FILE.open("a") as effects:  # noqa: ASYNC230 - a test can wait for it
        effects.write("waiting\n")
    await asyncio.sleep(seconds)
    return "waited"


@server.tool()
def die() -> str:
    """Take the server down."""
    os._exit(1)


@server.tool(structured_output=False)
def picture() -> list[ImageContent]:
    """Give what is no text."""
    return [ImageContent(type="image", data="AAAA", mimeType="image/png")]


@server.tool()
async def grow(context: Context[ServerSession, None]) -> str:
    """Offer one more tool."""
    server.add_tool(lambda: "new", name="grown", description="New.")
    await context.session.send_tool_list_changed()
    return "grown"


server.run(transport="streamable-http")
