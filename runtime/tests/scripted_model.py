"""A model that answers as it was told to, keeps what it was asked, and says who asks and leaves."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

type Reply = dict[str, Any] | bytes | None

NEVER: Final = None
"""The reply of a model that lets its callers wait until they leave."""

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass
class ScriptedModel:
    """A model at `url`: each request gets the next reply, the last one again and again.

    Shape:
        replies   a message of the assistant; a whole HTTP response; or `NEVER`.
        requests  the bodies of the requests.
        keys      the header `Authorization` of each.
        asked     set by the first request.
        left      set by the first caller that goes away without an answer.
        serving   the model's own tasks, one a connection.
    """

    replies: Sequence[Reply]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            key, request = await _read(reader)
            self.keys.append(key)
            self.requests.append(request)
            reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
            self.asked.set()
            if reply is NEVER:
                await reader.read()
                self.left.set()
                return
            writer.write(reply if isinstance(reply, bytes) else _completion(request, reply))
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, Any]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in fields}
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    return headers.get("authorization", ""), body


def _completion(request: dict[str, Any], message: dict[str, Any]) -> bytes:
    whole: dict[str, Any] = {"id": "1", "created": 1, "model": "scripted", "usage": USAGE}
    choice = {"index": 0, "finish_reason": "stop"}
    if not request.get("stream"):
        whole |= {"object": "chat.completion", "choices": [choice | {"message": message}]}
        return response(json.dumps(whole), "application/json")
    calls = [{"index": place} | call for place, call in enumerate(message.get("tool_calls", ()))]
    delta = message | ({"tool_calls": calls} if calls else {})
    whole |= {"object": "chat.completion.chunk", "choices": [choice | {"delta": delta}]}
    return response(f"data: {json.dumps(whole)}\n\ndata: [DONE]\n\n", "text/event-stream")


def response(body: str, content_type: str) -> bytes:
    """A whole HTTP response; the connection ends with it."""
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def jwt_of(expires: int) -> str:
    """A JWT as far as its bearer looks at it."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.x"


def saying(text: str) -> dict[str, Any]:
    """A message of words."""
    return {"role": "assistant", "content": text}


def calling(*calls: tuple[str, str]) -> dict[str, Any]:
    """A message that calls tools, each with its arguments as JSON."""
    made = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": given}}
        for place, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


@contextlib.asynccontextmanager
async def scripted(*replies: Reply) -> AsyncIterator[ScriptedModel]:
    """A model with these replies, for as long as the body runs; it ends with its connections."""
    model = ScriptedModel(replies)
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        async with asyncio.timeout(30):
            yield model
    finally:
        server.close()
        for task in model.serving:
            task.cancel()
        await asyncio.gather(*model.serving, return_exceptions=True)
