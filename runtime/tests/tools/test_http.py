"""Operations of a real HTTP API, a process that comes and goes."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.local.site import free_port
from runtime.contract.agent_config import HttpApi, SideEffects, ToolConfig
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.keys import functions_entry
from runtime.tests.tools.openapi_documents import document, parameter
from runtime.tests.tools.place import ADD, Place, tool_config
from runtime.tests.tools.test_mcp import Numbered
from runtime.tools import http
from runtime.tools.call_context import CALL_DEADLINE, CALL_TOKEN
from runtime.tools.errors import EffectUnknown, ResultTooLarge
from runtime.tools.executor import MAX_RESULT_BYTES
from runtime.tools.executors import opened
from runtime.tools.http import HttpTool
from runtime.tools.port import ToolFailure

pytestmark = pytest.mark.integration

SERVER = Path(__file__).with_name("http_api.py")
ONCE = SideEffects.AT_MOST_ONCE


class Api:
    """The process; it keeps its port over restarts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/openapi.json"
        self.effects = folder / "effects"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None:
            command = [sys.executable, str(SERVER), str(self.port), str(self.effects)]
            self._process = subprocess.Popen(command)
            while not self._listens():
                assert self._process.poll() is None
                time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def ended(self) -> None:
        """Wait until the process has gone by itself."""
        process, self._process = self._process, None
        if process is not None:
            process.wait(10)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.ended()

    def happened(self) -> list[str]:
        return self.effects.read_text().splitlines() if self.effects.exists() else []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp("api"))
    yield made
    made.kill()


@pytest.fixture
def api(running: Api) -> Api:
    """The API, up, and without effects so far."""
    running.start()
    running.effects.unlink(missing_ok=True)
    return running


