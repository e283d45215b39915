"""Agents, sessions and turns of the legacy agents API, in the bucket `conversations`.

Each has a key that begins with a digest of its user; agents list their sessions, and those their
turns.
"""

import asyncio
import contextlib
import time
import uuid
from typing import Any, Final

from runtime.amf.desk import in_time
from runtime.amf.errors import NotFound
from runtime.amf.items import Wire
from runtime.amf.legacy.values import (
    Change,
    Held,
    Listing,
    Values,
    with_child,
    without_child,
)
from runtime.contract.keys import legacy_key
from runtime.contract.value import Versioned
from runtime.transport.port import Store

WHAT: Final = ("agent", "session", "turn")


class KeptAgent(Listing):
    """An agent as its client made it; `config` is its `agent_config`, `children` its sessions."""

    id: str
    config: dict[str, Any]
    created: float


class KeptSession(Listing):
    """A session of an agent; `children` are its turns."""

    id: str
    name: str
    created: float


class KeptTurn(Versioned):
    """A turn of a session.

    Shape:
        messages  as the client sent them, and the `documents` that it sent with them.
        steps     what is done, as on the wire; `output` is the message that they came to.
        waits     the calls in `output` are to be made by the client.
        task      the run, of an Agent; its record and events say how far it is until it has ended.
        part      which response of the run comes next, or is the last one that was told.
        failure   why there is no answer, in a sentence.

    Units:
        `started`, `ended` in seconds since the epoch.
    """

    id: str
    messages: tuple[dict[str, Any], ...]
    documents: tuple[dict[str, Any], ...] = ()
    started: float
    ended: float | None = None
    steps: tuple[dict[str, Any], ...] = ()
    output: dict[str, Any] | None = None
    waits: bool = False
    task: str | None = None
    part: int = 0
    failure: str | None = None


def new_id() -> str:
    """An id that nobody has."""
    return str(uuid.uuid4())


class Shelf:
    """What one user has made.

    Raises:
        OutOfReach: any method, when the queue does not answer.
    """

    def __init__(self, store: Store, user: str) -> None:
        self._values = Values(store)
        self._user = user

    async def create_agent(self, config: Wire) -> str:
        """Keep an agent; gives its id."""
        agent = KeptAgent(id=new_id(), config=config, created=time.time())
        await self._add(agent, agent.id)
        return agent.id

    async def create_session(self, agent: str, name: str) -> str:
        """Keep a session of an agent that is there; gives its id."""
        session = KeptSession(id=new_id(), name=name, created=time.time())
        await self._add(session, agent, session.id)
        return session.id

    async def create_turn(self, agent: str, session: str, turn: KeptTurn) -> Held[KeptTurn]:
        """Keep a turn of a session that is there."""
        return await self._add(turn, agent, session, turn.id)

    async def agent(self, agent: str) -> KeptAgent:
        """An agent.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        return (await self._there(KeptAgent, agent)).kept

    async def session(self, agent: str, session: str) -> KeptSession:
        """A session of an agent.

        Raises:
            NotFound: see `agent`.
        """
        return (await self._there(KeptSession, agent, session)).kept

    async def turn(self, agent: str, session: str, turn: str) -> Held[KeptTurn]:
        """A turn of a session.

        Raises:
            NotFound: see `agent`.
        """
        return await self._there(KeptTurn, agent, session, turn)

    async def agents(self, start: int, limit: int | None) -> tuple[list[KeptAgent], bool]:
        """A page of the user's agents, the oldest first, and whether there are more."""
        return await self._page(KeptAgent, (), start, limit)

    async def sessions(
        self, agent: str, start: int, limit: int | None
    ) -> tuple[list[KeptSession], bool]:
        """A page of the sessions of an agent, the oldest first, and whether there are more.

        Raises:
            NotFound: see `agent`.
        """
        await self.agent(agent)
        return await self._page(KeptSession, (agent,), start, limit)

    async def write_turn(
        self, agent: str, session: str, held: Held[KeptTurn], turn: KeptTurn
    ) -> None:
        """Write what has become of a turn.

        Raises:
            Overtaken: somebody else has done that since it was read.
        """
        async with in_time():
            key = legacy_key(self._user, agent, session, turn.id)
            await self._values.update(key, held, turn)

    async def delete(self, *ids: str) -> None:
        """Take an agent, session or turn away, by the ids that lead to it, and all it lists.

        Raises:
            NotFound: see `agent`.
        """
        held = await self._there((KeptAgent, KeptSession, KeptTurn)[len(ids) - 1], *ids)
        for child in getattr(held.kept, "children", ()):
            with contextlib.suppress(NotFound):  # half of it went in an earlier try
                await self.delete(*ids, child)
        async with in_time():
            await self._values.delete(legacy_key(self._user, *ids), held)
            await self._relist(ids[:-1], without_child(ids[-1]))

    async def _add[Kept: Versioned](self, kept: Kept, *ids: str) -> Held[Kept]:
        async with in_time():
            held = await self._values.create(legacy_key(self._user, *ids), kept)
            await self._relist(ids[:-1], with_child(ids[-1]))
        return held

    async def _relist(self, parent: tuple[str, ...], change: Change) -> None:
        kind = (Listing, KeptAgent, KeptSession)[len(parent)]
        first = None if parent else Listing()
        await self._values.relist(kind, legacy_key(self._user, *parent), change, first=first)

    async def _page[Kept: Versioned](
        self, kind: type[Kept], parent: tuple[str, ...], start: int, limit: int | None
    ) -> tuple[list[Kept], bool]:
        async with in_time():
            held = await self._find((Listing, KeptAgent)[len(parent)], *parent)
            listed = held.kept.children if held else ()
            end = len(listed) if limit is None else start + limit
            found = await asyncio.gather(
                *(self._find(kind, *parent, one) for one in listed[start:end])
            )
        return [one.kept for one in found if one is not None], end < len(listed)

    async def _there[Kept: Versioned](self, kind: type[Kept], *ids: str) -> Held[Kept]:
        held = None
        async with in_time():
            with contextlib.suppress(ValueError):  # what is no id of ours leads to nothing
                held = await self._find(kind, *ids)
        if held is None:
            what = WHAT[len(ids) - 1]
            raise NotFound(f"There is no {what} {ids[-1]}.", param=f"{what}_id")
        return held

    async def _find[Kept: Versioned](self, kind: type[Kept], *ids: str) -> Held[Kept] | None:
        return await self._values.get(kind, legacy_key(self._user, *ids))
