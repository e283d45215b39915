import asyncio

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


async def main():
    """Print the answer of the tool."""
    async with (
        streamable_http_client("http://127.0.0.1:8321/mcp") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("math", {"input": "What is 17 + 25?"})
        print(answer.content[0].text)


asyncio.run(main())
