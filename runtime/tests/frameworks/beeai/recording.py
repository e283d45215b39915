"""A model that gives the answers it was told to give, and keeps what it was asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Recording:
    """A model at `url`: each request gets the next message, the last one again and again.

    Shape:
        left   how many callers went away before they had an answer.
    """

    messages: Sequence[dict[str, Any] | None]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked)
        message = self.messages[min(len(self.asked), len(self.messages)) - 1]
        if message is None:
            await self._never()
        said = "delta" if asked.get("stream") else "message"
        choice = {"index": 0, said: message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        whole = {"id": "1", "created": 1, "model": "recording", "choices": [choice]}
        if not asked.get("stream"):
            return web.json_response(whole | {"object": "chat.completion", "usage": usage})
        piece = json.dumps(whole | {"object": "chat.completion.chunk"})
        return web.Response(
            text=f"data: {piece}\n\ndata: [DONE]\n\n", content_type="text/event-stream"
        )

    async def _never(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.left += 1


def saying(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def calling(*calls: tuple[str, str]) -> dict[str, Any]:
    """A message that calls tools, each with its arguments as JSON."""
    made = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": given}}
        for place, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def ending(answer: str) -> dict[str, Any]:
    """A message that ends a `RequirementAgent`; the answer needs no escapes in JSON."""
    return calling(("final_answer", f'{{"response": "{answer}"}}'))


@contextlib.asynccontextmanager
async def recording(*messages: dict[str, Any] | None) -> AsyncIterator[Recording]:
    model = Recording(messages)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield model
    finally:
        await runner.cleanup()
