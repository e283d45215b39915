"""The API's types as the server has them, of whichever flavour is in this environment."""

from importlib.util import find_spec

IS_OGX = find_spec("ogx_api") is not None

if IS_OGX:
    from ogx_api import (
        CreateResponseRequest,
        OpenAIChatCompletionRequestWithExtraBody,
        OpenAIResponseObject,
        OpenAIResponseObjectStream,
    )
else:
    from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
        CreateResponseRequest,
        OpenAIChatCompletionRequestWithExtraBody,
        OpenAIResponseObject,
        OpenAIResponseObjectStream,
    )

__all__ = [
    "IS_OGX",
    "CreateResponseRequest",
    "OpenAIChatCompletionRequestWithExtraBody",
    "OpenAIResponseObject",
    "OpenAIResponseObjectStream",
]
