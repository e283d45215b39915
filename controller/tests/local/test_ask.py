"""What is shown of a streamed response, from a server that says just that."""

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.local.ask import ask


def done(**item: Any) -> dict[str, Any]:
    call = {"type": "mcp_call", "name": "plus", "arguments": "{}", "output": None, "error": None}
    return {"type": "response.output_item.done", "item": call | item}


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({"output": "5"}, "[tool plus({}) → 5]\n"),
        ({"error": "no such number"}, "[tool plus({}) → failed: no such number]\n"),
        ({}, "[tool plus({}) → no answer]\n"),
    ],
)
async def test_what_a_tool_gave_is_shown(item: dict[str, Any], shown: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        frames = (done(**item), {"type": "response.completed"})
        return web.Response(text="".join(f"data: {json.dumps(frame)}\n\n" for frame in frames))

    app = web.Application()
    app.router.add_post("/v1/responses", answer)
    said: list[str] = []
    async with TestServer(app) as server:
        await ask(str(server.make_url("")).rstrip("/"), "math", "2 + 3?", said.append)
    assert "".join(said) == shown
