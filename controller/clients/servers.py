"""The `Servers` port: what the Llama Stack server of a Stack says of itself, over HTTP.

Source:
    llama-stack 0.7.3, routes `/v1/version`, `/v1/models` and `/v1/providers`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from controller.clients.token_file import read_proof
from controller.model import Provider, ServerFacts

ANSWER_SECONDS: Final = 3


class HttpServers:
    """The servers of all Stacks.

    Shape:
        token_file  the operator's own JWT for servers, read again at each use.
    """

    def __init__(self, session: aiohttp.ClientSession, token_file: Path) -> None:
        self._session = session
        self._token_file = token_file

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, token_file: Path) -> AsyncIterator["HttpServers"]:
        """A client that is closed once the body is left."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(session, token_file)

    async def observe(self, url: str, *, proving: bool) -> ServerFacts | None:
        """What the server at `url` says of itself; None when it does not answer. Never raises."""
        try:
            headers = {}
            if proving:
                proof = await read_proof(self._token_file)
                headers["Authorization"] = f"Bearer {proof.token}"
            version, models, providers = await asyncio.gather(
                self._get(f"{url}/v1/version", headers),
                self._get(f"{url}/v1/models", headers),
                self._get(f"{url}/v1/providers", headers),
            )
            return ServerFacts(
                version=version["version"],
                models=tuple(sorted(model["id"] for model in models["data"])),
                providers=tuple(_provider(provider) for provider in providers["data"]),
            )
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError):
            return None

    async def _get(self, url: str, headers: dict[str, str]) -> Any:
        async with self._session.get(url, headers=headers, raise_for_status=True) as response:
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
