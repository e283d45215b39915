"""Llama Stack: an agent from instructions, or a user's own `Agent`, on the Stack's server.

Source:
    llama-stack-client 0.7.5, `Agent`, `AsyncAgent`, `ClientTool`; OpenAI API reference, Responses.
"""

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Protocol

from llama_stack_client import Agent, AsyncLlamaStackClient
from llama_stack_client.lib.agents.agent import AsyncAgent

from runtime.adapters.failures import telling
from runtime.adapters.llama_stack_agent import Turns
from runtime.adapters.llama_stack_loop import Loop, loop_of
from runtime.adapters.llama_stack_tools import PlatformTool
from runtime.adapters.made import called, unfit, users_object
from runtime.adapters.port import (
    AgentContext,
    Answer,
    BadAgent,
    EmptyAnswer,
    Run,
    Step,
    Text,
)
from runtime.adapters.progress import made_of
from runtime.adapters.scope import Scope, enter, opened, within
from runtime.contract.agent_config import AgentConfig, Module
from runtime.contract.catalogue import FunctionSpec

RETRIES = 1  # for a server that has just gone; it tries a model several times itself


class Player(Protocol):
    """What plays one run of an agent."""

    def play(self, scope: Scope) -> AsyncIterator[Step]:
        """Text, costs, and at last one `Answer`."""
        ...


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> "LlamaStackAdapter":
    """The adapter of a Llama Stack agent.

    Raises:
        BadSpec, BadAgent: the user's module cannot be used; the message says why.
    """
    if config.declarative is not None:
        loop = Loop(
            client=client_of(config.model.base_url, config.execution.timeout_seconds),
            model=config.model.id,
            instructions=config.declarative.instructions,
            made_for=made_of(config, specs),
            tools=[PlatformTool(spec) for spec in specs],
            most_turns=config.declarative.max_iterations,
        )
        return LlamaStackAdapter(loop, config)
    if config.module is None:
        raise BadAgent("one of spec.source.declarative and spec.source.module must be set")
    return LlamaStackAdapter(await _users(config, config.module, specs), config)


@functools.lru_cache
def client_of(base_url: str, timeout_seconds: float) -> AsyncLlamaStackClient:
    """The one client of a server; an adapter that is built anew keeps its connections."""
    return AsyncLlamaStackClient(
        base_url=base_url.removesuffix("/v1"), timeout=timeout_seconds, max_retries=RETRIES
    )


async def _users(config: AgentConfig, module: Module, specs: tuple[FunctionSpec, ...]) -> Player:
    def context() -> AgentContext:
        tools = [PlatformTool(spec) for spec in specs]
        return AgentContext(config=config, tools=tools, model=config.model.id)

    found = named = users_object(config, module, _fits)
    if callable(found) and not isinstance(found, type):
        found = await called(found, config, module, context)
    match found:
        case AsyncAgent():
            return loop_of(found, config, specs)
        case Agent():
            return Turns(found)
        case _:
            needs = "a llama_stack_client Agent or AsyncAgent, or a function that returns one"
            raise unfit(found, named, needs, config, module)


def _fits(found: object) -> bool:
    return isinstance(found, Agent | AsyncAgent)


class LlamaStackAdapter:
    """An `Adapter` of one agent."""

    def __init__(self, player: Player, config: AgentConfig) -> None:
        self._player = player
        self._config = config

    async def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent once.

        The deltas are the text of all turns of the model; the answer is that of the last one.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        scope = opened(run)
        try:
            with telling(self._config):
                async with contextlib.aclosing(within(scope, self._player.play(scope))) as steps:
                    async for step in steps:
                        _check(scope, step)
                        if run.options.stream or not isinstance(step, Text):
                            yield step
        finally:
            scope.ended = True
            enter(None)


def _check(scope: Scope, step: Step) -> None:
    scope.check()
    if isinstance(step, Answer) and not step.text.strip():
        raise EmptyAnswer("the agent ended without an answer")
