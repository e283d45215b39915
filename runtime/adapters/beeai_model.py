"""The agent's model as BeeAI knows it."""

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Iterator
from typing import Any, override

from beeai_framework.adapters.openai import OpenAIChatModel
from beeai_framework.backend import ChatModelError, ChatModelOutput
from beeai_framework.backend.types import ChatModelInput
from beeai_framework.context import RunContext
from beeai_framework.errors import FrameworkError
from openai import AsyncOpenAI

from runtime.adapters.port import ModelFailure
from runtime.adapters.scope import current
from runtime.contract.agent_config import AgentConfig

RETRIES = 1  # for a server that has just gone; it tries a model several times itself


def model_of(config: AgentConfig) -> "PlatformModel":
    """The model of `spec.modelRef`, asked through the Stack's server."""
    client = client_of(config.model.base_url, config.execution.timeout_seconds)
    return PlatformModel(
        config.model.id,
        base_url=config.model.base_url,
        api_key="unused",
        # With a base_url it would else take `required` for more than the server can do, and ask
        # for a form of answers in the place of tools.
        tool_choice_support={"required", "single", "none", "auto"},
        allow_parallel_tool_calls=True,
        use_strict_tool_schema=False,  # which makes every argument a required one
        settings={"client": client, "timeout": config.execution.timeout_seconds},
    )


@functools.lru_cache
def client_of(base_url: str, timeout_seconds: float) -> AsyncOpenAI:
    """The one client of a server; an adapter that is built anew keeps its connections."""
    return AsyncOpenAI(base_url=base_url, api_key="unused", timeout=timeout_seconds)


class PlatformModel(OpenAIChatModel):  # type: ignore[misc]  # it is not where types are checked
    """An OpenAI-compatible model that does as the client of the run wished."""

    @override
    def _transform_input(self, input: ChatModelInput) -> dict[str, Any]:
        # That it allows several calls at a time is not yet said to the model.
        wishes: dict[str, Any] = {"parallel_tool_calls": self.allow_parallel_tool_calls}
        if (scope := current()) is not None:
            options = scope.run.options
            wishes |= {"temperature": options.temperature, "max_tokens": options.max_output_tokens}
        given = {name: value for name, value in wishes.items() if value is not None}
        asked = super()._transform_input(input.model_copy(update=given))
        return {**asked, "max_retries": RETRIES}

    @override
    async def _create(self, input: ChatModelInput, run: RunContext) -> ChatModelOutput:
        with _once():
            return await super()._create(input, run)

    @override
    async def _create_stream(
        self, input: ChatModelInput, _: RunContext
    ) -> AsyncGenerator[ChatModelOutput]:
        """The pieces of an answer.

        Raises:
            ModelFailure: they stop before the model has said that it has finished.
        """
        response: Any = None
        with _once():
            async with contextlib.aclosing(super()._create_stream(input, _)) as pieces:
                async for piece in pieces:
                    # litellm says "stop" where a model said nothing; its stream alone knows.
                    response = inspect.getasyncgenlocals(pieces).get("response", response)
                    yield piece
            if getattr(response, "received_finish_reason", "unknown") is None:
                where = f"the model {self.model_id} at {self._settings['base_url']}"
                raise ModelFailure(f"{where} broke off in the middle of its answer")


@contextlib.contextmanager
def _once() -> Iterator[None]:
    """Let no failure be tried again: the agent would do so at once and several times."""
    try:
        yield
    except FrameworkError:
        raise
    except Exception as error:
        raise ChatModelError(cause=error) from error
