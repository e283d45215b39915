import asyncio

import httpx
from a2a.client import ClientConfig, create_client
from a2a.helpers import get_stream_response_text, new_text_message
from a2a.types import Role, SendMessageRequest


async def main():
    """Print the answer as it comes."""
    config = ClientConfig(httpx_client=httpx.AsyncClient(timeout=600))
    client = await create_client("http://127.0.0.1:8321/a2a/math", config)
    message = new_text_message("What is 17 + 25?", role=Role.ROLE_USER)
    async for event in client.send_message(SendMessageRequest(message=message)):
        print(get_stream_response_text(event), end="", flush=True)


asyncio.run(main())