class Heard:
    """What was said of the functions."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.problem: str | None = None

    async def hear(self, functions: tuple[FunctionSpec, ...], problem: str | None) -> None:
        self.names = [function.name for function in functions]
        self.problem = problem


@contextlib.asynccontextmanager
async def opening(
    api: HttpApi, config: ToolConfig | None = None, heard: Heard | None = None
) -> AsyncIterator[HttpTool]:
    made = HttpTool(config or tool_config(), api, (heard or Heard()).hear)
    async with made.running():
        yield made


@contextlib.asynccontextmanager
async def tool(
    api: Api, *operations: str, side_effects: SideEffects = SideEffects.IDEMPOTENT
) -> AsyncIterator[HttpTool]:
    wanted = HttpApi(url=api.url, operations=operations)
    async with opening(wanted, tool_config(side_effects)) as made:
        await until(lambda: made.why_not() is None)
        yield made


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_operations_of_an_api_are_found_and_called(api: Api) -> None:
    async with tool(api, "get_weather", "order", "forget", "odd") as shop:
        (weather, *_) = shop.functions
        assert weather.description == "Tell the weather of a city."
        given = {"city": "Bad Ischl/A?b#c", "days": 2, "tag": ["a b", "c&d"]}
        assert await shop.call("get_weather", {"city": "Wien"}, "k") == {
            "city": "Wien", "days": 1, "tags": [],
        }  # fmt: skip
        with pytest.raises(ToolFailure, match="404 Not Found"):  # its router unescapes the slash
            await shop.call("get_weather", given, "k")
        given["city"] = "Bad Ischl?b#c"
        assert await shop.call("get_weather", given, "k") == {
            "city": "Bad Ischl?b#c", "days": 2, "tags": ["a b", "c&d"],
        }  # fmt: skip
        body = {"item": "tea", "count": 3, "parts": [{"item": "leaf"}]}
        ordered = await shop.call("order", {"shop": "main", "body": body}, "k1")
        assert ordered["parts"] == [{"item": "leaf", "count": 1, "parts": []}]
        assert await shop.call("forget", {"shop": "main"}, "k2") == "204 No Content"
        odd = {"kind": "application/json", "said": "no json"}
        assert await shop.call("odd", odd, "k") == "no json"
    assert api.happened() == ['"k1" main 3 tea', '"k2" forget main']


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"shop": "x"}, "wrong arguments: 'body' is a required property"),
        ({"shop": "x", "body": {"item": 3}}, "wrong arguments: body.item: 3 is not of type"),
        ({"shop": "x", "body": {"item": "a"}, "url": "y"}, "wrong arguments: Additional prop"),
        ({"shop": "..", "body": {"item": "a"}}, "wrong arguments: shop: must be a name"),
    ],
)
async def test_arguments_are_checked_before_anything_is_sent(
    api: Api, arguments: dict[str, Any], said: str
) -> None:
    async with tool(api, "order") as shop:
        with pytest.raises(ToolFailure) as caught:
            await shop.call("order", arguments, "k")
    assert str(caught.value).startswith(said)
    assert api.happened() == []


async def test_what_is_sent_is_what_was_given(api: Api) -> None:
    rest = "a b/c%2F?x=1#y;ü"
    async with tool(api, "echo") as echo:
        seen = await echo.call("echo", {"rest": rest, "x-note": "hello"}, "k")
    assert seen["rest"] == rest
    assert seen["raw"] == "/echo/a%20b%2Fc%252F%3Fx%3D1%23y%3B%C3%BC"
    assert seen["note"] == "hello"


async def test_an_api_gets_the_transaction_token_of_each_request(api: Api) -> None:
    """Draft on transaction tokens, section 12.1."""
    async with tool(api, "echo") as echo:
        reset = CALL_TOKEN.set(Numbered())
        given = [(await echo.call("echo", {"rest": "x"}, "k"))["token"] for _ in range(2)]
        CALL_TOKEN.reset(reset)
        assert given == ["token-1", "token-2"]
        assert (await echo.call("echo", {"rest": "x"}, "k"))["token"] is None


async def test_nothing_is_remembered_from_call_to_call(api: Api) -> None:
    async with tool(api, "status", "echo") as both:
        await both.call("status", {"code": 200}, "k")  # it sets a cookie
        seen = await both.call("echo", {"rest": "x"}, "k")
    assert seen["cookie"] is None


@pytest.mark.parametrize(
    ("code", "said", "sentence"),
    [
        (400, "no such\n city", "status failed: the API answered 400 Bad Request: no such city"),
        (500, "", "status failed: the API answered 500 Internal Server Error"),
        (429, "", "status failed: the API answered 429 Too Many Requests"),
        (299, "well", None),
        (404, "x" * 600, f"status failed: the API answered 404 Not Found: {'x' * 500}…"),
        (304, "", "status failed: the API answered 304 Not Modified"),
    ],
)
async def test_a_refusal_is_a_sentence(
    api: Api, code: int, said: str, sentence: str | None
) -> None:
    async with tool(api, "status") as asked:
        call = asked.call("status", {"code": code, "said": said}, "k")
        if sentence is None:
            assert await call == said
            return
        with pytest.raises(ToolFailure) as caught:
            await call
    assert str(caught.value) == sentence


@pytest.mark.parametrize("kind", ["image/png", "application/zip", "text/event-stream"])
async def test_an_answer_that_no_model_can_read_is_told(api: Api, kind: str) -> None:
    async with tool(api, "odd") as odd:
        with pytest.raises(ToolFailure, match=rf"^odd was carried out \(200 OK\), .* it is {kind}"):
            await odd.call("odd", {"kind": kind, "said": "x"}, "k")


async def test_a_large_answer_is_broken_off(api: Api) -> None:
    async with tool(api, "large") as large:
        assert len(await large.call("large", {"size": MAX_RESULT_BYTES}, "k")) == MAX_RESULT_BYTES
        with pytest.raises(ResultTooLarge, match=f"returned more than {MAX_RESULT_BYTES} bytes"):
            await large.call("large", {"size": MAX_RESULT_BYTES + 1}, "k")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("busy", {"code": 429}),
        ("busy", {"code": 503}),
        ("busy", {"code": 429, "dated": 1}),
        ("post_busy", {"code": 503}),
    ],
)
async def test_an_api_that_says_when_to_come_again_is_asked_again(
    api: Api, function: str, arguments: dict[str, Any]
) -> None:
    async with tool(api, function) as busy:
        begun = time.monotonic()
        assert (
            await busy.call(function, {"name": f"{function} {arguments}", **arguments}, "k1")
            == "served"
        )
        assert time.monotonic() - begun >= 1
    assert set(api.happened()) <= {'"k1" busy'}  # each time with the same key


@pytest.mark.fault(1)
async def test_what_must_not_be_repeated_is_not(api: Api) -> None:
    async with tool(api, "post_busy", "busy", side_effects=ONCE) as busy:
        with pytest.raises(ToolFailure, match="429 Too Many Requests: busy"):
            await busy.call("post_busy", {"name": "c"}, "k1")
        assert await busy.call("busy", {"name": "b"}, "k1") == "served"
    assert api.happened() == ['"k1" busy']


@pytest.mark.parametrize(("wait", "seconds"), [(60, 10.0), (2, 1.0)])
async def test_nobody_waits_past_the_deadline(api: Api, wait: int, seconds: float) -> None:
    async with tool(api, "busy") as busy:
        CALL_DEADLINE.set(time.time() + seconds)
        begun = time.monotonic()
        with pytest.raises(ToolFailure, match="429 Too Many Requests: busy"):
            await busy.call("busy", {"name": f"wait {wait}", "wait": wait}, "k1")
        assert time.monotonic() - begun < 1


async def test_redirects_stay_on_their_host(api: Api) -> None:
    async with tool(api, "away", "post_away", "circle") as away:
        here = {"to": "/weather/Wien/now", "code": 302}
        assert (await away.call("away", here, "k"))["city"] == "Wien"
        for elsewhere in ("http://localhost:1/x", "//127.0.0.2/x", f"https://127.0.0.1:{api.port}"):
            with pytest.raises(ToolFailure, match="and another host is not followed"):
                await away.call("away", {"to": elsewhere}, "k")
        order = {"to": "/orders/main", "body": {"item": "tea"}, "code": 307}
        assert (await away.call("post_away", order, "k7"))["item"] == "tea"
        with pytest.raises(ToolFailure, match="redirects in a circle"):
            await away.call("circle", {}, "k")
    assert api.happened() == ['"k7" main 1 tea']


async def test_an_api_lost_in_the_middle_leaves_the_effect_unknown(api: Api) -> None:
    async with tool(api, "die", "slow", "get_weather", "post_status") as tools:
        with pytest.raises(EffectUnknown, match="was lost on the way to the API"):
            await tools.call("post_status", {"code": 504}, "k0")
        with pytest.raises(EffectUnknown, match="the API was lost while it ran die"):
            await tools.call("die", {}, "k1")
        api.ended()
        with pytest.raises(
            ToolFailure, match=f"the API at {api.origin} cannot be reached: nobody listens there$"
        ) as gone:
            await tools.call("slow", {"seconds": 1}, "k2")
        assert not isinstance(gone.value, EffectUnknown)  # nothing was sent
        assert tools.why_not() is None  # the document still says how it is called
        api.start()
        assert (await tools.call("get_weather", {"city": "Wien"}, "k"))["city"] == "Wien"
    assert api.happened() == ['"k0" status 504', '"k1" die']


async def test_a_cancelled_call_ends_at_once(api: Api) -> None:
    async with tool(api, "slow") as slow:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await slow.call("slow", {"seconds": 60}, "k")
        assert time.monotonic() - begun < 1.3


async def test_a_document_that_is_not_there_is_told_and_found_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_DELAY_SECONDS", 0.2)
    api, heard = Api(tmp_path), Heard()
    try:
        async with opening(HttpApi(url=api.url, operations=("order",)), heard=heard) as shop:
            sentence = (
                f"spec.http.openapi: the document at {api.url} cannot be read: "
                "nobody listens there; start what serves it, or correct spec.http.openapi.url"
            )
            await until(lambda: shop.why_not() == heard.problem == sentence)
            with pytest.raises(ToolFailure, match="cannot be read"):
                await shop.call("order", {}, "k")
            api.start()
            await until(lambda: heard.names == ["order"])
            assert shop.why_not() is None
    finally:
        api.kill()


@pytest.mark.parametrize(
    ("path", "operation", "problem"),
    [
        ("/nothing", "x",
         "spec.http.openapi: the document at {url} cannot be read: 404 is answered"),
        ("/large?size=8388609", "x", "spec.http.openapi: the document at {url} is larger than"),
        ("/odd?kind=text/html&said=<html>", "x", ("spec.http.openapi: the document at {url} is no "
         "OpenAPI document: it has no field openapi")),
        ("/openapi.json", "get_wether", ("spec.http.operations names get_wether, but the document "
         "at {url} has away, busy, circle, die, echo, forget, get_weather, large, …")),
    ],
    ids=["missing", "too large", "no document", "unknown operation"],
)  # fmt: skip
async def test_a_bad_document_is_told_and_the_tool_lives(
    api: Api, path: str, operation: str, problem: str
) -> None:
    heard, url = Heard(), f"{api.origin}{path}"
    async with opening(HttpApi(url=url, operations=(operation,)), heard=heard) as odd:
        await until(lambda: heard.problem is not None)
        assert (heard.problem or "").startswith(problem.format(url=url))
        assert odd.why_not() == heard.problem
        with pytest.raises(ToolFailure, match=r"spec\.http\.op"):
            await odd.call(operation, {}, "k")


async def test_a_document_in_a_file_is_read_again_when_it_changes(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LOOK_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(http, "LONGEST_DELAY_SECONDS", 0.1)
    file, heard = tmp_path / "openapi.yaml", Heard()
    given = document(
        {"operationId": "weather", "parameters": [parameter("city", "path")]},
        path="/weather/{city}/now",
    )
    settings = HttpApi(path=str(file))
    async with opening(settings, heard=heard) as weather:
        await until(lambda: "there is no key openapi.yaml" in (heard.problem or ""))
        file.write_text(json.dumps(given))
        await until(lambda: "relative to a document that has no address" in (heard.problem or ""))
        file.write_text(json.dumps({**given, "servers": [{"url": api.origin}]}))
        await until(lambda: heard.names == ["weather"])
        assert (await weather.call("weather", {"city": "Wien"}, "k"))["city"] == "Wien"


async def test_what_is_found_is_written_to_the_catalogue(api: Api) -> None:
    place = Place()
    wanted = HttpApi(url=api.url, operations=("order", "nothing"))
    async with opened(tool_config(http=wanted, revision="r1"), place.catalogue):
        async with asyncio.timeout(10):
            while (entry := await place.catalogue.get(functions_entry(ADD))) is None:
                await asyncio.sleep(0.02)
    said = ToolFunctions.decode(entry.value)
    assert [function.name for function in said.functions] == ["order"]
    assert (said.tool, said.revision, said.is_known) == (ADD, "r1", True)
    assert (said.problem or "").startswith("spec.http.operations names nothing, but")
