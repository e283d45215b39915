"""Functions that a client brings along, with the clients that people use.

Server, queue, dispatcher, worker and framework are real; the model is the stand-in.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from runtime.tests.agents import model_url
from runtime.tests.amf.clients import openai_client
from runtime.tests.amf.server import Server
from runtime.tests.amf.working import agent_config, worker

__all__ = ["model_url"]  # a fixture

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    "required": ["a", "b"],
}
ADD: Any = {
    "type": "function",
    "name": "add",
    "description": "Add two numbers.",
    "parameters": NUMBERS,
}
ONE, TWO = "What is 12 + 30?", "What is 1 + 2 + 3?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def model(
    server: Server, model_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """An agent from instructions, at work."""
    config = await agent_config(server, model_url)
    async with worker(tmp_path_factory.mktemp("worker"), config):
        yield config.agent.name


def calls(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "function_call"]


def made(call: Any) -> str:
    given = json.loads(call.arguments)
    return str(given["a"] + given["b"])


def outputs(response: Any) -> Any:
    return [
        {"type": "function_call_output", "call_id": call.call_id, "output": made(call)}
        for call in calls(response)
    ]


async def test_a_function_of_the_client_is_called_by_him(people: Server, model: str) -> None:
    async with client_of(people) as client:
        first = await client.responses.create(model=model, input=ONE, tools=[ADD])
        second = await client.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id, tools=[ADD]
        )
        again = [await client.responses.retrieve(one.id) for one in (first, second)]

    (call,) = calls(first)
    assert (first.status, call.name) == ("completed", "add")
    assert json.loads(call.arguments) == {"a": 12, "b": 30}
    assert (second.status, second.previous_response_id) == ("completed", first.id)
    assert "42" in second.output_text
    assert second.id != first.id
    assert [one.output for one in again] == [first.output, second.output]
    assert [one.usage for one in again] == [first.usage, second.usage]


async def test_each_half_of_a_streamed_answer_is_a_stream_of_its_own(
    people: Server, model: str
) -> None:
    async with client_of(people) as client:
        first = [
            event
            async for event in await client.responses.create(
                model=model, input=ONE, tools=[ADD], stream=True
            )
        ]
        asked = first[-1].response
        second = [
            event
            async for event in await client.responses.create(
                model=model, input=outputs(asked), previous_response_id=asked.id, stream=True
            )
        ]
        answer = second[-1].response
        told = {one.id: one for one in (asked, answer)}
        for events in (first, second):
            name = events[-1].response.id
            assert [event.sequence_number for event in events] == list(range(len(events)))
            rest = await client.responses.retrieve(name, stream=True, starting_after=2)
            assert [numbered(event) async for event in rest] == [*map(numbered, events[3:])]
            assert (await client.responses.retrieve(name)).output == told[name].output

    assert [event.type.removeprefix("response.") for event in first] == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.output_index for event in first[2:6]] == [0, 0, 0, 0]
    assert second[0].response.id == answer.id
    assert [item.type for item in answer.output] == ["message"]
    assert [event.output_index for event in second[2:-1]] == [0] * (len(second) - 3)
    assert "42" in answer.output_text


async def test_a_run_calls_its_client_as_often_as_it_needs(people: Server, model: str) -> None:
    async with client_of(people) as client:
        response = await client.responses.create(model=model, input=TWO, tools=[ADD])
        seen = [response]
        while calls(response):
            response = await client.responses.create(
                model=model, input=outputs(response), previous_response_id=response.id
            )
            seen.append(response)
        items = client.responses.input_items.list(response.id, order="asc")
        given = [item async for item in items]
        later = await client.responses.create(
            model=model, input="Say that again.", previous_response_id=response.id
        )

    assert len(seen) == 3
    assert "6" in response.output_text
    assert [item.type for item in given] == [
        "message",
        *("function_call", "function_call_output") * 2,
    ]
    usage = [one.usage for one in seen]
    assert all(one is not None and one.input_tokens > 0 for one in usage)
    assert len({one.id for one in seen}) == 3
    assert later.previous_response_id == response.id


PAIR = "What is 1 + 2 and what is 3 + 4?"


async def test_calls_that_are_made_together_get_their_outputs_together(
    people: Server, model: str
) -> None:
    async with client_of(people) as client:
        first = await client.responses.create(model=model, input=PAIR, tools=[ADD])
        assert len(calls(first)) == 2
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
            await client.responses.create(
                model=model, input=outputs(first)[:1], previous_response_id=first.id
            )
        second = await client.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id
        )

    assert "3" in second.output_text
    assert "7" in second.output_text


async def test_a_client_that_keeps_everything_itself_names_the_run_by_its_calls(
    people: Server, model: str
) -> None:
    """As the OpenAI Agents SDK does: it sends the whole conversation each time."""
    async with client_of(people) as client:
        said: list[Any] = [{"role": "user", "content": TWO}]
        response = await client.responses.create(model=model, input=said, tools=[ADD], store=False)
        while calls(response):
            said += [item.model_dump(exclude_none=True) for item in response.output]
            said += outputs(response)
            response = await client.responses.create(
                model=model, input=said, tools=[ADD], store=False
            )
        assert "6" in response.output_text
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)
        said += [item.model_dump(exclude_none=True) for item in response.output]
        said.append({"role": "user", "content": ONE})
        another = await client.responses.create(model=model, input=said, tools=[ADD])

    assert len(calls(another)) == 1
    assert calls(another)[0].call_id.split("_")[1] != response.id.split("_")[1]


async def test_a_run_in_the_background_goes_on_there(people: Server, model: str) -> None:
    async with client_of(people) as client:
        first = await ended(
            client,
            await client.responses.create(model=model, input=ONE, tools=[ADD], background=True),
        )
        second = await client.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id, background=True
        )
        assert second.status == "queued"
        assert second.background
        assert "42" in (await ended(client, second)).output_text


async def test_the_same_outputs_again_get_the_same_response_and_others_none(
    people: Server, model: str
) -> None:
    async with client_of(people) as client:
        first = await client.responses.create(model=model, input=ONE, tools=[ADD])
        given = outputs(first)
        one = await client.responses.create(model=model, input=given, previous_response_id=first.id)
        two = await client.responses.create(model=model, input=given, previous_response_id=first.id)
        with pytest.raises(openai.ConflictError, match="Other outputs were given"):
            await client.responses.create(
                model=model, input=[given[0] | {"output": "43"}], previous_response_id=first.id
            )

    assert (two.id, two.output) == (one.id, one.output)


async def test_who_says_something_new_instead_is_told_of_the_open_call(
    people: Server, model: str
) -> None:
    async with client_of(people) as client:
        talk = await client.conversations.create()
        first = await client.responses.create(
            model=model, input=ONE, tools=[ADD], conversation=talk.id
        )
        named = f"No tool output found for function call {calls(first)[0].call_id}"
        for before in ({"previous_response_id": first.id}, {"conversation": talk.id}):
            with pytest.raises(openai.BadRequestError, match=named):
                await client.responses.create(model=model, input="Never mind.", **before)
        cancelled = await client.responses.cancel(first.id)
        after = await client.responses.create(
            model=model, input="Never mind.", conversation=talk.id
        )
        with pytest.raises(openai.ConflictError, match="it was cancelled"):
            await client.responses.create(
                model=model, input=outputs(first), previous_response_id=first.id
            )

    assert (cancelled.status, cancelled.output) == ("completed", first.output)
    assert after.status == "completed"


async def test_a_conversation_goes_on_behind_the_outputs(people: Server, model: str) -> None:
    async with client_of(people) as client:
        talk = await client.conversations.create()
        first = await client.responses.create(
            model=model, input=ONE, tools=[ADD], conversation=talk.id
        )
        await client.responses.create(model=model, input=outputs(first), conversation=talk.id)
        items = [item async for item in client.conversations.items.list(talk.id, order="asc")]

    texts = [item.content[0].text for item in items]
    assert texts[0] == ONE
    assert "42" in texts[1]


def client_of(server: Server) -> Any:
    """The package's client; what it gives are unions of all that there may be."""
    return openai_client(server)


def numbered(event: Any) -> tuple[int, str]:
    return event.sequence_number, event.type


async def ended(client: Any, response: Any) -> Any:
    async with asyncio.timeout(20):
        while response.status in {"queued", "in_progress"}:
            await asyncio.sleep(0.05)
            response = await client.responses.retrieve(response.id)
    return response
