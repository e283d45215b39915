"""Clients that say nothing, read nothing or vanish, and what they cost the server."""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from runtime.contract.messages import Cancelled
from runtime.tests.amf.clients import agent, http_client
from runtime.tests.amf.events import completed, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server, running_server, server_config

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

HEARTBEAT = ": still working"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lively(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server whose streams are never silent for long."""
    folder = tmp_path_factory.mktemp("lively")
    config = server_config()
    config["providers"]["responses"][0]["config"]["heartbeat_seconds"] = 0.2
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    async with running_server(server.nats, folder, run_config=folder / "run.yaml") as running:
        yield running


@pytest.mark.parametrize("api", ["responses", "chat/completions"])
async def test_a_silent_stream_gives_signs_of_life(lively: Server, api: str) -> None:
    go_on = asyncio.Event()

    async def silent(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("It "), said("is"), completed("It is")])
        await play.tell(*events[:2])
        await go_on.wait()
        await play.finish(*events[2:])

    async with agent(lively, silent) as (model, _), http_client(lively) as client:
        body: dict[str, Any] = {"model": f"agents/{model}", "stream": True}
        body |= {"input": "?"} if api == "responses" else {"messages": [_user("?")]}
        lines: list[str] = []
        async with asyncio.timeout(10), client.stream("POST", f"/{api}", json=body) as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
                if lines.count(HEARTBEAT) == 2:
                    go_on.set()

    assert lines.count(HEARTBEAT) >= 2
    beats = [place for place, line in enumerate(lines) if line == HEARTBEAT]
    assert all(lines[place - 1] == lines[place + 1] == "" for place in beats)
    told = [line for line in lines if line.startswith("data: ")]
    assert "is" in "".join(told)
    assert '"error":{' not in told[-1]


async def until_cancelled(play: Play, gone: asyncio.Event, pieces: int) -> None:
    """Say a lot at once, and then nothing until somebody wants it to end."""
    await play.begin()
    text = "word " * 10_000
    await play.tell(*play.events([started(), *(said(text) for _ in range(pieces))]))
    while not play.held.record.cancel_requested:
        await asyncio.sleep(0.02)
        found = await play.runs.get(play.task.agent, play.task.id)
        if found is not None:
            play.held = found
    gone.set()
    end = Cancelled(task=play.task.id, attempt=1, seq=pieces + 2)
    await play.write(end)
    await play.tell(end)


@pytest.mark.parametrize("api", ["responses", "chat/completions"])
async def test_who_does_not_read_is_let_go_and_so_is_what_he_has_asked_for(
    server: Server, api: str
) -> None:
    gone = asyncio.Event()

    async def script(play: Play) -> None:
        await until_cancelled(play, gone, pieces=60)  # 3 MB

    async with agent(server, script) as (model, _):
        before = await _sockets(server)
        reader, writer = await _asked(server, api, model)
        await reader.readuntil(b"\r\n\r\n")
        began = time.monotonic()  # from here on nothing is read, and the buffers fill up
        await asyncio.wait_for(gone.wait(), 10)
        took = time.monotonic() - began
        async with asyncio.timeout(2):
            while await _sockets(server) > before:
                await asyncio.sleep(0.05)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    assert took < 6


async def test_who_vanishes_is_let_go(server: Server) -> None:
    gone = asyncio.Event()

    async def script(play: Play) -> None:
        await until_cancelled(play, gone, pieces=1)

    async with agent(server, script) as (model, _):
        before = await _sockets(server)
        reader, writer = await _asked(server, "responses", model)
        await reader.readuntil(b"output_text.delta")
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 2)
        async with asyncio.timeout(2):
            while await _sockets(server) > before:
                await asyncio.sleep(0.05)


async def test_who_does_not_read_leaves_nothing_behind(server: Server) -> None:
    ends: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def script(play: Play) -> None:
        await until_cancelled(play, await ends.get(), pieces=20)  # 1 MB, as the longest answers

    async def some(model: str) -> None:
        gone = [asyncio.Event() for _ in range(4)]
        for one in gone:
            ends.put_nowait(one)
        connections = [await _asked(server, "responses", model) for _ in gone]
        await asyncio.gather(*(asyncio.wait_for(one.wait(), 30) for one in gone))
        for _, writer in connections:
            writer.transport.abort()

    async with agent(server, script) as (model, _):
        await some(model)  # what the first ones cost, they all share
        before = _resident(server)
        for _ in range(3):
            await some(model)
        grown = _resident(server) - before

    assert grown < 6 * 1024, f"{grown} KiB"


def _user(words: str) -> dict[str, str]:
    return {"role": "user", "content": words}


async def _asked(
    server: Server, api: str, model: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that was asked for, by a client with small buffers."""
    body: dict[str, Any] = {"model": f"agents/{model}", "stream": True}
    body |= {"input": "?"} if api == "responses" else {"messages": [_user("?")]}
    data = json.dumps(body).encode()
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    made.setblocking(False)  # noqa: FBT003 - that is how it is called
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=made, limit=8 * 1024)
    writer.write(
        f"POST /v1/{api} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    await writer.drain()
    return reader, writer


async def _sockets(server: Server) -> int:
    """How many connections the server has."""
    assert server.process is not None
    folder = f"/proc/{server.process.pid}/fd"

    def count() -> int:
        found = 0
        for name in os.listdir(folder):  # noqa: PTH208 - not files but names of descriptors
            with contextlib.suppress(FileNotFoundError):
                found += os.readlink(f"{folder}/{name}").startswith("socket:")  # noqa: PTH115 - no path
        return found

    return await asyncio.to_thread(count)


def _resident(server: Server) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])
