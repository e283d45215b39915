"""LangGraph: an agent from instructions, or a user's own graph, unchanged.

Source:
    LangGraph 1.2, "Streaming" (modes messages, custom, values) and "Graph API"; LangChain 1.4,
    `create_agent`.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.types import StreamMode

from runtime.adapters.failures import telling
from runtime.adapters.langgraph_resume import Graph, RunSaver, takes_steps
from runtime.adapters.langgraph_state import Shape, answer_of, shape_of, spent
from runtime.adapters.langgraph_tools import PlatformTool
from runtime.adapters.made import called, said_of, unfit, users_object
from runtime.adapters.port import (
    AgentContext,
    AgentFailure,
    Answer,
    BadAgent,
    EmptyAnswer,
    Run,
    Step,
    Text,
    Used,
)
from runtime.adapters.scope import Scope, enter, opened, within
from runtime.contract.agent_config import AgentConfig, Declarative, Module
from runtime.contract.catalogue import FunctionSpec


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> "LangGraphAdapter":
    """The adapter of a LangGraph agent.

    Raises:
        BadSpec, BadAgent: the user's module cannot be used; the message says why.
    """
    if config.declarative is not None:
        graph = _declared(config, config.declarative, specs)
        return LangGraphAdapter(graph, config, shape_of(graph, "spec.source.declarative"))
    if config.module is None:
        raise BadAgent("one of spec.source.declarative and spec.source.module must be set")
    graph = await _users(config, config.module, specs)
    return LangGraphAdapter(graph, config, shape_of(graph, said_of(config.module)))


def _declared(
    config: AgentConfig, declarative: Declarative, specs: tuple[FunctionSpec, ...]
) -> Graph:
    # Each takes a second or more to import, and a user's own graph may need neither.
    from langchain.agents import create_agent  # noqa: PLC0415

    from runtime.adapters.langgraph_model import model_of  # noqa: PLC0415

    # A step is a turn of the model, a round of tools after it, and the look that finds the end.
    limit: RunnableConfig = {"recursion_limit": 2 * declarative.max_iterations}
    tools = [PlatformTool.of(spec) for spec in specs]
    return create_agent(model_of(config), tools).with_config(limit)


async def _users(config: AgentConfig, module: Module, specs: tuple[FunctionSpec, ...]) -> Graph:
    def context() -> AgentContext:
        from runtime.adapters.langgraph_model import model_of  # noqa: PLC0415 - as above

        tools = [PlatformTool.of(spec) for spec in specs]
        return AgentContext(config=config, tools=tools, model=model_of(config))

    found = named = users_object(config, module, _fits)
    if callable(found) and not isinstance(found, Pregel | StateGraph | type):
        found = await called(found, config, module, context)
    if isinstance(found, StateGraph):
        try:
            found = found.compile()
        except ValueError as error:
            raise BadAgent(f"{said_of(module)} cannot be compiled: {error}") from error
    if not isinstance(found, Pregel):
        needs = "a StateGraph, compiled or not, or a function that returns one"
        raise unfit(found, named, needs, config, module)
    return found


def _fits(found: object) -> bool:
    return isinstance(found, Pregel | StateGraph)


TOLD: Sequence[StreamMode] = ["messages", "custom", "values"]
KEPT: Sequence[StreamMode] = ["values"]
"""What a run without a reader says: after each step its state, and with it what that cost.

Pieces of text would cost a callback each, and nobody wants them.
"""


class LangGraphAdapter:
    """An `Adapter` of one graph."""

    def __init__(self, graph: Graph, config: AgentConfig, shape: Shape) -> None:
        self._graph = graph
        self._config = config
        self._shape = shape
        self._has_memory = bool(graph.checkpointer)
        self._can_resume = graph.checkpointer is None and takes_steps(graph)

    async def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the graph once.

        Text is streamed as models write it, of all their turns; so is text that nodes write with
        `get_stream_writer()`. The answer is the text of the last message alone.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        scope = opened(run)
        given = self._shape.given(run, self._instructions(run))
        try:
            with telling(self._config):
                async with contextlib.aclosing(self._streamed(scope, given)) as steps:
                    async for step in steps:
                        yield step
        except AgentFailure as error:
            if isinstance(error.__cause__, GraphRecursionError):
                raise AgentFailure(self._too_long()) from error
            raise
        finally:
            scope.ended = True
            enter(None)

    async def _streamed(self, scope: Scope, given: Any) -> AsyncGenerator[Step]:
        reader = _Reader()
        counted: set[str] = set()
        result: Any = None
        stream = await self._begun(scope, given)
        async with contextlib.aclosing(within(scope, stream)) as parts:
            async for mode, part in parts:
                scope.check()
                if mode == "values":
                    result = part
                    for cost in spent(result, scope.usage, counted):
                        yield Used(cost)
                elif text := reader.written(part) if mode == "custom" else reader.said(*part):
                    yield Text(text)
        yield self._answer(result)

    def _answer(self, result: Any) -> Answer:
        if isinstance(result, Mapping) and "__interrupt__" in result:
            raise AgentFailure("the graph stopped at interrupt(), and nobody can answer it yet")
        text = answer_of(result, self._shape)
        if not text.strip():
            raise EmptyAnswer("the agent ended without an answer")
        return Answer(text)

    async def _begun(self, scope: Scope, given: Any) -> AsyncIterator[Any]:
        """The graph at work: from the start, or from where the last attempt was."""
        run = scope.run
        mode = TOLD if run.options.stream else KEPT
        if run.checkpoint is None or not self._can_resume:
            return self._graph.astream(given, self._settings(run), stream_mode=mode)
        saver = RunSaver(run.checkpoint, scope, self._graph, self._config)
        graph, config = self._graph.copy(update={"checkpointer": saver}), saver.config
        if run.attempt > 1 and (found := await saver.found()) is not None:
            given = None
            if (limit := (self._graph.config or {}).get("recursion_limit")) is not None:
                config["recursion_limit"] = max(1, limit - found.metadata["step"] - 2)
        return graph.astream(given, config, stream_mode=mode, durability="sync")

    def _settings(self, run: Run) -> RunnableConfig | None:
        if not self._has_memory:
            return None
        # A saver of the user's own must not take up what a lost attempt left in it.
        return {"configurable": {"thread_id": f"{run.task}-{run.attempt}"}}

    def _instructions(self, run: Run) -> str:
        own = self._config.declarative.instructions if self._config.declarative else ""
        return "\n\n".join(text for text in (own, run.options.instructions) if text)

    def _too_long(self) -> str:
        if self._config.declarative is not None:
            most = self._config.declarative.max_iterations
            return (
                f"no answer after {most} turns of the model "
                "(spec.source.declarative.maxIterations); allow more, or ask for less"
            )
        return "the graph did not end within its recursion limit; set one with .with_config()"


class _Reader:
    """The text of a stream, each piece once.

    A node that writes its answer with a stream writer and returns it as a message would otherwise
    say it twice.
    """

    def __init__(self) -> None:
        self._written = ""

    def written(self, part: Any) -> str:
        """The text of one custom part; what is no text is not for the client."""
        if not isinstance(part, str):
            return ""
        self._written += part
        return part

    def said(self, message: AnyMessage | BaseMessage, metadata: Mapping[str, Any]) -> str:
        """The text of one message or piece of one, if a model or a node said it."""
        del metadata
        if isinstance(message, AIMessageChunk):
            return str(message.text)
        if not isinstance(message, AIMessage):
            return ""
        text, before = str(message.text), self._written
        self._written = ""
        return text.removeprefix(before)
