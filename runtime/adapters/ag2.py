"""AG2: an agent from instructions, or a user's own `Agent`, unchanged.

Source:
    AG2 1.2, "Agents", "Streams and events", "Structured output", "Human in the loop".
"""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ag2 import Agent, AgentReply, Middleware, Plugin
from ag2.config import ModelConfig
from ag2.exceptions import HumanInputNotProvidedError
from ag2.response.schema import RawSchema
from pydantic import ValidationError

from runtime.adapters.ag2_errors import Way, Witness
from runtime.adapters.ag2_events import HEARD, Listener, RunStream, prompts, trajectory
from runtime.adapters.ag2_model import connected, model_of, streaming
from runtime.adapters.ag2_resume import KEPT, Historian, Past, facts_of
from runtime.adapters.ag2_tools import PlatformTool, clash_of
from runtime.adapters.failures import telling
from runtime.adapters.made import called, said_of, unfit, users_object
from runtime.adapters.port import (
    AgentContext,
    AgentFailure,
    Answer,
    BadAgent,
    EmptyAnswer,
    Run,
    Step,
    Used,
)
from runtime.adapters.progress import Checkpointer, made_of
from runtime.adapters.scope import Scope, enter, opened, within
from runtime.contract.agent_config import AgentConfig, Declarative, Module
from runtime.contract.catalogue import FunctionSpec

GRACE_SECONDS = 0.5
"""How long a run that was broken off may take to clean up; code in a thread cannot be stopped."""


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> "AG2Adapter":
    """The adapter of an AG2 agent.

    Raises:
        BadSpec, BadAgent: the user's module cannot be used; the message says why.
    """
    if config.declarative is not None:
        agent = _declared(config, config.declarative, specs)
        return AG2Adapter(agent, config, specs, most_turns=config.declarative.max_iterations)
    if config.module is None:
        raise BadAgent("one of spec.source.declarative and spec.source.module must be set")
    return AG2Adapter(await _users(config, config.module, specs), config, specs)


def _declared(
    config: AgentConfig, declarative: Declarative, specs: tuple[FunctionSpec, ...]
) -> Agent[Any]:
    return Agent(
        config.agent.name,
        declarative.instructions,
        config=model_of(config),
        tools=[PlatformTool.of(spec) for spec in specs],
    )


async def _users(
    config: AgentConfig, module: Module, specs: tuple[FunctionSpec, ...]
) -> Agent[Any]:
    def context() -> AgentContext:
        tools = [PlatformTool.of(spec) for spec in specs]
        return AgentContext(config=config, tools=tools, model=model_of(config))

    found = named = users_object(config, module, _fits)
    if callable(found) and not isinstance(found, type):
        found = await called(found, config, module, context)
    if not isinstance(found, Agent):
        raise unfit(found, named, "an ag2.Agent, or a function that returns one", config, module)
    _check(found, said_of(module), config)
    return found


def _fits(found: object) -> bool:
    return isinstance(found, Agent)


def _check(agent: Agent[Any], said: str, config: AgentConfig) -> None:
    if (name := clash_of(agent.tools)) is not None:
        raise BadAgent(
            f"{said} has two tools named {name}, one of them the platform's (AgentContext.tools); "
            "give its own another name"
        )
    if agent.config is None and not config.model.id:
        raise BadAgent(
            f"{said} has no config, and the Stack has no model for it; give the Agent a config, "
            "or name a model in spec.modelRef"
        )
    try:
        copy.deepcopy(dict(agent.variables))
    except Exception as error:
        raise BadAgent(
            f"{said} has variables that cannot be copied for each run ({error}); give it live "
            "objects as dependencies"
        ) from error


