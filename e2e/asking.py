"""Asking a Stack as its users do: with the openai SDK, llama-stack-client, or plain HTTP."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import openai
from llama_stack_client import AsyncLlamaStackClient

ANSWER_SECONDS = 60
RETRIES = 6
UNDER_WAY = ("queued", "in_progress")


class Asking:
    """A Stack's API.

    Shape:
        url  of the server, without a path.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def openai(self, *, retries: int = 0) -> openai.AsyncOpenAI:
        """The SDK that most people use; theirs asks again when nobody answers, ours shows it."""
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1", api_key="none", max_retries=retries, timeout=ANSWER_SECONDS
        )

    def llama_stack(self) -> AsyncLlamaStackClient:
        """The server's own client."""
        return AsyncLlamaStackClient(base_url=self.url, max_retries=0, timeout=ANSWER_SECONDS)

    async def ask(self, model: str, words: str, **more: Any) -> Any:
        """The whole response."""
        async with self.openai() as client:
            return await client.responses.create(model=model, input=words, **more)

    async def post(self, model: str, words: str) -> httpx.Response:
        """What comes back over HTTP, whatever it is."""
        async with httpx.AsyncClient(base_url=self.url, timeout=ANSWER_SECONDS) as client:
            return await client.post("/v1/responses", json={"model": model, "input": words})

    async def begin(self, model: str, words: str) -> str:
        """Have a run accepted that nobody waits for: the id of its response."""
        response = await self.ask(model, words, background=True)
        return str(response.id)

    async def ended(self, response: str, seconds: float = 60) -> Any:
        """The response once its run has ended; servers may come and go."""
        async with self.openai(retries=RETRIES) as client:
            return await _ended(client, response, seconds)

    async def all_ended(self, responses: Iterable[str], seconds: float = 120) -> list[Any]:
        """The responses once all runs have ended."""
        async with self.openai() as client:
            return [await _ended(client, response, seconds) for response in responses]

    async def models(self) -> set[str]:
        """What the server lists."""
        async with self.openai() as client:
            return {model.id async for model in client.models.list()}


async def _ended(client: openai.AsyncOpenAI, response: str, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        while (found := await client.responses.retrieve(response)).status in UNDER_WAY:  # noqa: ASYNC110 - another machine's state
            await asyncio.sleep(0.1)
    return found


async def eventually(look: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until `look` is true; it may take its time."""
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(look):  # noqa: ASYNC110 - another machine's state
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None
