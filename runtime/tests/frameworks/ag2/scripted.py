"""A model that gives the answers it was told to give, and keeps what it was asked."""

import contextlib
import json
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
        body = await request.json()
        self.asked.append(body)
        message = self.messages[min(len(self.asked), len(self.messages)) - 1]
        whole: dict[str, Any] = {"id": "1", "created": 1, "model": "scripted"}
        whole["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        choice = {"index": 0, "finish_reason": "stop"}
        if not body.get("stream"):
            return web.json_response(whole | {"choices": [choice | {"message": message}]})
        calls = [{"index": i} | call for i, call in enumerate(message.get("tool_calls", []))]
        whole["choices"] = [choice | {"delta": message | {"tool_calls": calls}}]
        events = f"data: {json.dumps(whole)}\n\ndata: [DONE]\n\n"
        return web.Response(text=events, content_type="text/event-stream")


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
