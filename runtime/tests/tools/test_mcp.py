"""Tools of a real MCP server, a process that comes and goes."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from controller.local.site import free_port
from runtime.contract.agent_config import McpServer
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.keys import functions_entry
from runtime.tests.tools.place import ADD, Place, tool_config
from runtime.tools import mcp
from runtime.tools.call_context import CALL_TOKEN
from runtime.tools.errors import BadSpec, EffectUnknown
from runtime.tools.executors import opened
from runtime.tools.mcp import McpTool
from runtime.tools.port import ToolFailure
from runtime.tools.python import PythonTool

pytestmark = pytest.mark.integration

SERVER = Path(__file__).with_name("mcp_server.py")


class Server:
    """The process; it keeps its port over restarts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.effects = folder / "effects"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, manner: str = "") -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, SERVER, str(self.port), self.effects, manner
        )
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    ends = map(writer.get_extra_info, ("sockname", "peername"))
                    writer.close()
                    # Where nobody listens yet, a connection may happen to reach itself.
                    if len(set(ends)) > 1:
                        return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def happened(self) -> list[str]:
        return self.effects.read_text().splitlines() if self.effects.exists() else []


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    yield made
    await made.kill()


class Heard:
    """What was said of the functions."""

    def __init__(self) -> None:
        self.said: list[tuple[FunctionSpec, ...]] = []
        self.problems: list[str | None] = []

    async def hear(self, functions: tuple[FunctionSpec, ...], problem: str | None) -> None:
        self.said.append(functions)
        self.problems.append(problem)

    def names(self) -> list[str]:
        return [function.name for function in self.said[-1]] if self.said else []


@contextlib.asynccontextmanager
async def tool(
    server: Server, heard: Heard | None = None, tools: tuple[str, ...] | None = None
) -> AsyncIterator[McpTool]:
    made = McpTool(McpServer(url=server.url, tools=tools), (heard or Heard()).hear)
    async with made.running():
        yield made


async def until(condition: Any, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_tools_of_a_server_are_found_and_called(server: Server) -> None:
    await server.start()
    heard = Heard()
    async with tool(server, heard) as sums:
        assert await sums.call("add", {"a": 2, "b": 40}, "k1") == "42"
        assert await sums.call("picture", {}, "k1") == [
            {"type": "image", "data": "AAAA", "mimeType": "image/png"}
        ]
        with pytest.raises(ToolFailure, match="no such luck"):
            await sums.call("fail", {"why": "no such luck"}, "k1")
        with pytest.raises(ToolFailure, match="has no tool mul"):
            await sums.call("mul", {}, "k1")
        assert sums.why_not() is None
    (add, *_) = heard.said[0]
    assert (add.name, add.description) == ("add", "Add two numbers.")
    assert add.input_schema["required"] == ["a", "b"]


@pytest.mark.fault(1)
async def test_a_server_gets_the_key_of_each_call(server: Server) -> None:
    await server.start()
    async with tool(server) as sums:
        calls = [sums.call("key", {}, key) for key in ("k1", "k2", "k1")]
        assert await asyncio.gather(*calls) == ["k1", "k2", "k1"]
        headers = [sums.call("header", {}, key) for key in ("k1", "k2")]
        assert await asyncio.gather(*headers) == ['"k1"', '"k2"']


class Numbered:
    """Gives out a new token each time."""

    def __init__(self) -> None:
        self.given = 0

    async def jwt(self) -> str:
        self.given += 1
        return f"token-{self.given}"


async def test_a_server_gets_the_transaction_token_of_each_call(server: Server) -> None:
    """Draft on transaction tokens, section 12.1."""
    await server.start()
    async with tool(server) as sums:
        assert await sums.call("header", {"name": "txn-token"}, "k1") == "None"
        reset = CALL_TOKEN.set(Numbered())
        given = [await sums.call("header", {"name": "txn-token"}, key) for key in ("k1", "k1")]
        CALL_TOKEN.reset(reset)
        assert given == ["token-1", "token-2"]
        assert await sums.call("header", {"name": "txn-token"}, "k1") == "None"


async def test_only_the_named_tools_are_offered(server: Server) -> None:
    await server.start()
    heard = Heard()
    async with tool(server, heard, tools=("add", "sub")) as sums:
        assert await sums.call("add", {"a": 2, "b": 3}, "k1") == "5"
        with pytest.raises(ToolFailure, match="has no tool fail"):
            await sums.call("fail", {"why": "?"}, "k1")
        assert heard.names() == ["add"]
        assert sums.why_not() == (
            f"spec.mcp.tools names sub, but the MCP server at {server.url} "
            "offers add, die, fail, grow, header, key, picture, wait"
        )


async def test_a_changed_list_is_heard(server: Server) -> None:
    await server.start()
    heard = Heard()
    async with tool(server, heard) as sums:
        await asyncio.sleep(0.5)  # the stream on which the server speaks first has to stand
        await sums.call("grow", {}, "k1")
        await until(lambda: "grown" in heard.names(), 5)
        assert await sums.call("grown", {}, "k1") == "new"


async def test_parallel_calls_share_the_session(server: Server) -> None:
    await server.start()
    async with tool(server) as sums:
        begun = time.monotonic()
        waits = [sums.call("wait", {"seconds": 1}, "k1") for _ in range(5)]
        assert await asyncio.gather(*waits) == ["waited"] * 5
        assert time.monotonic() - begun < 4


async def test_a_server_that_is_down_is_told_and_found_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "WAIT_SECONDS", 2)
    sentence = f"the MCP server at {server.url} cannot be reached: nobody listens there"
    async with tool(server) as sums:
        with pytest.raises(ToolFailure) as caught:
            await sums.call("add", {"a": 2, "b": 3}, "k1")
        assert str(caught.value) == sums.why_not() == sentence
        await server.start()
        await until(lambda: sums.why_not() is None)
        assert await sums.call("add", {"a": 2, "b": 3}, "k1") == "5"


