"""A turn that a model of the Stack answers by itself, through the server's builtin provider."""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from runtime.amf import sdk
from runtime.amf.items import Wire
from runtime.amf.legacy.asked import temperature, wanted_form
from runtime.amf.legacy.bodies import AgentConfig, SamplingParams
from runtime.amf.legacy.told import Told

log = logging.getLogger(__name__)


def request_of(config: AgentConfig, told: Sequence[Wire]) -> Wire:
    """What a model is asked: a request of the Responses API, kept nowhere else.

    Shape:
        told  all that was said in the session so far, as items.

    The client makes one call at a time: clients of 0.1 cannot make more.
    """
    sampling = config.sampling_params or SamplingParams()
    form = wanted_form(config)
    asked = {
        "model": config.model,
        "input": list(told),
        "instructions": config.instructions or None,
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema_of_arguments,
            }
            for tool in config.client_tools or ()
        ],
        "parallel_tool_calls": False,
        "temperature": temperature(sampling),
        "top_p": sampling.strategy.top_p if sampling.strategy else None,
        "max_output_tokens": sampling.max_tokens or None,
        "max_infer_iters": config.max_infer_iters,
        "text": None if form is None else {"format": form.in_responses()},
    }
    given = {name: value for name, value in asked.items() if value not in (None, [])}
    return given | {"stream": True, "store": False}


async def answer_of(responses: Any, request: Wire) -> Told:
    """Let a model answer a request.

    Raises:
        UnknownModel: there is no such model any more.
    """
    stream = await responses.create_openai_response(sdk.response_request(request))

    async def frames() -> AsyncGenerator[list[Wire]]:
        try:
            async for event in stream:
                yield [event.model_dump(mode="json", exclude_none=True)]
        except Exception as error:  # noqa: BLE001 - of the builtin provider, or a model's client
            log.warning("a model gave no answer", extra={"error": str(error)})
            yield [failed(f"The model {request['model']} gave no answer: {error}")]

    return Told(frames(), _nothing, _nothing_more)


def failed(message: str) -> Wire:
    """The streaming event of a response that has failed."""
    response = {"status": "failed", "error": {"message": message}, "output": []}
    return {"type": "response.failed", "response": response}


async def _nothing() -> None:
    """A model that nobody listens to any more is not asked any further."""


def _nothing_more() -> None:
    """Nothing was opened for it."""
