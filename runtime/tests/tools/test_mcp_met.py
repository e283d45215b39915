"""What stands where an MCP server should be: each mistake has a sentence of its own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from controller.local.site import free_port
from runtime.contract.agent_config import McpServer
from runtime.contract.catalogue import FunctionSpec
from runtime.tools import mcp
from runtime.tools.mcp import McpTool
from runtime.tools.port import ToolFailure

pytestmark = pytest.mark.integration

ENDPOINT = "see whether spec.mcp names the path of its endpoint, as in …/mcp"


def http(status: str, body: str = "", **headers: str) -> bytes:
    """An answer over HTTP."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | given
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n{body}".encode()


@contextlib.asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives this answer to everybody, or none; its URL."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await gone.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        gone.set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("CONNECT", 0.3), ("SESSION", 0.5), ("WAIT", 0.9)):
        monkeypatch.setattr(mcp, f"{name}_SECONDS", seconds)


async def said_of(url: str) -> str:
    """What a call is told, and the catalogue: the same."""
    problems: list[str | None] = []

    async def say(_: tuple[FunctionSpec, ...], problem: str | None) -> None:
        problems.append(problem)

    tool = McpTool(McpServer(url=url), say)
    async with tool.running():
        with pytest.raises(ToolFailure) as failed:
            await tool.call("add", {"a": 2, "b": 3}, "k1")
    assert tool.why_not() == problems[-1] == str(failed.value)
    return str(failed.value).removeprefix(f"the MCP server at {url} ")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(
            http("404 Not Found"),
            f"cannot be used: it answers 404 Not Found; {ENDPOINT}",
            id="at a wrong path",
        ),
        pytest.param(
            http("405 Method Not Allowed"),
            f"cannot be used: it answers 405 Method Not Allowed; {ENDPOINT}",
            id="which takes no POST",
        ),
        pytest.param(
            http("401 Unauthorized"),
            "cannot be used: it answers 401 Unauthorized; it has to take calls without a login",
            id="that wants to know who asks",
        ),
        pytest.param(
            http("307 Temporary Redirect", Location="http://elsewhere.example/mcp"),
            "cannot be used: it sends elsewhere (307), to http://elsewhere.example/mcp; name that "
            "in spec.mcp",
            id="that has moved",
        ),
        pytest.param(
            http("500 Broken"),
            "cannot be used: it answers 500 Internal Server Error; its own log says why",
            id="that is broken",
        ),
        pytest.param(
            http("200 OK", "<html/>", Content_Type="text/html"),
            f"cannot be used: what answers there does not speak MCP, but text/html; {ENDPOINT}",
            id="a page for people",
        ),
        pytest.param(
            http("200 OK", '{"hello": "you"}'),
            f"cannot be used: what answers there does not speak MCP; {ENDPOINT}",
            id="another API",
        ),
        pytest.param(
            http("200 OK", '{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"No."}}'),
            "cannot be used: No.",
            id="that refuses a session",
        ),
        pytest.param(
            b"",
            "cannot be used: it takes connections, and ends them without an answer",
            id="that says nothing",
        ),
        pytest.param(
            b"SSH-2.0-OpenSSH_9.2\r\n",
            "cannot be used: it takes connections, and ends them without an answer",
            id="that speaks no HTTP",
        ),
        pytest.param(
            None,
            "cannot be used: it takes connections, and does not answer in time",
            id="that hangs",
        ),
    ],
)
async def test_a_server(answer: bytes | None, sentence: str) -> None:
    async with answering(answer) as url:
        assert await said_of(url) == sentence


async def test_no_server() -> None:
    said = await said_of(f"http://127.0.0.1:{free_port()}/mcp")

    assert said == "cannot be reached: nobody listens there"


async def test_a_name_that_nobody_has() -> None:
    sentence = await said_of("http://nowhere.invalid/mcp")

    assert sentence == "cannot be reached: its name cannot be resolved"


async def test_who_takes_no_connection_is_told_from_who_gives_no_answer() -> None:
    """A listener whose queue is full stands for a host whose packets somebody drops."""
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 - the library's own
            one.connect_ex(full.getsockname())
        sentence = await said_of(f"http://127.0.0.1:{full.getsockname()[1]}/mcp")

    assert sentence == (
        "cannot be reached: no connection came about in time; see whether a network policy "
        "forbids it"
    )


async def test_a_cancellation_that_the_sdk_takes_for_its_own_ends_the_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trying = asyncio.Event()

    async def swallowing(_: McpTool) -> None:
        trying.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("cut off") from None

    async def say(_: tuple[FunctionSpec, ...], __: str | None) -> None: ...

    monkeypatch.setattr(McpTool, "_one_session", swallowing)
    async with asyncio.timeout(5):
        async with McpTool(McpServer(url="http://127.0.0.1:9/mcp"), say).running():
            await trying.wait()
