"""The inference provider `agents`: it lists the agents as models, and lets one chat with them.

Source:
    llama-stack 0.7.3, `core/routing_tables/models.py`: the table of models hands itself to each
    provider as `model_store`.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from runtime.amf import sdk, sdk_health
from runtime.amf.asked import asked_in_chat
from runtime.amf.chat import Chunks, RunFailed, completion
from runtime.amf.config import AgentsConfig
from runtime.amf.conversing import Before
from runtime.amf.database import Refused, told_address, why_not_reached
from runtime.amf.desk import Desk
from runtime.amf.door import idempotency_key
from runtime.amf.elsewhere import unlisted_model
from runtime.amf.errors import BadRequest, NotDone
from runtime.amf.giving import give
from runtime.amf.intake import Intake, digest_of
from runtime.amf.items import Wire
from runtime.amf.known import PREFIX, KnownAgents
from runtime.amf.outputs import gives_outputs_in_chat, outputs_in_chat
from runtime.amf.relay import Following
from runtime.amf.reply import frames, response_object, whole
from runtime.amf.shared import SharedDesk, shared_desk
from runtime.contract.catalogue import AgentEntry
from runtime.contract.runs import RunRecord

log = logging.getLogger(__name__)

PROVIDER = PREFIX.rstrip("/")
RETRY_SECONDS = 1.0
HEALTH_SECONDS = 0.8  # the server waits a second for what a provider says of itself

type Joining = AbstractAsyncContextManager[Following]


class AgentsInference:
    """The provider.

    Shape:
        model_store  the server's table of models; the server sets it.
    """

    model_store: Any = None

    def __init__(self, shared: SharedDesk) -> None:
        self._shared = shared
        shared.with_desk(self._keep_listed)

    async def initialize(self) -> None:
        """Nothing: this runs in an event loop that is closed before the first request."""

    async def shutdown(self) -> None:
        """Close the desk; called in the loop that serves."""
        await self._shared.close()

    async def health(self) -> Any:
        """How the server's database is, if it has one; the Stack's status repeats it."""
        address = told_address(os.environ)
        if address is None:
            return sdk_health.health(None)
        try:
            return sdk_health.health(await why_not_reached(address, HEALTH_SECONDS))
        except Refused as error:
            return sdk_health.health(str(error))

    async def list_models(self) -> None:
        """Nothing: this provider puts its models into the table itself, one by one."""

    async def should_refresh_models(self) -> bool:
        """Never; see `list_models`."""
        return False

    async def register_model(self, model: Any) -> Any:
        """Any name is fine; whether there is such an agent shows when it is asked."""
        return model

    async def unregister_model(self, model_id: str) -> None:
        """Nothing is kept of it here."""

    async def openai_chat_completion(self, params: Any) -> Any:
        """Chat with an agent: one run, like any other.

        Raises:
            ApiError: it is refused; see `errors`.
        """
        desk = await self._shared.get()
        agent = await desk.agent(params.model)
        if agent is None:
            raise await unlisted_model(PREFIX + params.model, sdk.ServerModels(self.model_store))
        if gives_outputs_in_chat(params.messages):
            joined = await _giving(desk, agent, params)
        else:
            intake = Intake(asked=asked_in_chat(params), agent=agent, user=sdk.user_name())
            joined = await _joining(desk, intake, params)
        if not params.stream:
            return await _whole(desk, joined)
        with_usage = bool((params.stream_options or {}).get("include_usage"))
        return await _streamed(desk, joined, with_usage=with_usage)

    async def openai_completion(self, params: Any) -> Any:
        """Agents do not continue texts."""
        raise _not_done(params.model, "completions")

    async def openai_embeddings(self, params: Any) -> Any:
        """Agents do not embed texts."""
        raise _not_done(params.model, "embeddings")

    async def rerank(self, request: Any) -> Any:
        """Agents do not rank texts."""
        raise _not_done(request.model, "ranking")

    async def _keep_listed(self, desk: Desk) -> None:
        """Keep the server's list of models in step with the catalogue."""
        models = sdk.ServerModels(self.model_store)
        await desk.agents.read.wait()
        while True:
            desk.agents.changed.clear()
            try:
                await list_agents(models, desk.agents)
                desk.agents.listed.set()
            except Exception:
                log.exception("the list of models is behind")
                await asyncio.sleep(RETRY_SECONDS)
                desk.agents.changed.set()
            await desk.agents.changed.wait()


