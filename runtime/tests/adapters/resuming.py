"""One LangGraph agent and the attempts at one task, some of which are cut off."""

import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runtime.adapters.langgraph import build
from runtime.adapters.port import AgentFailure, Step
from runtime.contract.agent_config import AgentConfig
from runtime.state.checkpoints import BadCheckpoint
from runtime.tests.agents import SPEC, Config, asking, steps_of

type Made = Callable[[str], Scene]

# What a node does is a line of DONE; each name in FAIL makes one of them fail, once.
HEAD = """
    import operator
    from typing import Annotated, Any, TypedDict
    from langchain_core.messages import AIMessage
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.types import Send

    DONE, FAIL = [], []

    def do(name):
        if name in FAIL:
            FAIL.remove(name)
            raise RuntimeError(f"{name} fails")
        DONE.append(name)

    def saying(name):
        async def node(state):
            do(name)
            return {"messages": [AIMessage(name)]}
        return node

    def line(*names):
        made = StateGraph(MessagesState)
        for name in names:
            made.add_node(name, saying(name))
        for start, end in zip((START, *names), names):
            made.add_edge(start, end)
        return made
"""


@dataclass
class Kept:
    """A `Checkpoint` that remembers every save."""

    saved: list[bytes] = field(default_factory=list)
    unreadable: str | None = None

    async def load(self) -> bytes | None:
        if self.unreadable is not None:
            raise BadCheckpoint(self.unreadable)
        return self.saved[-1] if self.saved else None

    async def save(self, write: Callable[[], bytes]) -> None:
        self.saved.append(write())


class Scene:
    """One agent, and the attempts at one task."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.kept = Kept()
        self.attempt = 0

    async def run(self, fail: str = "", **facts: Any) -> list[Step]:
        """The next attempt, by a worker that has the agent loaded already."""
        self.attempt += 1
        if fail:
            self.module.FAIL.append(fail)
        asked = replace(facts.pop("asked", asking()), attempt=self.attempt, checkpoint=self.kept)
        return await steps_of(await build(self.config, (SPEC,)), replace(asked, **facts))

    async def cut(self, fail: str, **facts: Any) -> None:
        with pytest.raises(AgentFailure, match=f"{fail} fails"):
            await self.run(fail, **facts)

    @property
    def module(self) -> Any:
        assert self.config.module
        name = self.config.module.entrypoint.partition(":")[0]
        if name not in sys.modules:
            sys.path.insert(0, str(self.config.module.path))
            __import__(name)
        return sys.modules[name]

    @property
    def done(self) -> list[str]:
        done: list[str] = self.module.DONE
        return done


@pytest.fixture
def scene(config: Config) -> Made:
    return lambda source: Scene(config(textwrap.dedent(HEAD) + textwrap.dedent(source)))
