"""The `Servers` port: what the Llama Stack server of a Stack says of itself, over HTTP.

Source:
    llama-stack 0.7.3, routes `/v1/version`, `/v1/models` and `/v1/providers`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from controller.model import Provider, ServerFacts

ANSWER_SECONDS: Final = 3


class HttpServers:
    """The servers of all Stacks."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls) -> AsyncIterator["HttpServers"]:
        """A client that is closed once the body is left."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(session)

    async def observe(self, url: str) -> ServerFacts | None:
        """What the server at `url` says of itself; None when it does not answer. Never raises."""
        try:
            version, models, providers = await asyncio.gather(
                self._get(f"{url}/v1/version"),
                self._get(f"{url}/v1/models"),
                self._get(f"{url}/v1/providers"),
            )
            return ServerFacts(
                version=version["version"],
                models=tuple(sorted(model["id"] for model in models["data"])),
                providers=tuple(_provider(provider) for provider in providers["data"]),
            )
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            return None

    async def _get(self, url: str) -> Any:
        async with self._session.get(url, raise_for_status=True) as response:
            return await response.json()


def _provider(said: dict[str, Any]) -> Provider:
    health = said.get("health") or {}
    return Provider(
        api=said["api"],
        id=said["provider_id"],
        type=said["provider_type"],
        health=health.get("status", ""),
        message=health.get("message", ""),
    )
