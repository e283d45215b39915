"""Models as CrewAI knows them, asked so that a run can end its calls."""

import contextlib
import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, override

from crewai.llms.base_llm import BaseLLM, call_stream_override
from crewai.llms.providers.openai.completion import OpenAICompletion

from runtime.adapters.crewai_events import current_told
from runtime.adapters.crewai_resume import asked
from runtime.adapters.once import once, once_awaited
from runtime.adapters.port import EmptyAnswer, ModelFailure
from runtime.adapters.scope import Scope, current, is_in_a_loop, wait
from runtime.contract.agent_config import AgentConfig

NULL = {"type": "null"}
RETRIES = 1  # for a server that has just gone; it tries a model several times itself

_ASKING: ContextVar[bool] = ContextVar("asking", default=False)
"""Whether a model is being asked: one kind may do that by what it inherits from another."""

# It warns at each call of a model whose tokens it cannot count, and it can count those of none.
logging.getLogger("crewai.llms.base_llm").setLevel(logging.ERROR)


def model_of(config: AgentConfig, **facts: Any) -> "PlatformModel":
    """The model of `spec.modelRef`, asked through the Stack's server."""
    return PlatformModel(
        model=config.model.id,
        base_url=config.model.base_url,
        api_key="unused",
        custom_openai=True,
        timeout=config.execution.timeout_seconds,
        max_retries=RETRIES,
        **facts,
    )


class PlatformModel(OpenAICompletion):  # type: ignore[misc]  # the checker has no CrewAI
    """An OpenAI-compatible model that does as the client of the run wished."""

    @override
    def is_context_window_overflowing_threshold(self, *args: Any, **kwargs: Any) -> bool:
        """Whether to shorten what was said: nobody knows the model's window but its server."""
        return False

    @override
    def is_tool_result_overflowing_threshold(self, tool_result: str) -> tuple[bool, int]:
        """Whether to keep a result from the model: the platform has limits of its own."""
        return False, 0

    @override
    def _convert_tools_for_interference(self, tools: Any) -> list[dict[str, Any]]:
        """The tools without OpenAI's strict mode, which makes a model fill every argument."""
        converted: list[dict[str, Any]] = super()._convert_tools_for_interference(tools)
        for tool in converted:
            function = tool["function"]
            function.pop("strict")
            if (parameters := function.get("parameters")) and "required" in parameters:
                parameters["required"] = [
                    name
                    for name in parameters["required"]
                    if NULL not in parameters["properties"][name].get("anyOf", ())
                ]
        return converted

    @override
    def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        params: dict[str, Any] = super()._prepare_completion_params(*args, **kwargs)
        if (scope := current()) is not None:
            options = scope.run.options
            if options.temperature is not None:
                params["temperature"] = options.temperature
            if options.max_output_tokens is not None:
                params["max_completion_tokens"] = options.max_output_tokens
            if options.output is not None:
                params.setdefault("response_format", options.output.in_chat())
        return params

    @override
    def _finalize_streaming_response(self, *args: Any, **kwargs: Any) -> Any:
        """What a stream came to.

        Raises:
            ModelFailure: it stopped before the model has said that it has finished.
        """
        if kwargs.get("finish_reason") is None:
            where = f"the model {self.model} at {self.base_url}"
            raise ModelFailure(f"{where} broke off in the middle of its answer")
        return super()._finalize_streaming_response(*args, **kwargs)


def ask_in_the_loop(kind: type[BaseLLM]) -> None:
    """Let models of this kind be asked in the event loop of the run, whoever asks.

    CrewAI asks them in threads, even of a crew that is awaited, and nothing can end what a thread
    waits for. Their asynchronous calls end with the run. Of a model that a user asks with another
    provider's client, what it is asked goes on until it answers; the run ends all the same.
    """
    ask: Callable[..., Any] = kind.call

    @wraps(ask)
    def call(model: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        scope = current()
        if scope is None or is_in_a_loop():
            return ask(model, *args, **kwargs)
        return wait(scope, _asked(ask, model, scope, *args, **kwargs))

    kind.call = call  # one place instead of each model that a user makes


async def _asked(
    ask: Callable[..., Any], model: BaseLLM, scope: Scope, *args: Any, **kwargs: Any
) -> Any:
    """What a model answers, or has answered in an attempt before.

    Raises:
        EmptyAnswer: nothing.
    """
    scope.check()
    told = current_told()
    if told is not None:
        told.turn()

    async def answered() -> Any:
        answer = await _answered(model, scope, *args, **kwargs)
        if told is not None:
            await told.taken()
        return answer

    piece = asked(ask, model, *args, **kwargs)
    return await (answered() if piece is None else once_awaited(piece, answered))


async def _answered(model: BaseLLM, scope: Scope, *args: Any, **kwargs: Any) -> Any:
    """What a model answers now; its text is streamed if the client of the run wants that."""
    streamed = scope.run.options.stream and kwargs.get("response_model") is None
    with call_stream_override(model, stream=True) if streamed else contextlib.nullcontext():
        answer = await model.acall(*args, **kwargs)
    if answer is None or answer == "":
        raise EmptyAnswer("the agent ended without an answer")
    return answer


def remember_answers() -> None:
    """Let the models of all other kinds remember what they have answered, also those to come.

    They are asked where they are asked, since not all of them know how to be awaited.
    """
    kinds = [BaseLLM]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        _answers_are_kept(kind)
    base: Any = BaseLLM
    made: Callable[..., None] = base.__init_subclass__.__func__

    def init_subclass(kind: type[BaseLLM], /, **kwargs: Any) -> None:
        made(kind, **kwargs)
        _answers_are_kept(kind)

    base.__init_subclass__ = classmethod(init_subclass)


def _answers_are_kept(kind: type[BaseLLM]) -> None:
    if kind is BaseLLM or issubclass(kind, OpenAICompletion) or "call" not in vars(kind):
        return
    ask: Callable[..., Any] = kind.call

    @wraps(ask)
    def call(model: BaseLLM, *args: Any, **kwargs: Any) -> Any:
        # What CrewAI asks with; theirs may take any.
        piece = None if _ASKING.get() else asked(BaseLLM.call, model, *args, **kwargs)
        if piece is None:
            return ask(model, *args, **kwargs)
        return once(piece, partial(_answering, ask, model, *args, **kwargs))

    kind.call = call


def _answering(ask: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = _ASKING.set(True)
    try:
        return ask(*args, **kwargs)
    finally:
        _ASKING.reset(token)


ask_in_the_loop(OpenAICompletion)
remember_answers()
