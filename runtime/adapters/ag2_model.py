"""The agent's model as AG2 knows it."""

import functools
import os
from dataclasses import fields, is_dataclass, replace
from typing import Any, override

from ag2.config import ModelConfig, OpenAIConfig, OpenAIResponsesConfig
from ag2.config.openai.openai_client import OpenAIClient
from openai import DefaultAsyncHttpxClient

from runtime.adapters.scope import current
from runtime.contract.agent_config import AgentConfig
from runtime.contract.messages import Options

RETRIES = 1  # for a server that has just gone; it tries a model several times itself


def model_of(config: AgentConfig) -> "PlatformModel":
    """The model of `spec.modelRef`, asked through the Stack's server."""
    return PlatformModel(
        model=config.model.id,
        base_url=config.model.base_url,
        api_key=os.environ.get("OPENAI_API_KEY", "unused"),
        timeout=config.execution.timeout_seconds,
        max_retries=RETRIES,
        http_client=connections(),
    )


@functools.lru_cache
def connections() -> DefaultAsyncHttpxClient:
    """The connections of this process to models."""
    return DefaultAsyncHttpxClient()


def connected(model: ModelConfig) -> ModelConfig:
    """The same model, asked over connections that are kept.

    AG2 makes a client for each turn, otherwise one with connections of its own, and closes none.
    """
    if isinstance(model, OpenAIConfig | OpenAIResponsesConfig) and model.http_client is None:
        return replace(model, http_client=connections())
    return model


class PlatformModel(OpenAIConfig):
    """An OpenAI-compatible model that does as the client of the run wished."""

    @override
    def create(self) -> OpenAIClient:
        scope = current()
        if scope is None:
            return super().create()
        options = scope.run.options
        wishes = {
            "temperature": options.temperature,
            "max_completion_tokens": options.max_output_tokens,
            "extra_body": self._body(options),
        }
        given: Any = {name: value for name, value in wishes.items() if value is not None}
        return OpenAIConfig.create(replace(self, **given))

    def _body(self, options: Options) -> dict[str, Any] | None:
        """What AG2 has no setting for; its own schemas belong to agents and not to runs."""
        if options.output is None:
            return None
        return {**(self.extra_body or {}), "response_format": options.output.in_chat()}


def streaming(model: Any) -> Any:
    """The same model, told to write its answers piece by piece if it knows how."""
    if is_dataclass(model) and any(field.name == "streaming" for field in fields(model)):
        return replace(model, streaming=True)  # type: ignore[type-var]  # an object, no class
    return model
