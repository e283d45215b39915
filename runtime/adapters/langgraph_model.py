"""The agent's model as LangChain knows it."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast, override
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import LanguageModelInput
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from runtime.adapters.langgraph_state import usage_of
from runtime.adapters.port import ModelFailure
from runtime.adapters.scope import current
from runtime.contract.agent_config import AgentConfig

RETRIES = 1  # for a server that has just gone; it tries a model several times itself


def model_of(config: AgentConfig) -> "PlatformModel":
    """The model of `spec.modelRef`, asked through the Stack's server."""
    return PlatformModel(
        model=config.model.id,
        base_url=config.model.base_url,
        api_key=SecretStr("unused"),
        timeout=config.execution.timeout_seconds,
        max_retries=RETRIES,
        stream_usage=True,
        use_responses_api=False,
        callbacks=[_Counting()],
    )


class PlatformModel(ChatOpenAI):
    """An OpenAI-compatible model that does as the client of the run wished."""

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if (scope := current()) is not None:
            options = scope.run.options
            if options.temperature is not None:
                payload["temperature"] = options.temperature
            if options.max_output_tokens is not None:
                payload["max_completion_tokens"] = options.max_output_tokens
            if options.output is not None:
                # Beside it: LangChain would parse what it knows of, and take strict tools alone.
                payload["extra_body"] = {
                    **(payload.get("extra_body") or {}),
                    "response_format": options.output.in_chat(),
                }
        return payload

    @override
    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        """The pieces of an answer.

        Raises:
            ModelFailure: they stop before the model has said that it has finished.
        """
        finished = False
        stream = cast("AsyncGenerator[ChatGenerationChunk]", super()._astream(*args, **kwargs))
        async with contextlib.aclosing(stream) as chunks:
            async for chunk in chunks:
                finished = finished or "finish_reason" in (chunk.generation_info or {})
                yield chunk
        if not finished:
            where = f"the model {self.model_name} at {self.openai_api_base}"
            raise ModelFailure(f"{where} broke off in the middle of its answer")


class _Counting(BaseCallbackHandler):
    """Notes what each call cost, also of those whose message no state keeps."""

    run_inline = True  # in the context of the call, so that the run is known

    @override
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        if (scope := current()) is None:
            return
        for generation in (one for several in response.generations for one in several):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            usage = getattr(message, "usage_metadata", None)
            if message is not None and message.id and usage:
                scope.usage[message.id] = usage_of(usage)
