"""Functions of a run's client, for all frameworks: the agent is made anew with them.

An adapter is made of the functions that there are, once a worker. Those of clients come with each
run, mostly the same ones again and again; so an adapter is made for each set of them and kept.
"""

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast
from weakref import WeakValueDictionary

from runtime.adapters.made import said_of, takes_context
from runtime.adapters.port import Adapter, AgentFailure, BadAgent, Build, Run, Step
from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.client_calls import specs_of
from runtime.tools.errors import BadSpec

MOST_KEPT = 16  # sets of functions; each is an agent without its connections and its code


class WithClientFunctions:
    """An `Adapter` whose agent may call what the client of a run brings along, too."""

    def __init__(
        self, plain: Adapter, make: Build, config: AgentConfig, specs: tuple[FunctionSpec, ...]
    ) -> None:
        """Stand around `plain`, which `make` has made of these `specs`."""
        self._plain = plain
        self._make = make
        self._config = config
        self._specs = specs
        self._made: OrderedDict[str, Adapter] = OrderedDict()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent, with the functions of its client if there are any.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        return self._with(run) if run.options.functions else self._plain.run(run)

    async def _with(self, run: Run) -> AsyncGenerator[Step]:
        adapter = await self._adapter(specs_of(run.options.functions))
        running = cast("AsyncGenerator[Step]", adapter.run(run))
        async with contextlib.aclosing(running) as steps:
            async for step in steps:
                yield step

    async def _adapter(self, functions: tuple[FunctionSpec, ...]) -> Adapter:
        key = hashlib.sha256(b"\0".join(one.encode() for one in functions)).hexdigest()
        if (made := self._made.get(key)) is None:
            # Whose code makes one may take long over it: only who needs the same one waits.
            async with self._making.setdefault(key, asyncio.Lock()):
                made = self._made.get(key) or await self._new(functions)
                self._made[key] = made
        self._made.move_to_end(key)
        if len(self._made) > MOST_KEPT:
            self._made.popitem(last=False)
        return made

    async def _new(self, functions: tuple[FunctionSpec, ...]) -> Adapter:
        self._check(functions)
        try:
            return await self._make(self._config, (*self._specs, *functions))
        except (BadAgent, BadSpec) as error:
            raise AgentFailure(f"the functions of the client cannot be used: {error}") from error

    def _check(self, functions: tuple[FunctionSpec, ...]) -> None:
        clash = {one.name for one in functions} & {one.name for one in self._specs}
        if clash:
            raise AgentFailure(
                f"tools: {', '.join(sorted(clash))} is a function that the agent has already; give "
                "that of the client another name"
            )
        module = self._config.module
        if module is not None and not takes_context(module):
            raise AgentFailure(
                "tools: this agent takes no functions of clients; leave them out. Whoever writes "
                f"it may mend that: {said_of(module)} names something that takes no tools; let it "
                "name a function that takes an AgentContext, and give its tools to the agent"
            )
