"""Turns under way: an Agent of the Stack runs, or a model answers, and how it ends is kept."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, override

import orjson
from starlette.responses import Response

from runtime.amf.chat import RunFailed
from runtime.amf.desk import Desk, in_time
from runtime.amf.errors import ApiError, NotFound
from runtime.amf.functions import check_names
from runtime.amf.giving import give
from runtime.amf.intake import Intake
from runtime.amf.items import Wire
from runtime.amf.known import is_agent_name
from runtime.amf.legacy.asked import asked_of_agent, check_config, check_turn, said
from runtime.amf.legacy.bodies import AgentConfig, CreateTurn, ResumeTurn
from runtime.amf.legacy.kept import KeptTurn, Shelf
from runtime.amf.legacy.models import answer_of, request_of
from runtime.amf.legacy.rag import QueryConfig, databases_of, query_result, retrieval_step
from runtime.amf.legacy.steps import Steps
from runtime.amf.legacy.text import text_of
from runtime.amf.legacy.told import Told, going_on, run_of
from runtime.amf.legacy.toolgroups import group_name
from runtime.amf.legacy.turn import (
    answered,
    brought_on,
    ended,
    items,
    needed_approvals,
    new_turn,
    newest,
    outputs_of,
    task_of_turn,
    wire,
)
from runtime.amf.legacy.values import Held, Overtaken
from runtime.amf.legacy.vectors import Vectors
from runtime.amf.responses import AmfResponses, json_response
from runtime.amf.stream import EventStream
from runtime.contract.access import User
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import legacy_conversation
from runtime.contract.messages import Event
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket
from runtime.state.conversations import HISTORY_BYTES
from runtime.transport.port import TransportError

ENDS = frozenset({"response.completed", "response.failed", "response.incomplete"})

type Begin = Callable[[], Awaitable[Told]]


class Turns:
    """The turns of one session of a user."""

    def __init__(
        self,
        desk: Desk,
        responses: AmfResponses,
        vectors: Vectors,
        caller: User,
        *,
        agent: str,
        session: str,
    ) -> None:
        self._desk = desk
        self._responses = responses
        self._vectors = vectors
        self._caller = caller
        self._user = caller.name
        self._at = (agent, session)
        self._shelf = Shelf(desk.store(Bucket.CONVERSATIONS), self._user)

    async def create(self, body: CreateTurn) -> Response:
        """Answer a turn, whole or as a stream.

        Raises:
            ApiError: it is refused; see `errors`.
        """
        config = await self._config()
        session = await self._shelf.session(*self._at)
        entry = await agent_of(self._desk, self._responses, config, self._caller)
        check_turn(body, tools_of(entry, self._desk))
        turn = await self._with_memory(config, body, new_turn(body, now=time.time()))
        if entry is not None:
            turn, begin = self._run(config, entry, body, turn)
        else:
            begin = await self._ask(config, session.children, turn)
        held = await self._shelf.create_turn(*self._at, turn)
        try:
            told = await begin()
        except ApiError:
            with contextlib.suppress(ApiError):  # the reason for the first one is to be told
                await self._shelf.delete(*self._at, turn.id)
            raise
        return await self._answer(held, turn, told, stream=bool(body.stream))

    async def resume(self, turn_id: str, body: ResumeTurn) -> Response:
        """Let a turn go on whose calls the client has made, whole or as a stream.

        Nothing is kept before it has come to something, so who resumes again does no harm.

        Raises:
            ApiError: it is refused; see `errors`.
        """
        config = await self._config()
        session = await self._shelf.session(*self._at)
        held = await self._shelf.turn(*self._at, turn_id)
        turn = answered(held.kept, body.tool_responses, now=time.time())
        if turn.task is not None:
            told = await self._going_on(config, body)
            return await self._answer(held, turn, told, stream=bool(body.stream))
        before = tuple(takewhile(lambda one: one != turn_id, session.children))
        told = await (await self._ask(config, before, turn))()
        return await self._answer(held, turn, told, stream=bool(body.stream))

    async def all(self) -> list[Wire]:
        """The turns of the session that did not fail, as far as they have come."""
        turns = await self._read((await self._shelf.session(*self._at)).children)
        return [wire(self._at[1], turn) for turn in turns if turn.failure is None]

    async def get(self, turn: str) -> Wire:
        """A turn as far as it has come.

        Raises:
            NotFound: there is none.
            RunFailed: it has failed.
        """
        found = await self._caught_up(turn)
        if found.failure is not None:
            raise RunFailed(found.failure)
        return wire(self._at[1], found)

    async def _config(self) -> AgentConfig:
        return AgentConfig.model_validate((await self._shelf.agent(self._at[0])).config)

    def _run(
        self, config: AgentConfig, entry: AgentEntry, body: CreateTurn, turn: KeptTurn
    ) -> tuple[KeptTurn, Begin]:
        """A turn as a run of an Agent, and how that begins."""
        conversation = legacy_conversation(self._at[1])
        asked = asked_of_agent(config, body, conversation=conversation, context=memory_of(turn))
        task = task_of_turn(turn.id)
        intake = Intake(asked=asked, agent=entry, caller=self._caller, task=task, now=turn.started)
        intake.check(awaited=True)
        check_names(asked.options.functions, self._desk.tools.functions_of(entry))
        return turn.model_copy(update={"task": task}), lambda: run_of(self._desk, intake)

    async def _going_on(self, config: AgentConfig, body: ResumeTurn) -> Told:
        """The run of a turn, which gets what the client gave."""
        entry = await agent_of(self._desk, self._responses, config, self._caller)
        if entry is None:
            raise NotFound(f"There is no Agent {config.model} any more.", param="turn_id")
        made = outputs_of(body)
        record, part = await give(self._desk, entry, made, self._user)
        return await going_on(self._desk, record, part, whole=not body.stream)

    async def _with_memory(self, config: AgentConfig, body: CreateTurn, turn: KeptTurn) -> KeptTurn:
        """A turn with what its vector databases have to say to it, if it names any."""
        databases = [
            *databases_of(config.toolgroups, "agent_config.toolgroups"),
            *databases_of(body.toolgroups, "toolgroups"),
        ]
        texts = [text for _, text in said(body)]
        if not databases or not texts:
            return turn
        asked, settings = texts[-1], QueryConfig()
        found = await self._vectors.search(databases, asked, settings.max_chunks)
        result = query_result(asked, found, settings)
        step = retrieval_step(turn.id, databases, result, now=time.time())
        return turn.model_copy(update={"steps": (step,)})

    async def _ask(self, config: AgentConfig, before: Sequence[str], turn: KeptTurn) -> Begin:
        """How a model is asked to go on with a turn, after what was said `before`."""
        said = [items(one) for one in await self._read(before) if one.ended and not one.failure]
        new = items(turn)
        told = [*newest(said, HISTORY_BYTES - len(str(new))), *new]
        request = request_of(config, told)
        return lambda: answer_of(self._responses, request)

    async def _answer(
        self, held: Held[KeptTurn], turn: KeptTurn, told: Told, *, stream: bool
    ) -> Response:
        payloads = self._payloads(held, turn, told)
        if stream:
            return TurnStream(payloads, told.left, told.close)
        last: Wire = {}
        try:
            async for batch in payloads:
                last = batch[-1]
        finally:
            told.close()
        if "error" in last:
            raise RunFailed(last["error"]["message"])
        return json_response(last["event"]["payload"]["turn"])

    async def _payloads(
        self, held: Held[KeptTurn], turn: KeptTurn, told: Told
    ) -> AsyncGenerator[list[Wire]]:
        """The events of a turn, or of what is left of it; the last one tells how it ended."""
        yield [event(payload) for payload in beginning(turn, resumed=held.kept.waits)]
        steps, has_ended = Steps(turn.id), False
        async with contextlib.aclosing(told.frames) as batches:
            async for batch in batches:
                events: list[Wire] = []
                for frame in batch:
                    has_ended = has_ended or frame["type"] in {"error", *ENDS}
                    if frame["type"] == "error":
                        events.append(failure(frame["message"]))
                    elif frame["type"] in ENDS:
                        events += map(event, steps.finish(time.time()))
                        events.append(await self._end(held, turn, frame["response"]))
                    else:
                        events += map(event, steps.take(frame, now=time.time()))
                if events:
                    yield events
        if not has_ended:
            yield [failure("The answer has broken off.")]

    async def _end(self, held: Held[KeptTurn], turn: KeptTurn, response: Wire) -> Wire:
        """Keep the end of a turn; the event that tells it."""
        if waiting := needed_approvals(response):
            return failure(
                f"The turn {turn.id} waits for a person: `k8gentai approve {waiting[0]}` agrees to "
                "what its tool is to do. Retrieve the turn after that."
            )
        kept = ended(turn, response, now=time.time())
        # A model can be asked again for what it could not do; a run has ended.
        if kept.failure is None or not held.kept.waits or kept.task is not None:
            kept = await self._keep(held, kept)
        if kept.failure is not None:
            return failure(kept.failure)
        kind = "turn_awaiting_input" if kept.waits else "turn_complete"
        return event({"event_type": kind, "turn": wire(self._at[1], kept)})

    async def _keep(self, held: Held[KeptTurn], kept: KeptTurn) -> KeptTurn:
        """Write what has become of a turn, unless somebody has: then it is as he says."""
        try:
            await self._shelf.write_turn(*self._at, held, kept)
        except Overtaken:
            return (await self._shelf.turn(*self._at, kept.id)).kept
        return kept

    async def _read(self, ids: Iterable[str]) -> list[KeptTurn]:
        """Those of the turns that are there: one may be listed and gone for a moment."""
        found = await asyncio.gather(*map(self._if_there, ids))
        return [turn for turn in found if turn is not None]

    async def _if_there(self, turn_id: str) -> KeptTurn | None:
        with contextlib.suppress(NotFound):
            return await self._caught_up(turn_id)
        return None

    async def _caught_up(self, turn_id: str) -> KeptTurn:
        """A turn, and its end by what its run says, if nobody has kept that."""
        held = await self._shelf.turn(*self._at, turn_id)
        turn = held.kept
        if turn.ended is not None or turn.task is None:
            return turn
        async with in_time():
            record = await self._desk.find(turn.task)
        if record is None:
            return turn
        now = brought_on(turn, record, await self._events(record))
        return turn if now == turn else await self._keep(held, now)

    async def _events(self, record: RunRecord) -> list[Event]:
        with contextlib.suppress(TransportError, TimeoutError):
            return await self._desk.kept.events(record.task)
        return []  # the record has the answer; what the tools did is missing


async def agent_of(
    desk: Desk, responses: Any, config: AgentConfig, caller: User
) -> AgentEntry | None:
    """The Agent of the Stack that an agent of `caller` is to be, None if a model is to answer.

    Raises:
        UnknownModel: there is neither.
        BadRequest: the config asks for what that one does not do.
        OutOfReach: the catalogue has not been read.
    """
    entry = await desk.agent(config.model, caller) if is_agent_name(config.model) else None
    if entry is None:
        await responses.check_model(config.model)
    check_config(config, tools_of(entry, desk))
    return entry


def tools_of(entry: AgentEntry | None, desk: Desk) -> list[str] | None:
    """The toolgroups that an Agent has by its spec; None if there is no Agent."""
    home = desk.stack.namespace
    return None if entry is None else [group_name(tool, home) for tool in entry.tools]


def beginning(turn: KeptTurn, *, resumed: bool) -> list[Wire]:
    """What is told first: that a turn starts, and what was found for it.

    Or, if it goes on, what the client's tools gave: the client has seen all that was before.
    """
    if resumed:
        return [step_payload("step_complete", turn.steps[-1])]
    payloads: list[Wire] = [{"event_type": "turn_start", "turn_id": turn.id}]
    for step in turn.steps:
        payloads += [step_payload("step_start", step), step_payload("step_complete", step)]
    return payloads


def step_payload(kind: str, step: Wire) -> Wire:
    """The event that a whole step starts, or that it is done."""
    at = {"event_type": kind, "step_type": step["step_type"], "step_id": step["step_id"]}
    return at | ({"metadata": {}} if kind == "step_start" else {"step_details": step})


def memory_of(turn: KeptTurn) -> str:
    """What was found for a turn."""
    return "".join(text_of(step["inserted_context"], "inserted_context") for step in turn.steps)


def event(payload: Wire) -> Wire:
    """An event of a turn."""
    return {"event": {"payload": payload}}


def failure(message: str) -> Wire:
    """The last event of a turn that has no answer."""
    return {"error": {"message": message}}


class TurnStream(EventStream):
    """The events of a turn, sent as they come."""

    @override
    def encode(self, frames: list[Wire]) -> bytes:
        """Without their names: old clients read the data alone."""
        return b"".join(b"data: %b\n\n" % orjson.dumps(one) for one in frames)
