"""Calls of agents over MCP: each is a run, which ends with whoever waits for it."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from mcp import McpError, types
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.shared.context import RequestContext
from starlette.requests import Request

from runtime.amf import sdk
from runtime.amf.asked import Asked
from runtime.amf.conversing import Before
from runtime.amf.desk import Desk, in_time
from runtime.amf.directory import Directory
from runtime.amf.errors import ApiError, NotFound, UnknownModel
from runtime.amf.intake import Intake
from runtime.amf.mcp_server.tools import ended, result, said, task_id, told, tool_of
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Event, Message, Options, Role
from runtime.contract.runs import RunRecord

SESSION = "mcp-session-id"

type Context = RequestContext[ServerSession, Any, Request]


class Calls:
    """What the SDK's server calls.

    A client that goes away cannot come back to its request, as the server keeps no streams: its run
    is cancelled, like one that it cancels.
    """

    def __init__(self, directory: Directory, server: Server[Any, Request]) -> None:
        self._directory = directory
        self._server = server
        server.request_handlers[types.ListToolsRequest] = self._list
        server.request_handlers[types.CallToolRequest] = self._call

    async def cancel(self, session: str, request: str | int) -> None:
        """End the run of a request of whoever asks, if there is one.

        Raises:
            OutOfReach: the queue does not answer.
        """
        user, desk = sdk.user_name(), await self._directory.desk()
        async with in_time():
            record = await desk.find(task_id(user, session, request))
            if record is not None:
                with contextlib.suppress(NotFound):
                    await desk.cancel(record.task.agent, record.task.id)

    async def _list(self, _request: types.ListToolsRequest) -> types.ServerResult:
        agents = [agent for agent in await self._directory.agents() if agent.accepting]
        return types.ServerResult(types.ListToolsResult(tools=[tool_of(one) for one in agents]))

    async def _call(self, request: types.CallToolRequest) -> types.ServerResult:
        try:
            agent = await self._directory.agent(request.params.name)
        except UnknownModel as error:
            raise invalid(error.message) from error
        text = said(request.params.arguments)
        if text is None:
            wrong = 'The arguments are {"input": "what to do, in words"}, and nothing else.'
            return types.ServerResult(result(wrong, is_error=True))
        try:
            return types.ServerResult(await self._run(agent, text))
        except ApiError as error:
            return types.ServerResult(result(error.message, is_error=True))

    async def _run(self, agent: AgentEntry, text: str) -> types.CallToolResult:
        desk, context = await self._directory.desk(), self._server.request_context
        progress = Progress(context)
        intake = Intake(
            asked=Asked(
                input=(Message(role=Role.USER, text=text),),
                options=Options(stream=progress.is_wanted),
            ),
            agent=agent,
            user=sdk.user_name(),
            task=await _new_task(desk, context),
        )
        intake.check(awaited=True)
        record = intake.record(desk, Before())
        with desk.follow(record.task, whole=not progress.is_wanted) as following:
            await desk.accept(record)
            async with _not_longer_than_wanted(desk, record):
                async for events in following.batches():
                    await progress.tell(events)
                return await _ended(desk, record)


class Progress:
    """Tells a client that wants it how far its request has come.

    Source:
        Model Context Protocol specification 2025-11-25, "Progress".
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._token = context.meta.progressToken if context.meta else None
        self._steps = 0

    @property
    def is_wanted(self) -> bool:
        """Whether the client has given a token for it."""
        return self._token is not None

    async def tell(self, events: Sequence[Event]) -> None:
        """Send what has happened, one notification a step; text that goes on is one step."""
        if self._token is None:
            return
        for step in told(events):
            self._steps += 1
            await self._context.session.send_progress_notification(
                self._token,
                self._steps,
                message=step,
                # As text: the SDK takes the id 0 for none, and then nobody reads it.
                related_request_id=str(self._context.request_id),
            )


def invalid(why: str) -> McpError:
    """The protocol's refusal of parameters."""
    return McpError(types.ErrorData(code=types.INVALID_PARAMS, message=why))


async def _new_task(desk: Desk, context: Context) -> str:
    """The id of the task that a request becomes, which whoever cancels the request knows too."""
    session = context.request.headers.get(SESSION) if context.request else None
    if session is None:
        return uuid.uuid4().hex
    task = task_id(sdk.user_name(), session, context.request_id)
    async with in_time():
        if await desk.find(task) is not None:
            raise invalid(f"The request id {context.request_id} was used before in this session.")
    return task


@contextlib.asynccontextmanager
async def _not_longer_than_wanted(desk: Desk, record: RunRecord) -> AsyncIterator[None]:
    """Cancel the run if nobody waits for it any more."""
    try:
        yield
    except BaseException:
        desk.beside(desk.cancel(record.task.agent, record.task.id))
        raise


async def _ended(desk: Desk, record: RunRecord) -> types.CallToolResult:
    async with in_time():
        found = await desk.record(record.task.agent, record.task.id)
    if found is None:
        raise NotFound(f"The run {record.task.id} is gone; somebody has deleted it.")
    if not found.state.is_end:  # it waits for people, who have no way to answer here
        desk.beside(desk.cancel(record.task.agent, record.task.id))
    return ended(found)
