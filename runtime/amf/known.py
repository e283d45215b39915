"""The agents of the Stack as the catalogue tells them."""

import asyncio
import logging
from collections.abc import Mapping

from runtime.contract.catalogue import AgentEntry
from runtime.transport.port import Entry, WatchableStore

log = logging.getLogger(__name__)

PREFIX = "agents/"  # the server's list of models puts the provider before each name
PATTERN = "agents.*.*"


class KnownAgents:
    """Every Agent by the name of its model; kept up to date by `watch`.

    Shape:
        read     set once all that stood in the catalogue has been seen.
        changed  set at each change; whoever waits for it clears it.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, AgentEntry] = {}
        self._by_model: dict[str, AgentEntry] = {}
        self.read = asyncio.Event()
        self.changed = asyncio.Event()

    def find(self, model: str) -> AgentEntry | None:
        """The agent that a client means by `math` or `agents/math`."""
        return self._by_model.get(model.removeprefix(PREFIX))

    @property
    def by_model(self) -> Mapping[str, AgentEntry]:
        """All of them."""
        return self._by_model

    async def watch(self, store: WatchableStore) -> None:
        """Follow the catalogue, for ever."""
        async for entry in store.watch(PATTERN):
            if entry is None:
                self.read.set()
                self.changed.set()
            else:
                self.take(entry)

    def take(self, entry: Entry) -> None:
        """One key of the catalogue as it stands now."""
        self._by_key.pop(entry.key, None)
        if not entry.deleted:
            try:
                self._by_key[entry.key] = AgentEntry.decode(entry.value)
            except ValueError as error:
                log.warning("no agent", extra={"key": entry.key, "error": str(error)})
        self._by_model = {agent.model: agent for agent in self._by_key.values()}
        self.changed.set()


def is_agent_name(model: str) -> bool:
    """Whether `model` may be an agent at all; other models have their provider in front."""
    return "/" not in model.removeprefix(PREFIX)
