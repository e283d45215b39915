"""What the proxy sees of a call and does to it, before a server that does as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from runtime.kit.proxy import Endpoint, ModelProxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


class Server:
    """Keeps what it is asked; answers at once, or never."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.left = asyncio.Event()
        self.answers = True
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.read(1 << 16))
        if self.answers:
            writer.write(ANSWER)
        else:
            await reader.read()
            self.left.set()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/deep/v1"
    yield made
    listening.close()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[ModelProxy]:
    stand_in = Endpoint(server.url, "small/stand-in")
    async with ModelProxy(Endpoint(server.url), stand_in).serving() as proxy:
        yield proxy


async def ask(
    proxy: ModelProxy, body: object, path: str = "/v1/chat"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(proxy.url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    return reader, writer


async def test_a_call_goes_to_the_endpoint_as_it_is(server: Server, proxy: ModelProxy) -> None:
    reader, writer = await ask(proxy, {"model": "own", "stream": True, "input": 'say "é"'})
    assert await reader.read() == ANSWER
    writer.close()
    (asked,) = server.asked
    assert asked.startswith(b"POST /deep/v1/chat HTTP/1.1\r\n")
    assert json.loads(asked.partition(b"\r\n\r\n")[2])["model"] == "own"
    (call,) = proxy.calls
    assert call.streams
    assert await proxy.until(lambda: not call.open, 1)
    assert proxy.heard('say "é"')
    assert not proxy.heard("say nothing")


async def test_a_fault_is_asked_of_the_stand_in_under_its_prefix(
    server: Server, proxy: ModelProxy
) -> None:
    await proxy.begin("error-500")
    reader, writer = await ask(proxy, {"model": "own"})
    await reader.read()
    writer.close()
    assert json.loads(server.asked[0].partition(b"\r\n\r\n")[2]) == {"model": "small/error-500"}


async def test_what_names_no_model_is_no_call(server: Server, proxy: ModelProxy) -> None:
    reader, writer = await ask(proxy, {"items": []}, "/v1/conversations")
    assert await reader.read() == ANSWER
    writer.close()
    assert server.asked[0].startswith(b"POST /deep/v1/conversations HTTP/1.1\r\n")
    assert proxy.calls == []


async def test_a_caller_that_leaves_ends_the_call(server: Server, proxy: ModelProxy) -> None:
    server.answers = False
    _, writer = await ask(proxy, {"model": "own"})
    assert await proxy.until(lambda: proxy.open == 1, 5)
    writer.close()
    assert await proxy.until(lambda: proxy.open == 0, 5)
    async with asyncio.timeout(5):
        await server.left.wait()


async def test_a_call_that_outlives_its_scenario_is_refused_and_forgotten(
    server: Server, proxy: ModelProxy
) -> None:
    server.answers = False
    reader, writer = await ask(proxy, {"model": "own"})
    assert await proxy.until(lambda: proxy.open == 1, 5)
    await proxy.begin()
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    assert proxy.calls == []


async def test_a_model_that_is_not_there_is_a_bad_gateway() -> None:
    async with ModelProxy(Endpoint("http://127.0.0.1:1/v1")).serving() as proxy:
        reader, writer = await ask(proxy, {"model": "own"})
        assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
        writer.close()


async def test_without_a_stand_in_nothing_goes_wrong() -> None:
    proxy = ModelProxy(Endpoint("http://127.0.0.1:1/v1"))
    with pytest.raises(ValueError, match="only a stand-in model can fail at will"):
        await proxy.begin("hang")
