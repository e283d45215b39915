"""The legacy agents API: what each of its routes does, for the user who asks."""

import asyncio
import contextlib
from collections.abc import Sequence

from starlette.responses import Response

from runtime.amf import sdk
from runtime.amf.desk import Desk, in_time
from runtime.amf.directory import Directory
from runtime.amf.errors import NotFound
from runtime.amf.items import Wire
from runtime.amf.legacy.bodies import (
    AgentConfig,
    CreateAgent,
    CreateSession,
    CreateTurn,
    ResumeTurn,
)
from runtime.amf.legacy.kept import KeptAgent, KeptSession, Shelf
from runtime.amf.legacy.steps import iso
from runtime.amf.legacy.toolgroups import Toolgroups
from runtime.amf.legacy.turns import Turns, agent_of
from runtime.amf.legacy.vectors import Embeddings, Vectors
from runtime.amf.responses import AmfResponses
from runtime.amf.shared import SharedDesk
from runtime.contract.keys import legacy_conversation
from runtime.contract.subjects import Bucket


class LegacyAgents:
    """The provider of the external API `agents`.

    Raises:
        NotFound: any method that is given an id: there is nothing, or it is somebody else's.
        OutOfReach: any method, when the queue does not answer.
    """

    def __init__(
        self,
        shared: SharedDesk,
        responses: AmfResponses,
        embeddings: Embeddings,
        directory: Directory,
    ) -> None:
        self._shared = shared
        self._responses = responses
        self._embeddings = embeddings
        self._directory = directory

    async def initialize(self) -> None:
        """Nothing: this runs in an event loop that is closed before the first request."""

    async def shutdown(self) -> None:
        """Close the desk; called in the loop that serves."""
        await self._shared.close()

    async def create_agent(self, body: CreateAgent) -> Wire:
        """Keep an agent.

        Raises:
            BadRequest: its config asks for what is not done.
        """
        desk = await self._shared.get()
        await agent_of(desk, self._responses, body.agent_config, sdk.caller())
        config = body.agent_config.model_dump(exclude_unset=True)
        return {"agent_id": await _shelf(desk).create_agent(config)}

    async def list_agents(self, start: int, limit: int | None) -> Wire:
        """A page of agents, the oldest first."""
        agents, has_more = await (await self._mine()).agents(start, limit)
        return _page([agent_wire(agent) for agent in agents], "/v1/agents", has_more=has_more)

    async def get_agent(self, agent: str) -> Wire:
        """An agent."""
        return agent_wire(await (await self._mine()).agent(agent))

    async def delete_agent(self, agent: str) -> None:
        """Take an agent away, with its sessions."""
        shelf = await self._mine()
        for session in (await shelf.agent(agent)).children:
            with contextlib.suppress(NotFound):  # it went in an earlier try
                await self.delete_session(agent, session)
        await shelf.delete(agent)

    async def delete_session(self, agent: str, session: str) -> None:
        """Take a session away, with its turns and what its runs were told of each other."""
        desk = await self._shared.get()
        shelf = _shelf(desk)
        await shelf.session(agent, session)
        async with in_time():
            await desk.conversations.erase(legacy_conversation(session), sdk.user_name())
        await shelf.delete(agent, session)

    async def create_session(self, agent: str, body: CreateSession) -> Wire:
        """Keep a session of an agent."""
        shelf = await self._mine()
        await shelf.agent(agent)
        return {"session_id": await shelf.create_session(agent, body.session_name)}

    async def list_sessions(self, agent: str, start: int, limit: int | None) -> Wire:
        """A page of the sessions of an agent, the oldest first, without their turns."""
        sessions, has_more = await (await self._mine()).sessions(agent, start, limit)
        told = [session_wire(session) for session in sessions]
        return _page(told, f"/v1/agents/{agent}/sessions", has_more=has_more)

    async def get_session(self, agent: str, session: str, turns: Sequence[str] | None) -> Wire:
        """A session with its turns, or with those that are named."""
        kept = await (await self._mine()).session(agent, session)
        mine = await self._turns(agent, session)
        told = await (mine.all() if turns is None else asyncio.gather(*map(mine.get, turns)))
        return session_wire(kept) | {"turns": told}

    async def create_turn(self, agent: str, session: str, body: CreateTurn) -> Response:
        """Answer a turn, whole or as a stream."""
        return await (await self._turns(agent, session)).create(body)

    async def resume_turn(self, agent: str, session: str, turn: str, body: ResumeTurn) -> Response:
        """Let a turn go on whose calls the client has made, whole or as a stream."""
        return await (await self._turns(agent, session)).resume(turn, body)

    async def get_turn(self, agent: str, session: str, turn: str) -> Wire:
        """A turn as far as it has come."""
        return await (await self._turns(agent, session)).get(turn)

    async def get_step(self, agent: str, session: str, turn: str, step: str) -> Wire:
        """A step of a turn."""
        for one in (await self.get_turn(agent, session, turn))["steps"]:
            if one["step_id"] == step:
                return {"step": one}
        raise NotFound(f"There is no step {step}.", param="step_id")

    async def toolgroups(self) -> Toolgroups:
        """The Tools of the Stack that agents of the user call.

        Raises:
            OutOfReach: they are not known yet.
        """
        desk = await self._shared.get()
        async with in_time():
            await asyncio.gather(desk.agents.read.wait(), desk.tools.read.wait())
        return Toolgroups(await self._directory.tools(), desk.stack.namespace)

    async def vectors(self) -> Vectors:
        """The vector databases of the user."""
        return self._vectors(await self._shared.get())

    def _vectors(self, desk: Desk) -> Vectors:
        store = desk.store(Bucket.CONVERSATIONS)
        return Vectors(store, self._embeddings, sdk.user_name())

    async def _mine(self) -> Shelf:
        return _shelf(await self._shared.get())

    async def _turns(self, agent: str, session: str) -> Turns:
        desk = await self._shared.get()
        return Turns(
            desk,
            self._responses,
            self._vectors(desk),
            sdk.caller(),
            agent=agent,
            session=session,
        )


def agent_wire(agent: KeptAgent) -> Wire:
    """An agent as old clients read it."""
    config = AgentConfig.model_validate(agent.config).model_dump(exclude_none=True)
    return {
        "agent_id": agent.id,
        "agent_config": config,
        "created_at": iso(agent.created),
    }


def session_wire(session: KeptSession) -> Wire:
    """A session as old clients read it, without its turns."""
    return {
        "session_id": session.id,
        "session_name": session.name,
        "started_at": iso(session.created),
    }


def _shelf(desk: Desk) -> Shelf:
    return Shelf(desk.store(Bucket.CONVERSATIONS), sdk.user_name())


def _page(data: Sequence[Wire], url: str, *, has_more: bool) -> Wire:
    return {"data": list(data), "has_more": has_more, "url": url}
