"""The Responses API: agents answer over the queue, every other model as without us.

Source:
    llama-stack-api 0.7.3 and ogx-api 1.5.0, `responses/api.py`. A finished HTTP response is handed
    on untouched by its routes (FastAPI), which spares the server from serialising what is JSON
    already.
"""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from starlette.responses import Response

from runtime.amf import sdk
from runtime.amf.asked import Asked, asked
from runtime.amf.conversing import Conversing
from runtime.amf.decisions import decides, decisions
from runtime.amf.desk import Desk
from runtime.amf.door import idempotency_key, starting_after
from runtime.amf.elsewhere import Elsewhere, unknown_model
from runtime.amf.errors import BadRequest, NotDone
from runtime.amf.giving import decide, give
from runtime.amf.intake import Intake, digest_of
from runtime.amf.items import Wire
from runtime.amf.kept_runs import KeptRuns
from runtime.amf.known import is_agent_name
from runtime.amf.outputs import gives_outputs, outputs
from runtime.amf.relay import Following
from runtime.amf.reply import frames, recalled, response_object, whole
from runtime.amf.response_id import ResponseId
from runtime.amf.sequence import with_handovers
from runtime.amf.server_items import ServerItems
from runtime.amf.shared import SharedDesk
from runtime.amf.stream import EventStream, OnLeft
from runtime.amf.visible import visible
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Event
from runtime.contract.runs import RunRecord

type Joining = AbstractAsyncContextManager[Following]


class AmfResponses:
    """The provider of the Responses API.

    Units:
        `heartbeat_seconds`: see `config.AmfConfig`.
    """

    def __init__(
        self,
        shared: SharedDesk,
        items: ServerItems,
        elsewhere: Elsewhere,
        *,
        heartbeat_seconds: float,
    ) -> None:
        self.shared = shared
        self.heartbeat_seconds = heartbeat_seconds
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
        agent = await _agent(desk, request.model)
        key = idempotency_key()
        if agent is None:
            _refuse(key, "Only agents know an Idempotency-Key; leave it out for other models.")
            return await self._elsewhere.create(request, _names(desk))
        if decides(request):
            _refuse(key, "A decision is taken once in any case; leave Idempotency-Key out.")
            return await self._decide(desk, agent, request)
        if gives_outputs(request.input):
            _refuse(key, "Outputs are taken once in any case; leave Idempotency-Key out.")
            return await self._give(desk, agent, request)
        intake = Intake(asked=asked(request), agent=agent, caller=sdk.caller())
        if key is not None:
            intake = await intake.claimed(desk, key, digest_of("responses", request))
            if (record := await desk.earlier(agent.agent, intake.task)) is not None:
                return await self._again(desk, record, intake.asked)
        return await self._begin(desk, intake)

    async def check_model(self, model: str) -> None:
        """Refuse what is neither an Agent of the Stack nor one of its models.

        Raises:
            UnknownModel: the message lists what there is.
            OutOfReach: the agents are not known yet.
        """
        desk = await self.shared.get()
        if await _agent(desk, model) is None:
            await self._elsewhere.check(model, _names(desk))

    async def get_openai_response(self, request: Any) -> Any:
        """A response as it stands, or its events, from whichever on."""
        after = starting_after()
        if (name := ResponseId.read(request.response_id)) is None:
            if after is not None:
                raise BadRequest("Only agents stream a response again.", param="stream")
            return await self._elsewhere.get(request)
        kept = await self._kept()
        if after is None:
            return json_response(await kept.response(name))
        desk = await self.shared.get()
        return await self._answering(desk, await kept.record(name), name.part).rejoined(after)

    async def cancel_openai_response(self, request: Any) -> Any:
        """Ask for the end of a run, and wait a little for it."""
        if (name := ResponseId.read(request.response_id)) is None:
            return await self._elsewhere.cancel(request)
        return json_response(await (await self._kept()).cancel(name))

    async def delete_openai_response(self, request: Any) -> Any:
        """Erase a run that has ended."""
        if (name := ResponseId.read(request.response_id)) is None:
            return await self._elsewhere.delete(request)
        conversing = Conversing(await self.shared.get(), self._items)
        return json_response(await (await self._kept()).delete(name, conversing))

    async def list_openai_response_input_items(self, request: Any) -> Any:
        """What a run was given."""
        if request.include:
            raise BadRequest("Nothing more is kept of items; leave include out.", param="include")
        if (name := ResponseId.read(request.response_id)) is None:
            return await self._elsewhere.input_items(request)
        return json_response(await (await self._kept()).input_items(name, request))

    async def list_openai_responses(self, request: Any) -> Any:
        """The user's responses of agents, or those of one model, whatever it is."""
        desk, name = await self.shared.get(), request.model
        if name is not None and not is_agent_name(name):
            return await self._elsewhere.listed(request)
        agent = None if name is None else await desk.agent(name, sdk.caller())
        if name is not None and agent is None:
            raise unknown_model(name, _names(desk), ())
        kept = await self._kept()
        return json_response(await kept.listed(request, None if agent is None else agent.agent))

    async def _begin(self, desk: Desk, intake: Intake) -> Any:
        conversing = Conversing(desk, self._items)
        with intake.refusing(desk):
            before = await conversing.before(
                intake.asked, intake.agent, user=intake.user, task=intake.task, now=intake.now
            )
        record = intake.record(desk, before)
        answering = Answering(desk, conversing, record)
        if intake.asked.options.stream:
            return await answering.streamed(desk.accepting(record, whole=False))
        if intake.asked.background:
            await desk.accept(record)
            return json_response(response_object(record))
        return await answering.whole(desk.accepting(record, whole=True))

    async def _again(self, desk: Desk, record: RunRecord, asked: Asked) -> Any:
        """Answer a request whose run is there already as if it had come first."""
        if asked.options.stream:
            return await self._answering(desk, record).rejoined(-1)
        return await self._rejoining(desk, record, 0, background=asked.background)

    async def _give(self, desk: Desk, agent: AgentEntry, request: Any) -> Any:
        """Let a run go on with what its client gives, and answer as the request wants it."""
        made = outputs(request)
        record, part = await give(desk, agent, made, sdk.user_name())
        if made.options.stream:
            joining = desk.rejoin(record, whole=False, part=part)
            return await self._answering(desk, record, part).streamed(joining)
        return await self._rejoining(desk, record, part, background=made.background)

    async def _rejoining(
        self, desk: Desk, record: RunRecord, part: int, *, background: bool
    ) -> Response:
        """The response number `part` of a run, when it has ended or as it stands."""
        if background:
            return json_response(await KeptRuns(desk, record.task.user).shown(record, part))
        joining = desk.rejoin(record, whole=True, part=part)
        return await self._answering(desk, record, part).whole(joining)

    async def compact_openai_response(self, request: Any) -> Any:
        """Make shorter what was said to a model that is no agent; OGX alone has a route for it.

        Raises:
            BadRequest: it is nobody.
            NotDone: it is an agent.
        """
        if not request.model:
            raise BadRequest("model has to be the name of a model.", param="model")
        desk = await self.shared.get()
        if await _agent(desk, request.model) is not None:
            raise NotDone(
                f"{request.model} is an agent, which is told the newest of what was said; go on "
                "with previous_response_id or a conversation.",
                param="model",
            )
        return await self._elsewhere.compact(request, _names(desk))

    async def _decide(self, desk: Desk, agent: AgentEntry, request: Any) -> Any:
        """Let a run go on that a person has decided on, and answer as the request wants it."""
        user = sdk.user_name()
        asking = ResponseId.read(request.previous_response_id or "")
        made = decisions(request, asking.task if asking else None, agent.agent)
        # Read while nothing is added: once it is decided, the run goes on at any moment.
        published = await KeptRuns(desk, user).told(made.task)
        record = await decide(desk, made, user)
        if not made.stream and (record.is_asking or made.background):
            return json_response(recalled(record, published, record.part))
        answering = self._answering(desk, record, record.part)
        joining = answering.going_on(published, whole=not made.stream)
        return await (answering.streamed(joining) if made.stream else answering.whole(joining))

    def _answering(self, desk: Desk, record: RunRecord, part: int = 0) -> "Answering":
        return Answering(desk, Conversing(desk, self._items), record, part)

    async def _kept(self) -> KeptRuns:
        return KeptRuns(await self.shared.get(), sdk.user_name())


