"""The adapter of CrewAI; see `crewai`, which is imported first."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, MutableMapping
from typing import Any

from crewai import Agent, Crew, Flow
from crewai.utilities import prompts

from runtime.adapters.clock import RunClock
from runtime.adapters.crewai_events import Told
from runtime.adapters.crewai_model import model_of
from runtime.adapters.crewai_objects import AgentRunnable, Runnable, runnable_of, text_of
from runtime.adapters.crewai_pieces import remember
from runtime.adapters.crewai_resume import VERSION
from runtime.adapters.crewai_tools import PlatformTool
from runtime.adapters.failures import telling
from runtime.adapters.made import called, said_of, unfit, users_object
from runtime.adapters.port import AgentContext, Answer, BadAgent, EmptyAnswer, Run, Step, Text, Used
from runtime.adapters.progress import Checkpointer, made_of
from runtime.adapters.recorded import Recorded, beginning
from runtime.adapters.scope import Scope, enter, opened
from runtime.contract.agent_config import AgentConfig, Declarative, Module
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import TokenUsage

LETTING_GO = 0.5  # seconds that the code of a cancelled run gets


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> "CrewAIAdapter":
    """The adapter of a CrewAI agent.

    Raises:
        BadSpec, BadAgent: the user's module cannot be used; the message says why.
    """
    if config.declarative is not None:
        agent = _declared(config, config.declarative, specs)
        return CrewAIAdapter(agent, config, specs, turns=config.declarative.max_iterations)
    if config.module is None:
        raise BadAgent("one of spec.source.declarative and spec.source.module must be set")
    return CrewAIAdapter(await _users(config, config.module, specs), config, specs)


def _declared(
    config: AgentConfig, declarative: Declarative, specs: tuple[FunctionSpec, ...]
) -> Runnable:
    agent = Agent(
        role=config.agent.name,
        goal=config.description or "Answer what you are asked.",
        backstory=declarative.instructions,
        llm=model_of(config),
        tools=[PlatformTool.of(spec) for spec in specs],
        # After these CrewAI would have the model make up an answer; the run counts them itself.
        max_iter=declarative.max_iterations + 1,
    )
    return AgentRunnable(agent)


def name_the_model(config: AgentConfig, environment: MutableMapping[str, str]) -> None:
    """Let agents that name no model ask the Agent's, if the Stack's server is the one they ask."""
    if config.model.id and environment.get("OPENAI_BASE_URL") == config.model.base_url:
        environment.setdefault("OPENAI_MODEL_NAME", f"openai/{config.model.id}")


async def _users(config: AgentConfig, module: Module, specs: tuple[FunctionSpec, ...]) -> Runnable:
    def context() -> AgentContext:
        tools = [PlatformTool.of(spec) for spec in specs]
        return AgentContext(config=config, tools=tools, model=model_of(config))

    name_the_model(config, os.environ)
    found = named = users_object(config, module, _fits)
    if callable(found) and not isinstance(found, Crew | Agent | Flow):
        found = await called(found, config, module, context)
    if not isinstance(found, Crew | Agent | Flow) and callable(getattr(found, "crew", None)):
        found = await called(found.crew, config, module, context)  # a class with @CrewBase
    runnable = runnable_of(found, said_of(module))
    if runnable is None:
        needs = "a Crew, an Agent or a Flow, or a function or class that makes one"
        raise unfit(found, named, needs, config, module)
    return runnable


def _fits(found: object) -> bool:
    return isinstance(found, Crew | Agent | Flow)


class CrewAIAdapter:
    """An `Adapter` of one crew, agent or flow."""

    def __init__(
        self,
        runnable: Runnable,
        config: AgentConfig,
        specs: tuple[FunctionSpec, ...],
        turns: int | None = None,
    ) -> None:
        self._runnable = runnable
        self._config = config
        self._turns = turns
        self._made_of = made_of(config, specs, VERSION)

    async def run(self, run: Run) -> AsyncIterator[Step]:
        """Run it once.

        Text is streamed as models write it: of a crew that of its last task alone, of an agent or
        a flow that of all turns.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        scope = opened(run)
        with telling(self._config):
            async with contextlib.aclosing(self._steps(scope)) as steps:
                async for step in steps:
                    yield step

    async def _steps(self, scope: Scope) -> AsyncGenerator[Step]:
        checkpointer = Checkpointer(scope.run, self._made_of)
        recorded = scope.recorded = await Recorded.of(checkpointer)
        if checkpointer.spent != TokenUsage():
            yield Used(checkpointer.spent)
        told = Told(self._runnable.is_answer, self._turns, recorded)
        working = asyncio.create_task(self._work(scope, told), name=f"crewai {scope.run.task}")
        is_told = not scope.run.options.stream
        try:
            async with contextlib.aclosing(told.steps()) as steps:
                async for step in steps:
                    scope.check()
                    is_told = is_told or isinstance(step, Text)
                    yield step
            result = await working
            scope.check()
            text = text_of(result)
        finally:
            scope.end()
            await _let_go(working)
        if not text.strip():
            raise EmptyAnswer("the agent ended without an answer")
        if not is_told:  # it was written in an attempt before, or by no model
            yield Text(text)
        yield Answer(text)

    async def _work(self, scope: Scope, told: Told) -> Any:
        """What the run comes to; all that it starts is in the context of this task."""
        enter(scope)
        told.listen()
        try:
            with beginning():
                return await self._runnable.run(scope.run)
        finally:
            told.end()


async def _let_go(working: asyncio.Task[Any]) -> None:
    """End a task, whatever it makes of that."""
    working.cancel()
    await asyncio.wait({working}, timeout=LETTING_GO)
    if working.done() and not working.cancelled():
        working.exception()  # it was told, or nobody is there to hear it


remember()
prompts.datetime = RunClock
