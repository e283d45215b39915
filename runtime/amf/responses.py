"""The Responses API: agents answer over the queue, every other model as without us.

Source:
    llama-stack-api 0.7.3, `responses/api.py`. A finished HTTP response is handed on untouched by
    its routes (FastAPI), which spares the server from serialising what is JSON already.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.responses import Response

from runtime.amf import sdk
from runtime.amf.asked import asked
from runtime.amf.conversing import Conversing
from runtime.amf.decisions import decides, decisions
from runtime.amf.desk import Desk
from runtime.amf.elsewhere import Elsewhere
from runtime.amf.intake import Intake
from runtime.amf.items import Wire
from runtime.amf.kept_runs import KeptRuns
from runtime.amf.known import is_agent_name
from runtime.amf.relay import Following
from runtime.amf.reply import frames, recalled, response_object, task_of, whole
from runtime.amf.shared import SharedDesk
from runtime.amf.stream import EventStream
from runtime.contract.catalogue import AgentEntry
from runtime.contract.runs import RunRecord

type Begin = Callable[[Following], Awaitable[None]]


class AmfResponses:
    """The provider of the Responses API."""

    def __init__(self, shared: SharedDesk, items: sdk.ServerItems, elsewhere: Elsewhere) -> None:
        self.shared = shared
        self._items = items
        self._elsewhere = elsewhere

    async def initialize(self) -> None:
        """Nothing: this runs in an event loop that is closed before the first request."""

    async def shutdown(self) -> None:
        """Close the desk; called in the loop that serves."""
        await self._elsewhere.shutdown()
        await self.shared.close()

    async def create_openai_response(self, request: Any) -> Any:
        """Answer a request, whole or as a stream.

        Raises:
            ApiError: it is refused; see `errors`.
        """
        desk = await self.shared.get()
        agent = await desk.agent(request.model) if is_agent_name(request.model) else None
        if agent is None:
            return await self._elsewhere.create(request, desk.agents.by_model)
        if decides(request):
            return await self._decide(desk, agent, request)
        intake = Intake(asked=asked(request), agent=agent, user=sdk.user_name())
        intake.check()
        conversing = Conversing(desk, self._items)
        before = await conversing.before(
            intake.asked, agent, user=intake.user, task=intake.task, now=intake.now
        )
        record = intake.record(desk, before)

        async def accept(_: Following) -> None:
            await desk.accept(record)

        answering = Answering(desk, conversing, record, accept)
        if intake.asked.options.stream:
            return await answering.streamed()
        if intake.asked.background:
            return await answering.later()
        return await answering.whole()

    async def check_model(self, model: str) -> None:
        """Refuse what is neither an Agent of the Stack nor one of its models.

        Raises:
            UnknownModel: the message lists what there is.
            OutOfReach: the agents are not known yet.
        """
        desk = await self.shared.get()
        if not is_agent_name(model) or await desk.agent(model) is None:
            await self._elsewhere.check(model, desk.agents.by_model)

    async def get_openai_response(self, request: Any) -> Any:
        """A response as it stands."""
        if (task := task_of(request.response_id)) is None:
            return await self._elsewhere.get(request)
        return json_response(await (await self._kept()).response(task))

    async def cancel_openai_response(self, request: Any) -> Any:
        """Ask for the end of a run, and wait a little for it."""
        if (task := task_of(request.response_id)) is None:
            return await self._elsewhere.cancel(request)
        return json_response(await (await self._kept()).cancel(task))

    async def delete_openai_response(self, request: Any) -> Any:
        """Forget a run that has ended."""
        if (task := task_of(request.response_id)) is None:
            return await self._elsewhere.delete(request)
        return json_response(await (await self._kept()).delete(task))

    async def list_openai_response_input_items(self, request: Any) -> Any:
        """What a run was given."""
        if (task := task_of(request.response_id)) is None:
            return await self._elsewhere.input_items(request)
        return json_response(await (await self._kept()).input_items(task, request))

    async def list_openai_responses(self, request: Any) -> Any:
        """The responses of a model that is no agent."""
        return await self._elsewhere.listed(request)

    async def _decide(self, desk: Desk, agent: AgentEntry, request: Any) -> Any:
        """Let a run go on that a person has decided on, and answer as the request wants it."""
        user = sdk.user_name()
        made = decisions(request, task_of(request.previous_response_id or ""), agent.agent)
        # Read while nothing is added: once it is decided, the run goes on at any moment.
        published = await KeptRuns(desk, user).told(made.task)
        record = await desk.decide(made, user)
        if not made.stream and (record.is_asking or made.background):
            return json_response(recalled(record, published))
        answered = record.attempt - 1 if record.is_asking else record.attempt

        async def go_on(following: Following) -> None:
            following.recall(published, answered=answered)

        answering = Answering(desk, Conversing(desk, self._items), record, go_on)
        return await (answering.streamed() if made.stream else answering.whole())

    async def _kept(self) -> KeptRuns:
        return KeptRuns(await self.shared.get(), sdk.user_name())


class Answering:
    """One run, from when it is accepted, or goes on, to the HTTP response.

    Shape:
        begin  accepts it, or lets whoever follows it know how far it has come.
    """

    def __init__(self, desk: Desk, conversing: Conversing, record: RunRecord, begin: Begin) -> None:
        self._desk = desk
        self._conversing = conversing
        self._record = record
        self._begin = begin

    async def whole(self) -> Response:
        """The response, when the run has ended."""
        with self._desk.follow(self._record.task, whole=True) as following:
            await self._begin(following)
            return json_response(await whole(self._record, following, self._at_end))

    async def later(self) -> Response:
        """The response as it stands; its client asks for it again."""
        await self._desk.accept(self._record)
        return json_response(response_object(self._record))

    async def streamed(self) -> EventStream:
        """The response as it comes; who goes away does not want it any more."""
        with contextlib.ExitStack() as stack:
            following = stack.enter_context(self._desk.follow(self._record.task, whole=False))
            await self._begin(following)
            kept = stack.pop_all()
        told = frames(self._record, following, self._at_end)
        return EventStream(told, self._left, kept.close)

    async def _at_end(self) -> None:
        await self._conversing.leave(self._record)

    async def _left(self) -> None:
        if not self._record.task.response.background:
            task = self._record.task
            self._desk.beside(self._desk.cancel(task.agent, task.id))


def json_response(body: Wire) -> Response:
    """`body` as it goes over the line."""
    return Response(orjson.dumps(body), media_type="application/json")
