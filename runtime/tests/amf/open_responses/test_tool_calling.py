"""The cases of the Open Responses compliance suite in which a client brings functions.

Server, queue, dispatcher, worker and framework are real; the model is the stand-in.

Source:
    openresponses.org, "Compliance": `tool-calling`, `tool-calling-streaming`,
    `function-call-roundtrip`; "Specification", "Tool Calling" and "Items are streamable".
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from runtime.tests.amf.open_responses.shapes import (
    ArgumentsDelta,
    ArgumentsDone,
    FunctionCall,
    ItemEvent,
    Message,
    OutputText,
    Response,
)
from runtime.tests.amf.open_responses.streams import final_response, read
from runtime.tests.amf.open_responses.test_cases import asked, response_to
from runtime.tests.amf.server import Server
from runtime.tests.amf.working import agent_config, worker

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
QUESTION = {"type": "message", "role": "user", "content": 'What is the weather like in "Oslo"?'}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def model(
    server: Server, model_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """An agent from instructions, at work."""
    config = await agent_config(server, model_url)
    async with worker(tmp_path_factory.mktemp("worker"), config):
        yield config.agent.name


def call_in(response: Response) -> FunctionCall:
    (call,) = response.output
    assert isinstance(call, FunctionCall)
    assert (call.name, call.status) == ("get_weather", "completed")
    assert json.loads(call.arguments).keys() == {"location"}
    return call


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_function_is_called(people: Server, model: str, *, stream: bool) -> None:
    response = await response_to(
        people, stream=stream, model=model, input=[QUESTION], tools=[WEATHER]
    )

    call_in(response)
    assert [tool.name for tool in response.tools] == ["get_weather"]


async def test_arguments_are_streamed_before_the_call_is_done(people: Server, model: str) -> None:
    answer = await asked(people, model=model, input=[QUESTION], tools=[WEATHER], stream=True)
    events = read(answer.text)
    call = call_in(final_response(events))

    (added,) = [one for one in events if one.type == "response.output_item.added"]
    assert isinstance(added, ItemEvent)
    assert isinstance(added.item, FunctionCall)
    assert (added.item.name, added.item.status) == ("get_weather", "in_progress")
    pieces = [one.delta for one in events if isinstance(one, ArgumentsDelta)]
    (done,) = [one for one in events if isinstance(one, ArgumentsDone)]
    assert "".join(pieces) == done.arguments == call.arguments
    assert {one.item_id for one in events if isinstance(one, ArgumentsDelta)} == {call.id}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_its_output_is_answered(people: Server, model: str, *, stream: bool) -> None:
    first = await response_to(people, stream=stream, model=model, input=[QUESTION], tools=[WEATHER])
    output = {
        "type": "function_call_output",
        "call_id": call_in(first).call_id,
        "output": "64 degrees and clear",
    }
    second = await response_to(
        people,
        stream=stream,
        model=model,
        input=[output],
        tools=[WEATHER],
        previous_response_id=first.id,
    )

    assert second.status == "completed"
    assert second.previous_response_id == first.id
    (said,) = second.output
    assert isinstance(said, Message)
    (part,) = said.content
    assert isinstance(part, OutputText)
    assert "64 degrees" in part.text
