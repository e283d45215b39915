"""BeeAI: an agent from instructions, or a user's own agent, unchanged.

Source:
    BeeAI framework 0.1.85 (Python): "Agents", "Requirement Agent", "Events".
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

# litellm, which BeeAI asks models with, would fetch a list of prices when it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from beeai_framework.agents import BaseAgent
from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.agents.requirement.prompts import RequirementAgentTaskPromptInput
from beeai_framework.backend import AnyMessage, AssistantMessage, SystemMessage, UserMessage
from beeai_framework.memory import UnconstrainedMemory
from beeai_framework.template import PromptTemplate

from runtime.adapters.beeai_copy import copied, forget
from runtime.adapters.beeai_events import Told
from runtime.adapters.beeai_failures import NO_ANSWER, about
from runtime.adapters.beeai_logging import log_with_the_rest
from runtime.adapters.beeai_output import expected
from runtime.adapters.beeai_prompts import say_all_as_it_is
from runtime.adapters.beeai_resume import VERSION, remember
from runtime.adapters.beeai_tools import PlatformTool
from runtime.adapters.failures import telling
from runtime.adapters.made import called, unfit, users_object
from runtime.adapters.port import (
    AgentContext,
    Answer,
    BadAgent,
    EmptyAnswer,
    Run,
    Step,
    Text,
    Used,
)
from runtime.adapters.progress import Checkpointer, made_of
from runtime.adapters.recorded import Recorded, beginning
from runtime.adapters.scope import Scope, enter, opened, within
from runtime.contract.agent_config import AgentConfig, Declarative, Module
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role, TokenUsage

type AnyAgent = BaseAgent[Any]
type Each = Callable[[Any], None]
type Make = Callable[[Run, Each], Awaitable[AnyAgent]]
"""The agent for one run, which remembers nothing of any other; it is told of each copy in it."""

# The framework's own begins with "Your task:".
AS_SAID = PromptTemplate(schema=RequirementAgentTaskPromptInput, template="{{&prompt}}")
MESSAGES = {Role.USER: UserMessage, Role.ASSISTANT: AssistantMessage, Role.SYSTEM: SystemMessage}

log_with_the_rest()
say_all_as_it_is()  # before a user's module can make an agent


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> "BeeAIAdapter":
    """The adapter of a BeeAI agent.

    Raises:
        BadSpec, BadAgent: the user's module cannot be used; the message says why.
    """
    if config.declarative is not None:
        return BeeAIAdapter(_declared(config, config.declarative, specs), config, specs)
    if config.module is None:
        raise BadAgent("one of spec.source.declarative and spec.source.module must be set")
    return BeeAIAdapter(await _users(config, config.module, specs), config, specs)


def _declared(
    config: AgentConfig, declarative: Declarative, specs: tuple[FunctionSpec, ...]
) -> Make:
    # It takes seconds to import, and a user's own agent may have a model of another kind.
    from runtime.adapters.beeai_model import model_of  # noqa: PLC0415

    model, tools = model_of(config), [PlatformTool(spec) for spec in specs]

    async def make(run: Run, each: Each) -> AnyAgent:
        texts = (declarative.instructions, run.options.instructions)
        return RequirementAgent(
            llm=copied(model, each),
            tools=tools,
            memory=UnconstrainedMemory(),
            instructions="\n\n".join(text for text in texts if text),
            templates={"task": AS_SAID},
        )

    return make


async def _users(config: AgentConfig, module: Module, specs: tuple[FunctionSpec, ...]) -> Make:
    def context() -> AgentContext:
        from runtime.adapters.beeai_model import model_of  # noqa: PLC0415 - as above

        tools = [PlatformTool(spec) for spec in specs]
        return AgentContext(config=config, tools=tools, model=model_of(config))

    if config.model.id and os.environ.get("OPENAI_BASE_URL") == config.model.base_url:
        os.environ.setdefault("OPENAI_CHAT_MODEL", config.model.id)
    found = named = users_object(config, module, _fits)
    if callable(found) and not isinstance(found, BaseAgent | type):
        found = await called(found, config, module, context)
    if not isinstance(found, BaseAgent):
        needs = (
            "a RequirementAgent, a ReActAgent or another BaseAgent, or a function that returns one"
        )
        raise unfit(found, named, needs, config, module)
    agent = found

    async def make(run: Run, each: Each) -> AnyAgent:
        own = copied(agent, each)
        if run.options.instructions:
            await own.memory.add(SystemMessage(run.options.instructions))
        return own

    return make


def _fits(found: object) -> bool:
    return isinstance(found, BaseAgent)


class BeeAIAdapter:
    """An `Adapter` of one agent."""

    def __init__(self, make: Make, config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> None:
        self._make = make
        self._config = config
        self._made_of = made_of(config, specs, VERSION)

    async def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent once.

        Of a `RequirementAgent` and a `ReActAgent` the final answer is streamed, of others what
        their models write.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        scope = opened(run)
        try:
            with telling(self._config):
                async with contextlib.aclosing(within(scope, self._streamed(scope))) as steps:
                    async for step in steps:
                        yield step
        finally:
            scope.ended = True
            enter(None)
            forget()

    async def _streamed(self, scope: Scope) -> AsyncGenerator[Step]:
        run = scope.run
        checkpointer = Checkpointer(run, self._made_of)
        recorded = scope.recorded = await Recorded.of(checkpointer)
        if checkpointer.spent != TokenUsage():
            yield Used(checkpointer.spent)
        agent = await self._make(run, partial(remember, recorded=recorded))
        await agent.memory.add_many(_messages(run.history))
        told = Told(agent, scope)
        going = agent.run(_messages(run.input), **self._limits(), **expected(run.options.output))
        with beginning():
            running = asyncio.create_task(told.listen_to(going), name=f"agent of {run.task}")
        try:
            async with contextlib.aclosing(told.steps()) as steps:
                async for step in steps:
                    yield step
            await asyncio.wait([running])
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if (error := running.exception()) is not None:
            # Raised while none is handled: what litellm raised it over must stay its context.
            raise about(error, self._config)
        scope.check()
        text = str(running.result().last_message.text)
        if not text.strip():
            raise EmptyAnswer(NO_ANSWER)
        if run.options.stream and not told.said.rstrip().endswith(text.rstrip()):
            yield Text(text.removeprefix(told.said))
        yield Answer(text)

    def _limits(self) -> dict[str, Any]:
        declarative = self._config.declarative
        return {"max_iterations": declarative.max_iterations} if declarative else {}


def _messages(said: tuple[Message, ...]) -> list[AnyMessage]:
    return [MESSAGES[message.role](message.text) for message in said]
