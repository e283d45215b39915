"""One streamed question to an agent, as any client of the Responses API would ask it."""

import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import aiohttp

PATIENCE_SECONDS: Final = 120


class NoAnswer(Exception):
    """The agent gave no answer; the message says what came instead."""


def a_sum() -> tuple[str, str]:
    """A question nobody has the answer to in store, and that answer."""
    first, second = random.randint(1000, 9999), random.randint(1000, 9999)  # noqa: S311 - no secret
    return f"What is {first} + {second}?", str(first + second)


async def ask(url: str, model: str, question: str, show: Callable[[str], None]) -> str:
    """Ask `model` of the server at `url` and show the answer piece by piece; gives all of it.

    Shape:
        `show` gets pieces of the answer's text, and a line of its own for each tool call.

    Raises:
        NoAnswer: the run failed, or the server refused it.
    """
    body = {"model": model, "input": question, "stream": True}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{url}/v1/responses", json=body) as response,
    ):
        if response.status != 200:  # noqa: PLR2004 - OK
            raise NoAnswer(f"{response.status}: {(await response.text())[:500]}")
        return await answer_of(response, show)


async def answer_of(response: aiohttp.ClientResponse, show: Callable[[str], None]) -> str:
    """Show a streamed response as in `ask`; gives all of its text.

    Raises:
        NoAnswer: the run failed.
    """
    text = ""
    async for event in _events(response):
        match event:
            case {"type": "response.output_text.delta", "delta": delta}:
                text += delta
                show(delta)
            case {"type": "response.output_item.done", "item": {"type": "mcp_call"} as item}:
                show(f"[tool {item['name']}({item['arguments']}) → {_came(item)}]\n")
            case {
                "type": "response.output_item.done",
                "item": {"type": "mcp_approval_request"} as item,
            }:
                call = f"{item['name']}({item['arguments']})"
                show(f"[{call} needs a person: k8gentai approve {item['id']}]\n")
            case {"type": "response.completed"}:
                return text
            case {"type": "response.failed", "response": {"error": error}}:
                raise NoAnswer(error["message"])
            case {"error": {"message": message}}:
                raise NoAnswer(message)
            case _:
                pass
    raise NoAnswer("the stream ended before the answer did")


def _came(call: Mapping[str, Any]) -> str:
    """What a call of a tool came to."""
    if call.get("error") is not None:
        return f"failed: {call['error']}"
    return "no answer" if call.get("output") is None else str(call["output"])


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
            yield json.loads(line.removeprefix(b"data: "))
