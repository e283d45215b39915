"""The tools of an MCP server, over one session that is made again whenever it was lost.

Source:
    Model Context Protocol 2025-06-18: lifecycle, streamable HTTP, tools, `_meta`;
    draft-ietf-httpapi-idempotency-key-header-07.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, override

import httpx
from mcp import ClientSession, McpError, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.session import RequestResponder

from runtime.contract.agent_config import McpServer
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.errors import EffectUnknown
from runtime.tools.executor import Say
from runtime.tools.mcp_met import Met
from runtime.tools.port import ToolFailure
from runtime.worker.stopping import is_stopping

log = logging.getLogger(__name__)

type FromServer = (
    RequestResponder[types.ServerRequest, types.ClientResult] | types.ServerNotification | Exception
)

SESSION_SECONDS = 5.0
# Shorter, so that who takes no connection and who gives no answer are told apart.
CONNECT_SECONDS = 4.0
# Longer, so that whoever calls hears what came of the attempt that is under way.
WAIT_SECONDS = 6.0
FAREWELL_SECONDS = 2.0
LIST_AGAIN_SECONDS = 15.0
LIST_AT_MOST_EVERY_SECONDS = 1.0  # a server that says at each look that its list has changed
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
TERMINATED = "Session terminated"
KEY_FIELD = "k8gentai.dev/idempotency-key"
KEY_HEADER = "Idempotency-Key"


class McpTool:
    """An `Executor` of the tools that an MCP server offers."""

    def __init__(self, server: McpServer, say: Say) -> None:
        self.functions: tuple[FunctionSpec, ...] = ()
        self._server = server
        self._say = say
        self._session: asyncio.Future[_Session] = asyncio.get_running_loop().create_future()
        self._failures = 0
        self._list_again = asyncio.Event()
        self._problem: str | None = f"the MCP server at {server.url} was not asked yet"
        self._met = Met()

    def why_not(self) -> str | None:
        """Why nothing can be called right now, in one sentence."""
        return self._problem

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a session for as long as the body runs."""
        keeping = asyncio.create_task(self._keep(), name=f"MCP session with {self._server.url}")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def call(self, function: str, arguments: dict[str, Any], key: str) -> Any:
        """Ask for one tool: its text, or its structured content if it has no text.

        The server finds `key` in the request's `_meta`, under `KEY_FIELD`, and in the header
        `Idempotency-Key`.

        Raises:
            EffectUnknown: the connection was lost in the middle.
            ToolFailure: the server is out of reach, or says that it did not work out.
        """
        for _ in range(2):
            session = await self._connected()
            if function not in {spec.name for spec in self.functions}:
                raise ToolFailure(f"the MCP server at {self._server.url} has no tool {function}")
            result = await session.ask(function, arguments, key)
            if result is not None:
                return _value(function, result)
            self._lose(session)  # it does not know us any more, so nothing has happened
        raise ToolFailure(f"the MCP server at {self._server.url} ends each session at once")

    async def _connected(self) -> "_Session":
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asyncio.shield(self._session)
        except TimeoutError as error:
            raise ToolFailure(self._problem or self._why_not(error)) from error

    def _lose(self, session: "_Session") -> None:
        """Let everybody wait for the next session."""
        session.lost.set()
        if self._session.done() and self._session.result() is session:
            self._session = asyncio.get_running_loop().create_future()

    async def _keep(self) -> None:
        while True:
            try:
                await self._one_session()
            except Exception as error:  # noqa: BLE001  # whatever the SDK met, try again
                self._problem = self._why_not(error)
                log.warning(self._problem)
                await self._say(self.functions, self._problem)
            if is_stopping():  # which the SDK may take for the end of its connection
                return
            delay = FIRST_DELAY_SECONDS * 2.0 ** min(self._failures, 10)
            self._failures += 1
            await asyncio.sleep(min(delay, LONGEST_DELAY_SECONDS))

    async def _one_session(self) -> None:
        """Connect, say what is offered, and stay until the session is lost."""
        session = _Session()
        self._met = Met()
        careful = _Careful(lambda: self._lose(session), self._met)
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        try:
            async with (
                httpx.AsyncClient(transport=careful, timeout=timeout) as http,
                streamable_http_client(self._server.url, http_client=http) as (read, write, _),
                ClientSession(read, write, message_handler=self._on_message) as client,
            ):
                async with asyncio.timeout(SESSION_SECONDS):
                    await client.initialize()
                    await self._list(client)
                session.client = client
                self._session.set_result(session)
                self._failures = 0
                await self._stay(session)
        finally:
            self._lose(session)

    async def _stay(self, session: "_Session") -> None:
        """Look again when the server says so, and now and then, since many never do."""
        while not session.lost.is_set():
            waits = [
                asyncio.create_task(session.lost.wait()),
                asyncio.create_task(self._list_again.wait()),
            ]
            try:
                await asyncio.wait(
                    waits, timeout=LIST_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                for wait in waits:
                    wait.cancel()
            self._list_again.clear()
            if not session.lost.is_set():
                async with asyncio.timeout(SESSION_SECONDS):
                    await self._list(session.client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(session.lost.wait(), LIST_AT_MOST_EVERY_SECONDS)

    async def _list(self, client: ClientSession) -> None:
        """Ask what is offered, and say so."""
        found: list[types.Tool] = []
        page: types.ListToolsResult | None = None
        while page is None or page.nextCursor:
            cursor = None if page is None else page.nextCursor
            page = await client.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            found += page.tools
        wanted = self._server.tools
        self.functions = tuple(
            _spec(tool) for tool in found if wanted is None or tool.name in wanted
        )
        self._problem = self._missing({tool.name for tool in found})
        await self._say(self.functions, self._problem)

    def _missing(self, offered: set[str]) -> str | None:
        missing = sorted(set(self._server.tools or ()) - offered)
        if not missing:
            return None
        return (
            f"spec.mcp.tools names {', '.join(missing)}, but the MCP server at {self._server.url} "
            f"offers {', '.join(sorted(offered)) or 'nothing'}"
        )

    async def _on_message(self, message: FromServer) -> None:
        if isinstance(message, Exception):
            self._met.nonsense()
        if isinstance(message, types.ServerNotification) and isinstance(
            message.root, types.ToolListChangedNotification
        ):
            self._list_again.set()

    def _why_not(self, error: BaseException) -> str:
        return f"the MCP server at {self._server.url} {self._met.why_not(error)}"


class _Session:
    """One session for as long as it lasts."""

    client: ClientSession

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    async def ask(
        self, function: str, arguments: dict[str, Any], key: str
    ) -> types.CallToolResult | None:
        """What the tool said; None if the server refused to know this session.

        Raises:
            EffectUnknown: the session was lost in the middle.
            ToolFailure: the server answered with an error.
        """
        asking = asyncio.create_task(
            self.client.call_tool(function, arguments, meta={KEY_FIELD: key})
        )
        losing = asyncio.create_task(self.lost.wait())
        try:
            await asyncio.wait({asking, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise EffectUnknown(f"the MCP server was lost while it ran {function}")
            return asking.result()
        except McpError as error:
            if error.error.message == TERMINATED:
                return None
            if error.error.code == types.CONNECTION_CLOSED:
                raise EffectUnknown(f"the MCP server was lost while it ran {function}") from error
            raise ToolFailure(f"{function} failed: {error.error.message}") from error
        except RuntimeError as error:  # its structured content breaks its own schema
            raise ToolFailure(f"{function} failed: {error}") from error
        finally:
            asking.cancel()
            losing.cancel()


class _Careful(httpx.AsyncHTTPTransport):
    """Sees what the SDK would miss.

    A request that found nobody to connect to would take the session down, with every call under
    way: it gets what a server says that has forgotten the session. An answer that breaks off would
    be waited for without end: the session is told. The key of a call is in its body alone; whoever
    stands before the server gets to know it by a header.
    """

    def __init__(self, on_broken: Callable[[], None], met: Met) -> None:
        super().__init__()
        self._on_broken = on_broken
        self._met = met

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":  # a farewell, on the way out
            request.extensions["timeout"] = httpx.Timeout(FAREWELL_SECONDS).as_dict()
        if request.method == "POST" and (key := _key_in(request.content)) is not None:
            request.headers[KEY_HEADER] = f'"{key}"'
        try:
            response = await super().handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._met.nobody(error)
            return httpx.Response(httpx.codes.NOT_FOUND, request=request)
        if request.method == "POST":
            self._met.answer(response)
        if request.method == "POST" and isinstance(response.stream, httpx.AsyncByteStream):
            endless = response.headers.get("content-type", "").startswith("text/event-stream")
            response.stream = _Watched(response.stream, self._on_broken, endless=endless)
        return response


class _Watched(httpx.AsyncByteStream):
    """The body of an answer; `endless`: whoever reads it closes it as soon as it has the answer."""

    def __init__(
        self, body: httpx.AsyncByteStream, on_broken: Callable[[], None], *, endless: bool
    ) -> None:
        self._body = body
        self._on_broken = on_broken
        self._endless = endless

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._body:
                yield chunk
        except httpx.TransportError:
            self._on_broken()
            raise
        if self._endless:
            self._on_broken()

    @override
    async def aclose(self) -> None:
        await self._body.aclose()


def _key_in(content: bytes) -> str | None:
    """The key of the call that this message of JSON-RPC makes, None if it makes none."""
    if KEY_FIELD.encode() not in content:
        return None
    message = types.JSONRPCMessage.model_validate_json(content).root
    params = getattr(message, "params", None) or {}
    key = (params.get("_meta") or {}).get(KEY_FIELD)
    return None if key is None else str(key)


def _spec(tool: types.Tool) -> FunctionSpec:
    return FunctionSpec(
        name=tool.name, description=tool.description or "", input_schema=tool.inputSchema
    )


def _value(function: str, result: types.CallToolResult) -> Any:
    texts = [part.text for part in result.content if isinstance(part, types.TextContent)]
    if result.isError:
        raise ToolFailure("\n".join(texts) or f"{function} failed without a word")
    if len(texts) == len(result.content) and texts:
        return "\n".join(texts)
    if not result.content:
        return result.structuredContent
    return [part.model_dump(mode="json", exclude_none=True) for part in result.content]
