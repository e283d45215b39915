"""A provider of Llama Stack's Responses API that answers at once: what the server itself costs.

Shape:
    `module: at_once` in run.yaml leads here. It says what the agent of the benchmarks says, in
    Llama Stack's own response object, as its own providers do.

Source:
    llama-stack 0.7.3, `core/distribution.py` (`get_provider_spec`); llama-stack-api 0.7.3,
    `responses/api.py`.
"""

import functools
import time
import uuid
from typing import Any

from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
    Api,
    InlineProviderSpec,
    OpenAIResponseMessage,
    OpenAIResponseObject,
    OpenAIResponseOutputMessageContentOutputText,
)
from pydantic import BaseModel

from runtime.garbage import spare_what_is_loaded

PREFIX = "This is what you have said, word by word:"  # of parrot.py, which needs a framework


class Config(BaseModel):
    """It has none."""


@functools.cache
def _spare_what_is_loaded() -> None:
    """Once, as the server does for ours when it starts."""
    spare_what_is_loaded()


class AtOnce:
    """The provider."""

    async def initialize(self) -> None:
        """Nothing."""

    async def shutdown(self) -> None:
        """Nothing."""

    async def create_openai_response(self, request: Any) -> Any:
        """Answer a request, whole."""
        _spare_what_is_loaded()
        text = OpenAIResponseOutputMessageContentOutputText(text=f"{PREFIX} {request.input}")
        message = OpenAIResponseMessage(
            id=f"msg_{uuid.uuid4().hex}", role="assistant", status="completed", content=[text]
        )
        return OpenAIResponseObject(
            id=f"resp_{uuid.uuid4().hex}",
            created_at=int(time.time()),
            model=request.model,
            output=[message],
            status="completed",
            store=True,
        )


def get_provider_spec() -> Any:
    """What the server has to know of it."""
    return InlineProviderSpec(
        api=Api.responses,
        provider_type="inline::at-once",
        module=__name__,
        config_class=f"{__name__}.Config",
        is_external=True,
    )


async def get_provider_impl(_config: Config, _deps: dict[Any, Any]) -> AtOnce:
    """The provider."""
    return AtOnce()
