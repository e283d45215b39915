"""A model that gives the answers it was told to give, and keeps what it was asked."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Scripted:
    """A model at `url`: each request gets the next message, the last one again and again."""

    messages: Sequence[dict[str, Any]]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        message = self.messages[min(len(self.asked), len(self.messages)) - 1]
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted"}
        return web.json_response(whole | {"choices": [choice], "usage": usage})


def saying(content: str) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def calling(name: str, arguments: str) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@contextlib.asynccontextmanager
async def scripted(*messages: dict[str, Any]) -> AsyncIterator[Scripted]:
    model = Scripted(messages)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield model
    finally:
        await runner.cleanup()
