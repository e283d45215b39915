"""The routes of the legacy agents API, under `/v1` for clients up to 0.2 and `/v1alpha` for 0.3.

Source:
    llama-stack 0.3.5, `apis/agents/agents.py`; llama-stack-client 0.1.4, 0.2.23 and 0.3.5,
    `resources/agents` and `resources/alpha/agents`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from runtime.amf import sdk
from runtime.amf.legacy.agents import LegacyAgents
from runtime.amf.legacy.answers import (
    Agent,
    AgentMade,
    AgentPage,
    SessionMade,
    SessionPage,
    SessionWithTurns,
    StepTold,
    Turn,
    answers,
)
from runtime.amf.legacy.bodies import CreateAgent, CreateSession, CreateTurn, ResumeTurn
from runtime.amf.query import ONLY_KNOWN
from runtime.amf.responses import json_response

PREFIXES = ("/v1/agents", "/v1alpha/agents")
SESSION = "/{agent_id}/session/{session_id}"
TURN = f"{SESSION}/turn/{{turn_id}}"

TURN_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Turn,
        "description": "The turn; with `stream`, its events, the last of which has the turn.",
        "content": {"text/event-stream": {}},
    }
}

type Start = Annotated[int, Query(ge=0)]
type Limit = Annotated[int | None, Query(ge=1)]


def agents_router(agents: LegacyAgents) -> APIRouter:
    """Every route of agents, sessions, turns and steps."""
    router = APIRouter(
        tags=["Agents (legacy)"],
        responses=dict(sdk.STANDARD_RESPONSES),
        dependencies=[ONLY_KNOWN],
    )
    for prefix in PREFIXES:
        _add_agents(router, agents, prefix)
        _add_sessions(router, agents, prefix)
        _add_turns(router, agents, prefix)
    return router


def _add_agents(router: APIRouter, agents: LegacyAgents, prefix: str) -> None:
    @router.post(prefix, responses=answers(AgentMade))
    async def create_agent(body: CreateAgent) -> Response:
        """Keep an agent: a model, and how it is to answer."""
        return json_response(await agents.create_agent(body))

    @router.get(prefix, responses=answers(AgentPage))
    async def list_agents(start_index: Start = 0, limit: Limit = None) -> Response:
        """A page of the agents, the oldest first."""
        return json_response(await agents.list_agents(start_index, limit))

    @router.get(f"{prefix}/{{agent_id}}", responses=answers(Agent))
    async def get_agent(agent_id: str) -> Response:
        """An agent."""
        return json_response(await agents.get_agent(agent_id))

    @router.delete(f"{prefix}/{{agent_id}}", status_code=204)
    async def delete_agent(agent_id: str) -> None:
        """Delete an agent, with its sessions."""
        await agents.delete_agent(agent_id)


def _add_sessions(router: APIRouter, agents: LegacyAgents, prefix: str) -> None:
    @router.post(f"{prefix}/{{agent_id}}/session", responses=answers(SessionMade))
    async def create_session(agent_id: str, body: CreateSession) -> Response:
        """Begin a session with an agent."""
        return json_response(await agents.create_session(agent_id, body))

    @router.get(f"{prefix}/{{agent_id}}/sessions", responses=answers(SessionPage))
    async def list_sessions(agent_id: str, start_index: Start = 0, limit: Limit = None) -> Response:
        """A page of the sessions of an agent, the oldest first, without their turns."""
        return json_response(await agents.list_sessions(agent_id, start_index, limit))

    @router.get(f"{prefix}{SESSION}", responses=answers(SessionWithTurns))
    async def get_session(
        agent_id: str, session_id: str, turn_ids: Annotated[list[str] | None, Query()] = None
    ) -> Response:
        """A session with its turns, or with those that `turn_ids` names."""
        # The clients join them with commas.
        named = None if turn_ids is None else [one for ids in turn_ids for one in ids.split(",")]
        return json_response(await agents.get_session(agent_id, session_id, named))

    @router.delete(f"{prefix}{SESSION}", status_code=204)
    async def delete_session(agent_id: str, session_id: str) -> None:
        """Delete a session, with its turns."""
        await agents.delete_session(agent_id, session_id)


def _add_turns(router: APIRouter, agents: LegacyAgents, prefix: str) -> None:
    @router.post(f"{prefix}{SESSION}/turn", responses=TURN_ANSWER)
    async def create_turn(agent_id: str, session_id: str, body: CreateTurn) -> Response:
        """Ask the agent: a turn, whole or as a stream."""
        return await agents.create_turn(agent_id, session_id, body)

    @router.post(f"{prefix}{TURN}/resume", responses=TURN_ANSWER)
    async def resume_turn(
        agent_id: str, session_id: str, turn_id: str, body: ResumeTurn
    ) -> Response:
        """Let a turn go on whose calls the client has made, whole or as a stream."""
        return await agents.resume_turn(agent_id, session_id, turn_id, body)

    @router.get(f"{prefix}{TURN}", responses=answers(Turn))
    async def get_turn(agent_id: str, session_id: str, turn_id: str) -> Response:
        """A turn as far as it has come."""
        return json_response(await agents.get_turn(agent_id, session_id, turn_id))

    @router.get(f"{prefix}{TURN}/step/{{step_id}}", responses=answers(StepTold))
    async def get_step(agent_id: str, session_id: str, turn_id: str, step_id: str) -> Response:
        """A step of a turn."""
        return json_response(await agents.get_step(agent_id, session_id, turn_id, step_id))