async def list_agents(models: sdk.ServerModels, agents: KnownAgents) -> None:
    """Bring the server's list of models in step with `agents`, and touch nothing that is."""
    wanted = {name: _about(agent) for name, agent in agents.by_model.items()}
    listed = await models.of(PROVIDER)
    for name in listed.keys() - wanted.keys():
        await models.remove(PROVIDER, name)
    for name, about in wanted.items():
        if name not in listed:
            await models.add(PROVIDER, name, about)
        elif listed[name] != about:
            await models.change(PROVIDER, name, about)


def _about(agent: AgentEntry) -> Wire:
    return {
        "namespace": agent.agent.namespace,
        "agent": agent.agent.name,
        "framework": agent.framework.value,
        "description": agent.description,
        "state": agent.state.value,
        "reason": agent.reason,
        "message": agent.message,
    }


@dataclass(frozen=True, slots=True)
class Joined:
    """The run of a request, which response of it is told, and how to hear that."""

    record: RunRecord
    joining: Joining
    part: int = 0


async def _joining(desk: Desk, intake: Intake, params: Any) -> Joined:
    """A new run, or that of the request's `Idempotency-Key`."""
    whole = not intake.asked.options.stream
    if (key := idempotency_key()) is not None:
        intake = await intake.claimed(desk, key, digest_of("chat", params))
        if (earlier := await desk.earlier(intake.agent.agent, intake.task)) is not None:
            return Joined(earlier, desk.rejoin(earlier, whole=whole))
    with intake.refusing(desk):
        record = intake.record(desk, Before())
    return Joined(record, desk.accepting(record, whole=whole))


async def _giving(desk: Desk, agent: AgentEntry, params: Any) -> Joined:
    """The run that waits for what the messages end with."""
    if idempotency_key() is not None:
        raise BadRequest(
            "Outputs are taken once in any case; leave Idempotency-Key out.",
            param="Idempotency-Key",
        )
    record, part = await give(desk, agent, outputs_in_chat(params), sdk.user_name())
    return Joined(record, desk.rejoin(record, whole=not params.stream, part=part), part)


async def _whole(desk: Desk, joined: Joined) -> Any:
    async with joined.joining as following:
        answer = await whole(joined.record, following, _nothing)
    try:
        return sdk.chat_completion(completion(answer))
    except RunFailed:
        # A run that waits for a person would wait for one who cannot find it.
        task = joined.record.task
        desk.beside(desk.cancel(task.agent, task.id))
        raise


async def _streamed(desk: Desk, joined: Joined, *, with_usage: bool) -> AsyncIterator[Any]:
    record = joined.record
    async with contextlib.AsyncExitStack() as stack:
        following = await stack.enter_async_context(joined.joining)
        kept = stack.pop_all()
    chunks = Chunks(response_object(record, joined.part), with_usage=with_usage)

    async def pieces() -> AsyncIterator[Any]:
        ended = False
        try:
            yield sdk.chat_chunk(chunks.first())
            async for events in frames(record, following, _nothing):
                for piece in chunks.of(events):
                    yield sdk.chat_chunk(piece)
            ended = True
        finally:
            desk.beside(kept.aclose())
            if not ended and not record.may_be_asked_again(joined.part):
                desk.beside(desk.cancel(record.task.agent, record.task.id))

    return pieces()


async def _nothing() -> None:
    """A chat is in no conversation."""


def _not_done(model: str, what: str) -> NotDone:
    return NotDone(f"{model} is an agent; agents do not do {what}.", param="model")


async def get_provider_impl(config: AgentsConfig, _deps: dict[Any, Any]) -> AgentsInference:
    """The provider of inference by agents."""
    return AgentsInference(shared_desk(config.stack))
