"""An MCP server with one tool, by its official SDK, mcp<2: words_server.py [PORT]."""

import sys

from mcp.server.fastmcp import FastMCP

port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
server = FastMCP("words", host="127.0.0.1", port=port, stateless_http=True)


@server.tool()
def reverse(word: str) -> str:
    """Reverse a word."""
    return word[::-1]


server.run(transport="streamable-http")
