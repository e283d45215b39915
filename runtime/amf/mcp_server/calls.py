"""Calls of agents over MCP: each is a run, which ends with whoever waits for it."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from mcp.types import CallToolResult, Tool

from runtime.amf import sdk
from runtime.amf.asked import Asked
from runtime.amf.conversing import Before
from runtime.amf.desk import Desk, in_time
from runtime.amf.directory import Directory
from runtime.amf.errors import ApiError, NotFound, UnknownModel
from runtime.amf.intake import Intake
from runtime.amf.mcp_server.sdk import Asking, Tell, invalid, result
from runtime.amf.mcp_server.tools import ended, said, task_id, told, tool_of
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Event, Message, Options, Role
from runtime.contract.runs import RunRecord


class Calls:
    """What the SDK's server asks for.

    A client that goes away cannot come back to its request, as the server keeps no streams: its run
    is cancelled, like one that it cancels.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

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

    async def tools(self) -> list[Tool]:
        """The agents that take tasks."""
        return [tool_of(one) for one in await self._directory.agents() if one.accepting]

    async def call(
        self, asking: Asking, name: str, arguments: dict[str, Any] | None
    ) -> CallToolResult:
        """Run an agent.

        Raises:
            McpError, MCPError: of the SDK; there is no such agent, or the request is a repetition.
        """
        try:
            agent = await self._directory.agent(name)
        except UnknownModel as error:
            raise invalid(error.message) from error
        text = said(arguments)
        if text is None:
            wrong = 'The arguments are {"input": "what to do, in words"}, and nothing else.'
            return result(wrong, is_error=True)
        try:
            return await self._run(asking, agent, text)
        except ApiError as error:
            return result(error.message, is_error=True)

    async def _run(self, asking: Asking, agent: AgentEntry, text: str) -> CallToolResult:
        desk, progress = await self._directory.desk(), Progress(asking.tell)
        intake = Intake(
            asked=Asked(
                input=(Message(role=Role.USER, text=text),),
                options=Options(stream=progress.is_wanted),
            ),
            agent=agent,
            caller=sdk.caller(),
            task=await _new_task(desk, asking),
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

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._steps = 0

    @property
    def is_wanted(self) -> bool:
        """Whether the client has asked for it."""
        return self._tell is not None

    async def tell(self, events: Sequence[Event]) -> None:
        """Send what has happened, one notification a step; text that goes on is one step."""
        if self._tell is None:
            return
        for step in told(events):
            self._steps += 1
            await self._tell(self._steps, step)


async def _new_task(desk: Desk, asking: Asking) -> str:
    """The id of the task that a request becomes, which whoever cancels the request knows too."""
    if asking.session is None:
        return uuid.uuid4().hex
    task = task_id(sdk.user_name(), asking.session, asking.request)
    async with in_time():
        if await desk.find(task) is not None:
            raise invalid(f"The request id {asking.request} was used before in this session.")
    return task


@contextlib.asynccontextmanager
async def _not_longer_than_wanted(desk: Desk, record: RunRecord) -> AsyncIterator[None]:
    """Cancel the run if nobody waits for it any more."""
    try:
        yield
    except BaseException:
        desk.beside(desk.cancel(record.task.agent, record.task.id))
        raise


async def _ended(desk: Desk, record: RunRecord) -> CallToolResult:
    async with in_time():
        found = await desk.record(record.task.agent, record.task.id)
    if found is None:
        raise NotFound(f"The run {record.task.id} is gone; somebody has deleted it.")
    if not found.state.is_end:  # it waits for people, who have no way to answer here
        desk.beside(desk.cancel(record.task.agent, record.task.id))
    return ended(found)