class Answering:
    """One response of a run, from when that is accepted, goes on or is joined, to HTTP."""

    def __init__(
        self, desk: Desk, conversing: Conversing, record: RunRecord, part: int = 0
    ) -> None:
        self._part = part
        self._desk = desk
        self._conversing = conversing
        self._record = record

    @contextlib.asynccontextmanager
    async def going_on(self, published: list[Event], *, whole: bool) -> AsyncIterator[Following]:
        """The run, with what was `published` before somebody decided on it."""
        with self._desk.follow(self._record.task, whole=whole, part=self._part) as following:
            published = with_handovers(published, self._record)
            following.recall(published, answered=self._record.answered_attempt)
            yield following

    async def whole(self, joining: Joining) -> Response:
        """The response, when the run has ended."""
        async with joining as following:
            return json_response(await whole(self._record, following, self._at_end))

    async def streamed(self, joining: Joining) -> EventStream:
        """The response as it comes; who goes away and cannot come back wants it no more."""
        return await self._stream(joining, self._left, after=-1)

    async def rejoined(self, after: int) -> EventStream:
        """The events behind number `after`; the run does not depend on who reads them again."""
        joining = self._desk.rejoin(self._record, whole=False, part=self._part, after=after)
        return await self._stream(joining, _nothing, after=after)

    async def _stream(self, joining: Joining, on_left: OnLeft, *, after: int) -> EventStream:
        async with contextlib.AsyncExitStack() as stack:
            following = await stack.enter_async_context(joining)
            kept = stack.pop_all()
        told = frames(self._record, following, self._at_end, after=after)
        return EventStream(told, on_left, lambda: self._desk.beside(kept.aclose()))

    async def _at_end(self) -> None:
        await self._conversing.leave(self._record)

    async def _left(self) -> None:
        asked, task = self._record.response_of(self._part), self._record.task
        if not asked.background and not self._record.may_be_asked_again(self._part):
            self._desk.beside(self._desk.cancel(task.agent, task.id))


async def _agent(desk: Desk, model: str) -> AgentEntry | None:
    """The agent that whoever asks calls so, None if it is none, or not for him."""
    return await desk.agent(model, sdk.caller()) if is_agent_name(model) else None


def _names(desk: Desk) -> list[str]:
    """The agents that there are for whoever asks, as clients call them."""
    return [entry.model for entry in visible(desk.agents.all, sdk.caller())]


def _refuse(key: str | None, why: str) -> None:
    if key is not None:
        raise BadRequest(why, param="Idempotency-Key")


async def _nothing() -> None:
    """Who reads a response again may go away: it is somebody else's, or kept."""


def json_response(body: Wire) -> Response:
    """`body` as it goes over the line."""
    return Response(orjson.dumps(body), media_type="application/json")
