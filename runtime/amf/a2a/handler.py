"""The methods of A2A: each looks at run records and events, and keeps nothing."""

import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any, NoReturn, override

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler, validate_request_params
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
)
from a2a.utils.errors import (
    ExtendedAgentCardNotConfiguredError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    UnsupportedOperationError,
)
from a2a.utils.task import apply_history_length, validate_history_length

from runtime.amf.a2a.asked import asked, check_context, decisions
from runtime.amf.a2a.listing import Listing
from runtime.amf.a2a.tasks import task_of
from runtime.amf.a2a.updates import Update, Updates
from runtime.amf.a2a.visit import Visit
from runtime.amf.conversing import Conversing
from runtime.amf.desk import in_time
from runtime.amf.errors import NotFound
from runtime.amf.giving import decide
from runtime.amf.intake import Intake
from runtime.amf.items import Wire
from runtime.amf.kept_runs import LIST_SECONDS, KeptRuns
from runtime.amf.relay import WHOLE_RUN, Following
from runtime.amf.response_id import ResponseId
from runtime.contract.runs import RunRecord


class NoItems:
    """A conversation that A2A began has no items in the server; see `conversing.ServerItems`."""

    async def read(self, _conversation: str) -> list[Any]:
        """There are none."""
        return []

    async def add(self, conversation: str, items: list[Wire]) -> None:
        """Nobody reads them there."""

    async def remove(self, conversation: str, items: Iterable[str]) -> None:
        """There are none."""


class Tasks(RequestHandler):
    """What the SDK's dispatcher calls; the context of each call has its `Visit`.

    Raises:
        A2AError: any method, in place of an answer.
    """

    @override
    @validate_request_params
    async def on_message_send(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> Task | Message:
        visit = Visit.of(context)
        at_once = params.configuration.return_immediately
        with visit.refusing():
            # Who does not wait may read along later.
            async with _begun(visit, params, stream=at_once) as (begun, following):
                record = begun if at_once else await _waited_for(visit, begun, following)
        return apply_history_length(task_of(record), params.configuration)

    @override
    @validate_request_params
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task | Update]:
        visit = Visit.of(context)
        with visit.refusing():
            async with _begun(visit, params, stream=True) as (record, following):
                yield apply_history_length(task_of(record), params.configuration)
                async for update in _told(visit, record, following):
                    yield update

    @override
    @validate_request_params
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task | Update]:
        visit = Visit.of(context)
        with visit.refusing():
            record = await visit.record(params.id)
            if record.state.is_end:
                raise UnsupportedOperationError(
                    f"The task {params.id} has ended: nothing more comes of it; ask for the task."
                )
            if record.is_asking:
                yield task_of(record)
                return
            # A task is a run, whatever responses that has for clients of another API.
            joining = visit.desk.rejoin(record, whole=False, part=WHOLE_RUN)
            async with joining as following:
                yield task_of(record)
                async for update in _told(visit, record, following):
                    yield update

    @override
    @validate_request_params
    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task:
        validate_history_length(params)
        visit = Visit.of(context)
        with visit.refusing():
            record = await visit.record(params.id)
        return apply_history_length(task_of(record), params)

    @override
    @validate_request_params
    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task:
        visit = Visit.of(context)
        with visit.refusing():
            record = await visit.record(params.id)
            if record.state.is_end:
                raise TaskNotCancelableError(f"The task {params.id} has ended already.")
            await KeptRuns(visit.desk, visit.user).cancel(ResponseId(params.id, record.part))
            return task_of(await visit.record(params.id))

    @override
    @validate_request_params
    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        visit = Visit.of(context)
        listing = Listing(params, visit.user)
        with visit.refusing():
            async with in_time(LIST_SECONDS):
                async for record in visit.desk.runs(visit.agent.agent):
                    listing.add(record)
        return listing.response()

    async def _no_push(self, params: Any, context: Any) -> NoReturn:  # noqa: ARG002 - the SDK's names
        raise PushNotificationNotSupportedError(
            "Push notifications are not supported; read along, or ask for the task."
        )

    on_create_task_push_notification_config = _no_push
    on_get_task_push_notification_config = _no_push
    on_list_task_push_notification_configs = _no_push
    on_delete_task_push_notification_config = _no_push

    @override
    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        raise ExtendedAgentCardNotConfiguredError(
            "There is one card of each agent, the public one; see its capabilities."
        )


@contextlib.asynccontextmanager
async def _begun(
    visit: Visit, params: SendMessageRequest, *, stream: bool
) -> AsyncIterator[tuple[RunRecord, Following]]:
    """A run that begins, or goes on, with this message, and who hears of it."""
    if params.message.task_id:
        record = await _decided(visit, params, stream=stream)
        async with visit.desk.rejoin(record, whole=not stream) as following:
            yield record, following
    else:
        record = await _taken_in(visit, params, stream=stream)
        with visit.desk.follow(record.task, whole=not stream) as following:
            await visit.desk.accept(record)
            yield record, following


async def _taken_in(visit: Visit, params: SendMessageRequest, *, stream: bool) -> RunRecord:
    context = params.message.context_id or uuid.uuid4().hex
    check_context(context)
    wanted = asked(params, context, stream=stream)
    intake = Intake(asked=wanted, agent=visit.agent, caller=visit.caller)
    # Who reads along, or comes back, has the task before anything happens to it.
    intake.check(awaited=not stream)
    before = await Conversing(visit.desk, NoItems()).before(
        wanted, visit.agent, user=visit.user, task=intake.task, now=intake.now
    )
    return intake.record(visit.desk, before)


async def _decided(visit: Visit, params: SendMessageRequest, *, stream: bool) -> RunRecord:
    """The run that the message names, once what it waited for is decided."""
    message = params.message
    record = await visit.record(message.task_id)
    if message.context_id and message.context_id != record.task.conversation:
        raise UnsupportedOperationError(
            f"The task {message.task_id} does not belong to message.contextId; leave that out."
        )
    if not record.is_asking:
        why = "has ended" if record.state.is_end else "is at work and waits for nobody"
        raise UnsupportedOperationError(
            f"The task {message.task_id} {why}; leave message.taskId out to begin another one in "
            "its context."
        )
    return await decide(visit.desk, decisions(params, record, stream=stream), visit.user)


async def _told(visit: Visit, record: RunRecord, following: Following) -> AsyncIterator[Update]:
    """What is told of a run until it has ended, or waits for people."""
    updates = Updates(record.task)
    async for events in following.batches():
        for update in updates.of(events, now=time.time()):
            yield update
    for update in updates.last(await _last(visit, record)):
        yield update


async def _waited_for(visit: Visit, record: RunRecord, following: Following) -> RunRecord:
    async for _ in following.batches():
        pass
    return await _last(visit, record)


async def _last(visit: Visit, record: RunRecord) -> RunRecord:
    """The record of a run that has stopped; its conversation knows it then."""
    task = record.task
    async with in_time():
        found = await visit.desk.record(task.agent, task.id)
    if found is None:
        raise NotFound(f"The run {task.id} is gone; somebody has deleted it.")
    if found.state.is_end:
        await Conversing(visit.desk, NoItems()).leave(found)
    return found
