"""Where A2A is served: `/a2a`, and `/a2a/<agent>` for each agent."""

from collections.abc import Iterable, Mapping
from typing import override

from a2a.compat.v0_3 import types as v03
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.server.routes.common import DefaultServerCallContextBuilder
from a2a.server.routes.jsonrpc_dispatcher import JsonRpcDispatcher
from a2a.types import AgentCard
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from runtime.amf import json_rpc, sdk
from runtime.amf.a2a.card import card_of
from runtime.amf.a2a.handler import Tasks
from runtime.amf.a2a.visit import KEY, Visit
from runtime.amf.body import body_limit, body_of, replayed
from runtime.amf.directory import Directory
from runtime.amf.malformed import malformed
from runtime.amf.presence import while_there
from runtime.contract.catalogue import AgentEntry, ToolEntry

OLD_CALLS: Mapping[str, type[BaseModel]] = {
    "message/send": v03.SendMessageRequest,
    "message/stream": v03.SendStreamingMessageRequest,
    "tasks/get": v03.GetTaskRequest,
    "tasks/cancel": v03.CancelTaskRequest,
    "tasks/resubscribe": v03.TaskResubscriptionRequest,
}
CARD = "/.well-known/agent-card.json"


class Visits(DefaultServerCallContextBuilder):
    """Gives each call of the SDK the visit that its request has brought along."""

    @override
    def build(self, request: Request) -> ServerCallContext:
        """The context of a call."""
        context = super().build(request)
        context.state[KEY] = getattr(request.state, KEY)
        return context


class A2aRoutes:
    """The routes; each asks the directory for its agent, who is unknown to whom may not use him."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._dispatcher = JsonRpcDispatcher(
            Tasks(), context_builder=Visits(), enable_v0_3_compat=True
        )

    def all(self) -> list[BaseRoute]:
        """Everything that is served."""
        return [
            Route("/a2a", self.cards, methods=["GET"]),
            Route("/a2a/{agent}", self.call, methods=["POST"]),
            Route("/a2a/{agent}" + CARD, self.card, methods=["GET"]),
        ]

    async def cards(self, request: Request) -> Response:
        """`{"agents": […]}`: the cards of all agents that whoever asks may use."""
        agents, tools = await self._directory.agents(), await self._directory.tools()
        cards = [agent_card_to_dict(_card(agent, tools, request)) for agent in agents]
        return JSONResponse({"agents": cards})

    async def card(self, request: Request) -> Response:
        """The card of one agent.

        Raises:
            UnknownModel: there is none.
        """
        agent = await self._directory.agent(request.path_params["agent"])
        card = _card(agent, await self._directory.tools(), request)
        return JSONResponse(agent_card_to_dict(card))

    async def call(self, request: Request) -> Response:
        """One call by JSON-RPC; a refusal has the HTTP status that fits as well.

        Raises:
            UnknownModel: there is no such agent.
            WrongType, TooLarge: this is no call.
        """
        agent = await self._directory.agent(request.path_params["agent"])
        body = await body_of(request, body_limit(agent.max_input_bytes))
        if (refused := wrong(body)) is not None:
            return JSONResponse(refused)
        visit = Visit(await self._directory.desk(), agent, sdk.caller())
        setattr(request.state, KEY, visit)
        read = Request(request.scope, replayed(body, request.receive))
        answering = self._dispatcher.handle_requests(read)
        response = await while_there(answering, request.receive)
        if visit.refusal is not None:
            response.status_code = visit.refusal.status_code
            response.headers.update(visit.refusal.headers or {})
        return response


def wrong(body: bytes) -> json_rpc.Message | None:
    """The answer to a body that is no call, None if the SDK can answer it.

    It checks the parameters of protocol 1.0 itself, and tells the field; those of 0.3 it does not.
    """
    message, refused = json_rpc.read(body)
    method = message.get("method")
    kind = OLD_CALLS.get(method) if isinstance(method, str) else None
    if refused is not None or kind is None:
        return refused
    try:
        kind.model_validate(message)
    except ValidationError as error:
        found = error.errors(include_url=False)
        refusal = malformed([{**one, "loc": ("body", *one["loc"])} for one in found], message)
        return json_rpc.refused(message, json_rpc.INVALID_PARAMS, refusal.message)
    return None


def _card(agent: AgentEntry, tools: Iterable[ToolEntry], request: Request) -> AgentCard:
    """The card, with the address under which the client has found it."""
    called = [one for one in tools if one.tool in agent.tools]
    callers = request.app.state.callers
    discovery = None if callers is None else callers.discovery
    return card_of(agent, called, f"{request.base_url}a2a/{agent.model}", discovery)