class AG2Adapter:
    """An `Adapter` of one agent."""

    def __init__(
        self,
        agent: Agent[Any],
        config: AgentConfig,
        specs: tuple[FunctionSpec, ...],
        *,
        most_turns: int | None = None,
    ) -> None:
        self._agent = agent
        self._config = config
        self._model = connected(agent.config or model_of(config))
        self._streaming_model = streaming(self._model)
        self._most_turns = most_turns
        self._made_of = made_of(config, specs, facts_of(agent, self._model))

    async def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent once.

        Text is streamed as the agent's model writes it, of all its turns; that of agents which it
        asks as its tools is not. The answer is the text of the last turn. A model is asked to
        write piece by piece when the client reads along, also if its config does not say so.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        scope = opened(run)
        try:
            with telling(self._config):
                async with contextlib.aclosing(within(scope, self._steps(scope))) as steps:
                    async for step in steps:
                        yield step
        finally:
            enter(None)

    async def _steps(self, scope: Scope) -> AsyncIterator[Step]:
        checkpointer = Checkpointer(scope.run, self._made_of)
        past = await checkpointer.found(Past.read)
        if past is not None:
            yield Used(checkpointer.spent)
        going = self._going(scope, checkpointer, past)
        asking = asyncio.create_task(self._ask(going, past))
        asking.add_done_callback(_seen)
        asking.add_done_callback(lambda _: going.listener.end())
        try:
            async for step in going.listener.steps():
                yield step
            reply = await asking
        finally:
            scope.end()
            going.stream.close()
            await _broken_off(asking)
        scope.check()
        yield await self._answer(reply)

    def _going(self, scope: Scope, checkpointer: Checkpointer, past: Past | None) -> "_Going":
        model = self._streaming_model if scope.run.options.stream else self._model
        # A tool may write into them; those of another run are not for its eyes.
        variables = copy.deepcopy(dict(self._agent.variables))
        known = None if past is None else past.events[-1]
        listener = Listener(
            scope=scope,
            streams=getattr(model, "streaming", False),
            most_turns=self._most_turns,
            turns=0 if past is None else past.turns,
            known=known,
        )
        stream = RunStream()
        stream.where(HEARD).subscribe(listener.hear)
        if scope.run.checkpoint is not None:
            stream.where(KEPT).subscribe(Historian(checkpointer, stream, variables, known).hear)
        return _Going(scope.run, model, listener, stream, variables)

    async def _ask(self, going: "_Going", past: Past | None) -> AgentReply[Any]:
        way = Way()
        anew: dict[str, Any] = {"plugins": [Plugin(prompt=prompts(going.run))]}
        try:
            return await self._agent.resume(
                *(trajectory(going.run) if past is None else past.events),
                stream=going.stream,
                config=going.model,
                middleware=[Middleware(Witness, way=way)],
                variables=going.variables,
                **(anew if past is None else {"prompt": past.prompts}),
            )
        except HumanInputNotProvidedError as error:
            said = "the agent asked for human input, and nobody can answer it yet"
            raise AgentFailure(said) from error
        except Exception as error:
            way.put_back(error)
            raise

    async def _answer(self, reply: AgentReply[Any]) -> Answer:
        text = reply.body or ""
        if not text.strip():
            raise EmptyAnswer("the agent ended without an answer")
        await _check_schema(self._agent, reply)
        return Answer(text)


@dataclass(frozen=True, slots=True)
class _Going:
    """What one attempt goes on with."""

    run: Run
    model: ModelConfig
    listener: Listener
    stream: RunStream
    variables: dict[Any, Any]


async def _check_schema(agent: Agent[Any], reply: AgentReply[Any]) -> None:
    if isinstance(agent.response_schema, RawSchema):
        return  # AG2 cannot check it, and warns of that each time
    try:
        await reply.content()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise AgentFailure(
            f"the answer does not fit the agent's response_schema: {where}: {first['msg']}"
        ) from error


def _seen(asking: asyncio.Task[Any]) -> None:
    if not asking.cancelled():
        asking.exception()  # who waits is told; nobody waits for a run that was broken off


async def _broken_off(asking: asyncio.Task[Any]) -> None:
    """End what still goes on; it has a moment to clean up, and is left alone after that."""
    asking.cancel()
    await asyncio.wait([asking], timeout=GRACE_SECONDS)