async def test_a_server_that_restarts_is_called_over_a_new_session(server: Server) -> None:
    await server.start()
    async with tool(server) as sums:
        assert await sums.call("add", {"a": 1, "b": 1}, "k1") == "2"
        await server.kill()
        await server.start()
        assert await sums.call("add", {"a": 1, "b": 2}, "k1") == "3"
    assert server.happened() == ["1+1", "1+2"]


async def test_a_server_lost_in_the_middle_leaves_the_effect_unknown(server: Server) -> None:
    await server.start()
    async with tool(server) as sums:
        waiting = asyncio.create_task(sums.call("wait", {"seconds": 60}, "k1"))
        await until(lambda: server.happened() == ["waiting"])
        await server.kill()
        with pytest.raises(EffectUnknown, match="was lost while it ran wait"):
            await asyncio.wait_for(waiting, 10)
        await server.start()
        assert await sums.call("add", {"a": 1, "b": 2}, "k1") == "3"


async def test_a_tool_that_takes_its_server_down_leaves_the_effect_unknown(server: Server) -> None:
    await server.start()
    async with tool(server) as sums:
        with pytest.raises(EffectUnknown, match="was lost while it ran die"):
            await asyncio.wait_for(sums.call("die", {}, "k1"), 10)


async def test_what_is_found_is_written_to_the_catalogue(server: Server) -> None:
    await server.start()
    place = Place()
    config = tool_config(mcp=McpServer(url=server.url, tools=("add",)), revision="r1")
    async with opened(config, place.catalogue) as sums:
        await until(lambda: sums.why_not() is None)
        entry = await place.catalogue.get(functions_entry(ADD))
    assert entry is not None
    said = ToolFunctions.decode(entry.value)
    assert [function.name for function in said.functions] == ["add"]
    assert (said.tool, said.revision) == (ADD, "r1")


async def test_a_server_that_was_upgraded_is_looked_at_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "LIST_AGAIN_SECONDS", 0.2)
    place = Place()
    config = tool_config(mcp=McpServer(url=server.url, tools=("add",)), revision="r1")

    async def said(fits: Callable[[ToolFunctions], bool]) -> ToolFunctions:
        async with asyncio.timeout(15):
            while True:
                entry = await place.catalogue.get(functions_entry(ADD))
                if entry is not None and fits(found := ToolFunctions.decode(entry.value)):
                    return found
                await asyncio.sleep(0.02)

    await server.start()
    async with opened(config, place.catalogue):
        before = await said(lambda found: found.problem is None)
        await server.kill()
        lost = await said(lambda found: found.problem is not None)
        assert lost.functions == before.functions  # out of reach is no other schema
        await server.start("upgraded")
        after = await said(lambda found: found.problem is None)
    (add,) = after.functions
    assert list(add.input_schema["properties"]) == ["numbers"]
    assert after.digest != before.digest


async def test_a_server_that_always_says_that_its_list_has_changed_is_looked_at_now_and_then(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "LIST_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(mcp, "LIST_AT_MOST_EVERY_SECONDS", 0.5)
    await server.start("restless")
    async with tool(server):
        await until(lambda: len(server.happened()) >= 2)
        begun, looks = time.monotonic(), len(server.happened())
        await until(lambda: len(server.happened()) >= looks + 4)
        assert time.monotonic() - begun > 1.4


async def test_a_python_tool_is_opened_from_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "users_sums.py").write_text("def add(a: int, b: int) -> int:\n    return a + b")
    place = Place()
    config = tool_config(python={"entrypoint": "users_sums:add", "path": str(tmp_path)})
    async with opened(config, place.catalogue) as sums:
        assert isinstance(sums, PythonTool)
        assert await sums.call("add", {"a": 2, "b": 3}, "k1") == 5
        await asyncio.sleep(0)
        entry = await place.catalogue.get(functions_entry(ADD))
    assert entry is not None
    assert ToolFunctions.decode(entry.value).functions == sums.functions


async def test_a_tool_has_to_be_of_some_kind() -> None:
    with pytest.raises(BadSpec, match=r"one of spec\.python, spec\.mcp and spec\.http must be set"):
        async with opened(tool_config(), Place().catalogue):
            pass
