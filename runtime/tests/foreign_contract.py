"""What every adapter says of an agent that is of another framework: one class of tests for all."""

import sys
import textwrap
from typing import ClassVar

import pytest

from runtime.adapters.port import BadAgent
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Framework, Origin
from runtime.tests.agents import SPEC, Config

OTHERS = {
    Framework.LANGGRAPH: """
        from langgraph.graph import START, MessagesState, StateGraph

        agent = StateGraph(MessagesState)
        agent.add_node("node", lambda state: state)
        agent.add_edge(START, "node")
    """,
    Framework.CREWAI: """
        from crewai import Flow

        agent = Flow()
    """,
    Framework.AG2: """
        from ag2 import Agent

        agent = Agent("solo")
    """,
    Framework.LLAMA_STACK: """
        from llama_stack_client import Agent, LlamaStackClient

        agent = Agent(LlamaStackClient(base_url="http://127.0.0.1:1"), model="x", instructions="")
    """,
    Framework.BEEAI: """
        from beeai_framework.agents import BaseAgent

        class Mine(BaseAgent): ...

        agent = Mine
    """,
}
"""An agent of each framework, which may be installed beside the one that is tested, or not."""
FORMS = """
    def plain(): return agent
    def with_context(context): return agent
"""
GIVEN = [
    pytest.param("agent", Origin.CONFIG_MAP, "", id="ConfigMap"),
    pytest.param("with_context", Origin.CONFIG_MAP, "", id="made, from a ConfigMap"),
    pytest.param("agent", Origin.WORKER, "", id="the worker's image"),
    pytest.param(
        "plain",
        Origin.IMAGE,
        " and build spec.source.module.image FROM the runtime image for {theirs}",
        id="made, in an image",
    ),
]


def named(config: AgentConfig) -> str:
    """The entrypoint of a user's module."""
    assert config.module is not None
    return config.module.entrypoint


def from_elsewhere(config: AgentConfig, origin: Origin) -> AgentConfig:
    """The same agent with its code from `origin`; an image has it on its path."""
    module = config.module
    assert module is not None
    if origin is not Origin.CONFIG_MAP:
        assert module.path is not None
        sys.path.insert(0, module.path)  # which `config` takes away again
        module = module.model_copy(update={"path": None, "origin": origin})
    return config.model_copy(update={"module": module})


class ForeignContract:
    """Agents of every other framework, whether it is installed beside this one or not."""

    framework: ClassVar[Framework]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Fill in the frameworks that are others."""
        metafunc.parametrize("theirs", [one for one in Framework if one is not self.framework])

    @pytest.mark.parametrize(("entrypoint", "origin", "also"), GIVEN)
    async def test_it_is_refused_for_what_it_is(
        self, config: Config, theirs: Framework, entrypoint: str, origin: Origin, also: str
    ) -> None:
        source = textwrap.dedent(OTHERS[theirs]) + textwrap.dedent(FORMS)
        made = from_elsewhere(config(source, entrypoint, framework=self.framework), origin)
        with pytest.raises(BadAgent) as caught:
            await build(made, (SPEC,))
        said = str(caught.value)
        assert said.startswith(f'spec.source.module.entrypoint "{named(made)}"')
        assert f", which is of {theirs}, but spec.framework is {self.framework}; " in said
        assert f"; set spec.framework to {theirs}{also.format(theirs=theirs)}" in said
        assert "No module named" not in said
