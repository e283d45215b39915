"""The agents and tools of the Stack as the catalogue tells them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import override

from runtime.contract.catalogue import AgentEntry, ToolEntry
from runtime.contract.keys import AGENT_ENTRIES, TOOL_ENTRIES
from runtime.contract.value import ObjectName
from runtime.tools.offer import visible
from runtime.transport.port import Entry, WatchableStore

log = logging.getLogger(__name__)

PREFIX = "agents/"  # the server's list of models puts the provider before each name


class Known[Told: (AgentEntry, ToolEntry)]:
    """Every entry of one kind; kept up to date by `watch`.

    Shape:
        pattern  the keys of the kind.
        read     set once all that stood in the catalogue has been seen.
        changed  set at each change; whoever waits for it clears it.
    """

    def __init__(self, kind: type[Told], pattern: str) -> None:
        self._kind: type[Told] = kind
        self._pattern = pattern
        self._by_key: dict[str, Told] = {}
        self.read = asyncio.Event()
        self.changed = asyncio.Event()

    @property
    def all(self) -> tuple[Told, ...]:
        """All of them, by their keys in order."""
        return tuple(self._by_key[key] for key in sorted(self._by_key))

    async def watch(self, store: WatchableStore) -> None:
        """Follow the catalogue, for ever."""
        async for entry in store.watch(self._pattern):
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
                self._by_key[entry.key] = self._kind.decode(entry.value)
            except ValueError as error:
                why = {"key": entry.key, "error": str(error)}
                log.warning("no entry of the catalogue", extra=why)
        self.changed.set()


class KnownAgents(Known[AgentEntry]):
    """Every Agent, also by the name of its model.

    Shape:
        listed  set once the server's list of models has had all of them.
        service_accounts  that their workers run as.
    """

    def __init__(self) -> None:
        super().__init__(AgentEntry, AGENT_ENTRIES)
        self.listed = asyncio.Event()
        self.service_accounts: frozenset[ObjectName] = frozenset()
        self._by_model: dict[str, AgentEntry] = {}

    def find(self, model: str) -> AgentEntry | None:
        """The agent that a client means by `math` or `agents/math`."""
        return self._by_model.get(model.removeprefix(PREFIX))

    @property
    def by_model(self) -> Mapping[str, AgentEntry]:
        """All of them."""
        return self._by_model

    @override
    def take(self, entry: Entry) -> None:
        super().take(entry)
        self._by_model = {agent.model: agent for agent in self._by_key.values()}
        self.service_accounts = frozenset(
            agent.service_account for agent in self._by_key.values() if agent.service_account
        )


class KnownTools(Known[ToolEntry]):
    """Every Tool."""

    def __init__(self) -> None:
        super().__init__(ToolEntry, TOOL_ENTRIES)

    def functions_of(self, agent: AgentEntry) -> set[str]:
        """The names by which its model calls functions of Tools, as far as known, and Agents."""
        functions = {
            visible(function.name)
            for entry in self.all
            if entry.tool in agent.tools
            for function in entry.functions
        }
        return functions | {visible(other.name) for other in agent.agents}


def is_agent_name(model: str) -> bool:
    """Whether `model` may be an agent at all; other models have their provider in front."""
    return "/" not in model.removeprefix(PREFIX)
