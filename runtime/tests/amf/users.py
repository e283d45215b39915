"""Two users of one server, which asks somebody else who they are."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from runtime.tests.amf.clients import agent
from runtime.tests.amf.server import Server, running_server, server_config


@contextlib.asynccontextmanager
async def judging() -> AsyncIterator[str]:
    """Where the server asks who somebody is: whoever the token says, all in one team."""

    async def judge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        token = json.loads(await reader.readexactly(length))["api_key"]
        told = json.dumps({"principal": token, "attributes": {"teams": ["all"]}}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(told), told)
        )
        await writer.drain()
        writer.close()

    serving = await asyncio.start_server(judge, "127.0.0.1", 0)
    async with serving:
        yield f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}/judge"


@dataclass
class Users:
    """The clients of Ann and Bob, and an agent that both may ask."""

    ann: httpx.AsyncClient
    bob: httpx.AsyncClient
    model: str
    server: Server

    async def until_known(self, model: str) -> None:
        """Wait until their server knows an Agent."""
        async with asyncio.timeout(30):
            while model not in (await self.ann.get("/models")).text:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def two_users(server: Server, folder: Path) -> AsyncIterator[Users]:
    """Ann and Bob at a server of their own, of the Stack of `server`."""
    async with judging() as endpoint:
        config = server_config()
        config["server"]["auth"] = {"provider_config": {"type": "custom", "endpoint": endpoint}}
        (folder / "run.yaml").write_text(yaml.safe_dump(config))
        async with (
            running_server(server.nats, folder, run_config=folder / "run.yaml") as guarded,
            agent(server) as (model, _),
            client(guarded, "ann") as ann,
            client(guarded, "bob") as bob,
        ):
            users = Users(ann, bob, model, guarded)
            await users.until_known(model)
            yield users


def client(server: Server, user: str) -> httpx.AsyncClient:
    bearer = {"Authorization": f"Bearer {user}"}
    # The server closes what nobody uses for five seconds, and may do so in the very moment.
    limits = httpx.Limits(keepalive_expiry=2)
    url = f"{server.url}/v1"
    return httpx.AsyncClient(base_url=url, timeout=30, headers=bearer, limits=limits)
