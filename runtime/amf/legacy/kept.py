"""Agents, sessions and turns of the legacy agents API, in the bucket `conversations`.

Each is a value under a key that begins with its user. Whatever has children lists them, the oldest
first, and changes by compare-and-set; a child is written before it is listed, and taken away before
it is taken from the list. So a crash in between leaves at most something that nobody lists.
"""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from runtime.amf.desk import QUEUE_SECONDS, out_of_reach
from runtime.amf.errors import NotFound
from runtime.amf.items import Wire
from runtime.contract.messages import Versioned
from runtime.contract.subjects import legacy_key, legacy_part
from runtime.contract.value import Value
from runtime.state.parts import joined, put_parts, split
from runtime.transport.port import KeyExists, RevisionConflict, Store, TransportError

LISTED: Final = 10_000
"""Children that are listed, the newest; older ones are still found by their ids."""
LARGE_BYTES: Final = 256 * 1024
PARTED: Final = b"parts "
"""Before a `Parted`; no JSON object begins so."""
WHAT: Final = ("agent", "session", "turn")


class Parted(Value):
    """Stands for a value that is too large for one key."""

    digest: str
    parts: int


class Listing(Versioned):
    """The agents of one user, by their ids."""

    children: tuple[str, ...] = ()


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
        messages  as the client sent them.
        steps     what is done, as on the wire; `output` is the message that they came to.
        waits     the calls in `output` are to be made by the client.
        task      the run, of an Agent; its record and events say how far it is until it has ended.
        failure   why there is no answer, in a sentence.

    Units:
        `started`, `ended` in seconds since the epoch.
    """

    id: str
    messages: tuple[dict[str, Any], ...]
    started: float
    ended: float | None = None
    steps: tuple[dict[str, Any], ...] = ()
    output: dict[str, Any] | None = None
    waits: bool = False
    task: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Held[Kept]:
    """What is kept, the revision that the next write has to name, and the keys of its parts."""

    kept: Kept
    revision: int
    parts: tuple[str, ...] = ()


class Overtaken(Exception):
    """Somebody else has written it in the meantime."""


def new_id() -> str:
    """An id that nobody has."""
    return str(uuid.uuid4())


class Shelf:
    """What one user has made.

    Raises:
        OutOfReach: any method, when the queue does not answer.
    """

    def __init__(self, store: Store, user: str) -> None:
        self._store = store
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
            value, parts = await self._stored(key, turn.encode())
            try:
                await self._store.update(key, value, held.revision)
            except RevisionConflict as conflict:
                raise Overtaken from conflict
            await self._drop(set(held.parts) - set(parts))

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
            await self._store.delete(legacy_key(self._user, *ids))
            await self._drop(held.parts)
            await self._relist(
                ids[:-1], lambda listed: tuple(one for one in listed if one != ids[-1])
            )

    async def _add[Kept: Versioned](self, kept: Kept, *ids: str) -> Held[Kept]:
        async with in_time():
            key = legacy_key(self._user, *ids)
            value, parts = await self._stored(key, kept.encode())
            revision = await self._store.create(key, value)
            await self._relist(ids[:-1], lambda listed: (*listed, ids[-1])[-LISTED:])
        return Held(kept, revision, parts)

    async def _relist(
        self, parent: tuple[str, ...], change: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> None:
        """Change what a parent lists; one that was taken away meanwhile lists nothing."""
        kind = (Listing, KeptAgent, KeptSession)[len(parent)]
        key = legacy_key(self._user, *parent)
        while True:
            held = await self._find(kind, *parent)
            if held is None and parent:
                return
            kept = held.kept if held else Listing()
            value = kept.model_copy(update={"children": change(kept.children)}).encode()
            try:
                if held is None:
                    await self._store.create(key, value)
                else:
                    await self._store.update(key, value, held.revision)
            except (KeyExists, RevisionConflict):  # somebody else was quicker
                continue
            return

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
        key = legacy_key(self._user, *ids)
        entry = await self._store.get(key)
        if entry is None:
            return None
        if not entry.value.startswith(PARTED):
            return Held(kind.decode(entry.value), entry.revision)
        parts = _part_keys(key, Parted.decode(entry.value.removeprefix(PARTED)))
        return Held(kind.decode(await joined(self._store, parts)), entry.revision, parts)

    async def _stored(self, key: str, data: bytes) -> tuple[bytes, tuple[str, ...]]:
        """What stands under `key` for `data`, and the keys of the parts that it was put into."""
        if len(data) <= LARGE_BYTES:
            return data, ()
        parts = split(data)
        parted = Parted(digest=hashlib.sha256(data).hexdigest()[:32], parts=len(parts))
        keys = _part_keys(key, parted)
        await put_parts(self._store, keys, parts)
        return PARTED + parted.encode(), keys

    async def _drop(self, parts: Iterable[str]) -> None:
        await asyncio.gather(*map(self._store.delete, parts))


def _part_keys(key: str, parted: Parted) -> tuple[str, ...]:
    return tuple(legacy_part(key, parted.digest, part) for part in range(parted.parts))


@contextlib.asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Whatever the queue is asked for in the body, for no longer than a client waits.

    Raises:
        OutOfReach: it does not answer.
    """
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            yield
    except (TransportError, TimeoutError) as error:
        raise out_of_reach("the queue does not answer") from error
