"""Functions that a client brings along, with the clients that people use.

Server, queue, dispatcher, worker and framework are real; the model is the stand-in.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from a2a.types import SubscribeToTaskRequest, TaskState
from llama_stack_client import Agent, LlamaStackClient

from runtime.contract.agent_config import StackConfig
from runtime.contract.catalogue import FunctionSpec, ToolEntry
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.amf.a2a.clients import a2a_client, answered, read
from runtime.tests.amf.clients import agent, http_client, openai_client
from runtime.tests.amf.handing_over import goes_on_at, hands_over
from runtime.tests.amf.server import Server
from runtime.tests.amf.working import agent_config, worker
from runtime.tests.dispatch.processes import start

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


async def cut_and_again(http: Any, go_on: asyncio.Event, path: str, body: Any) -> str:
    """Lose a stream when its text begins, and ask for the same again: what that gets."""
    async with asyncio.timeout(20), http.stream("POST", path, json=body) as answer:
        async for line in answer.aiter_lines():
            if "It " in line:
                break
    again = asyncio.create_task(http.post(path, json=body))
    await asyncio.sleep(0.3)  # for a cancellation that would come, wrongly
    go_on.set()
    told: str = (await again).text
    return told


async def test_who_loses_a_stream_of_outputs_gives_them_again(people: Server) -> None:
    go_on = asyncio.Event()
    async with (
        agent(people, goes_on_at(go_on)) as (name, _),
        client_of(people) as client,
        http_client(people) as http,
    ):
        first = await client.responses.create(model=name, input=ONE, tools=[ADD])
        output = {
            "type": "function_call_output",
            "call_id": calls(first)[0].call_id,
            "output": "42",
        }
        body = {"model": name, "input": [output], "stream": True}
        told = await cut_and_again(http, go_on, "/responses", body)
        found = await client.responses.retrieve(f"{first.id}_1")

    assert "event: response.completed" in told
    assert (found.status, found.output_text) == ("completed", "It is")


async def test_who_loses_a_streamed_chat_of_outputs_gives_them_again(people: Server) -> None:
    go_on = asyncio.Event()
    async with (
        agent(people, goes_on_at(go_on)) as (name, _),
        client_of(people) as client,
        http_client(people) as http,
    ):
        said: list[Any] = [{"role": "user", "content": ONE}]
        chat = {"model": f"agents/{name}", "messages": said, "tools": [CHAT_ADD]}
        (choice,) = (await client.chat.completions.create(**chat)).choices
        (call,) = choice.message.tool_calls
        said.append(choice.message.model_dump(exclude_none=True))
        said.append({"role": "tool", "tool_call_id": call.id, "content": "42"})
        told = await cut_and_again(http, go_on, "/chat/completions", chat | {"stream": True})

    assert '"finish_reason":"stop"' in told


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


CHAT_ADD: Any = {"type": "function", "function": {k: v for k, v in ADD.items() if k != "type"}}


async def test_a_chat_calls_functions_and_finds_its_run_again_by_the_calls(
    people: Server, model: str
) -> None:
    async with client_of(people) as client:
        said: list[Any] = [{"role": "user", "content": TWO}]
        chat = {"model": f"agents/{model}", "messages": said, "tools": [CHAT_ADD]}
        reasons = []
        while True:
            (choice,) = (await client.chat.completions.create(**chat)).choices
            reasons.append(choice.finish_reason)
            said.append(choice.message.model_dump(exclude_none=True))
            if choice.finish_reason == "stop":
                break
            said += [
                {"role": "tool", "tool_call_id": call.id, "content": made(call.function)}
                for call in choice.message.tool_calls
            ]
        said.append({"role": "user", "content": "Hello"})
        (after,) = (await client.chat.completions.create(**chat)).choices

    assert reasons == ["tool_calls", "tool_calls", "stop"]
    assert "6" in said[-2]["content"]
    assert after.finish_reason == "stop"


async def test_a_streamed_chat_tells_its_calls_whole(people: Server, model: str) -> None:
    async with client_of(people) as client:
        said: list[Any] = [{"role": "user", "content": PAIR}]
        chat = {
            "model": f"agents/{model}",
            "messages": said,
            "tools": [CHAT_ADD],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        chunks = [chunk async for chunk in await client.chat.completions.create(**chat)]
        told = [chunk.choices[0] for chunk in chunks if chunk.choices]
        asked = [call for choice in told for call in choice.delta.tool_calls or ()]
        assert told[-1].finish_reason == "tool_calls"
        assert chunks[-1].usage.total_tokens > 0
        assert [call.index for call in asked] == [0, 1]
        calls_made = [call.model_dump(exclude={"index"}) for call in asked]
        said.append({"role": "assistant", "content": None, "tool_calls": calls_made})
        said += [
            {"role": "tool", "tool_call_id": call.id, "content": made(call.function)}
            for call in asked
        ]
        rest = [chunk async for chunk in await client.chat.completions.create(**chat)]

    told = [chunk.choices[0] for chunk in rest if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in told)
    assert told[-1].finish_reason == "stop"
    assert "3" in text
    assert "7" in text


def add_together(a: int, b: int) -> int:
    """Add two numbers.

    :param a: the first
    :param b: the second
    """
    return a + b


async def test_the_agents_of_the_llama_stack_client_call_their_own_tools(
    people: Server, model: str
) -> None:
    def turn() -> str:
        with LlamaStackClient(base_url=people.url, max_retries=0) as client:
            agent = Agent(client, model=model, instructions="You help.", tools=[add_together])
            session = agent.create_session("sums")
            messages = [{"type": "message", "role": "user", "content": TWO}]
            answer: Any = agent.create_turn(messages, session_id=session, stream=False)
            return str(answer.output_text)

    assert "6" in await asyncio.to_thread(turn)


async def test_every_response_of_a_run_is_listed_and_all_are_erased_together(
    people: Server, model: str
) -> None:
    async with client_of(people) as client, http_client(people) as http:
        first = await client.responses.create(model=model, input=ONE, tools=[ADD])
        with pytest.raises(openai.ConflictError, match=f"cancel {first.id} first"):
            await client.responses.delete(first.id)
        second = await client.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id
        )
        listed = (await http.get("/responses", params={"model": model, "order": "desc"})).json()
        by_id = {one["id"]: one for one in listed["data"]}
        assert [item["type"] for item in by_id[second.id]["input"]] == [
            "message",
            "function_call",
            "function_call_output",
        ]
        assert [item["type"] for item in by_id[first.id]["output"]] == ["function_call"]
        await client.responses.delete(second.id)
        for one in (first, second):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(one.id)


async def test_a_client_that_never_answers_is_waited_for_until_the_limit_of_the_agent(
    people: Server, model_url: str, tmp_path: Path
) -> None:
    config = await agent_config(people, model_url, client_seconds=1)
    async with worker(tmp_path, config), client_of(people) as client:
        name = config.agent.name
        talk = await client.conversations.create()
        first = await client.responses.create(
            model=name, input=ONE, tools=[ADD], conversation=talk.id
        )
        after = None
        async with asyncio.timeout(20):
            while after is None:
                await asyncio.sleep(0.1)
                with contextlib.suppress(openai.BadRequestError):  # it still waits for the output
                    after = await client.responses.create(
                        model=name, input="Hello", conversation=talk.id
                    )
        with pytest.raises(openai.ConflictError, match="gave no output of add within 1 s"):
            await client.responses.create(
                model=name, input=outputs(first), previous_response_id=first.id
            )
        again = await client.responses.retrieve(first.id)

    assert after.status == "completed"
    assert (again.status, again.output) == ("completed", first.output)


async def test_what_cannot_be_done_is_refused_by_its_name(people: Server, model: str) -> None:
    async with http_client(people) as client:

        async def refused(**body: Any) -> tuple[int, str]:
            answer = await client.post("/responses", json={"model": model} | body)
            return answer.status_code, answer.json()["error"]["param"]

        nowhere = {"type": "function_call_output", "call_id": "call_1", "output": "5"}
        gone = nowhere | {"call_id": f"call_{'f' * 32}_0"}
        assert await refused(input=ONE, tools=[{"type": "web_search"}]) == (400, "tools[0].type")
        assert await refused(input=ONE, tools=[ADD | {"parameters": {"type": "array"}}]) == (
            400,
            "tools[0].parameters",
        )
        assert await refused(input=[nowhere]) == (400, "input[0].call_id")
        assert await refused(input=[gone]) == (404, "input[0]")
        key = {"Idempotency-Key": "k"}
        body = {"model": model, "input": [gone]}
        answer = await client.post("/responses", json=body, headers=key)
        assert answer.json()["error"]["param"] == "Idempotency-Key"


@pytest.mark.fault(10)
async def test_an_output_that_is_too_large_is_refused_and_the_run_waits_for_another(
    people: Server,
) -> None:
    async with (
        agent(people, hands_over, max_input_bytes=2**21) as (name, _),
        client_of(people) as client,
    ):
        first = await client.responses.create(model=name, input=ONE, tools=[ADD])
        (call,) = calls(first)
        output = {"type": "function_call_output", "call_id": call.call_id}
        for size in (2**21 + 1, 2**20):  # over the limit of the agent, and of the queue
            with pytest.raises(openai.APIStatusError) as refused:
                await client.responses.create(model=name, input=[output | {"output": "x" * size}])
            assert (refused.value.status_code, refused.value.param) == (413, "input[0]")
        size = 2**19
        second = await client.responses.create(model=name, input=[output | {"output": "x" * size}])
    assert second.output_text == str(size)


async def test_a_name_that_a_tool_of_the_agent_has_is_taken(people: Server) -> None:
    tool = ObjectName(namespace="team", name=f"t{secrets.token_hex(3)}")
    spec = FunctionSpec(name="add", input_schema=NUMBERS)
    await people.add_tool(ToolEntry(tool=tool, functions=(spec,)))
    async with agent(people, tools=[tool]) as (name, _), http_client(people) as client:
        body = {"model": name, "input": ONE, "tools": [ADD]}
        async with asyncio.timeout(5):
            while (answer := await client.post("/responses", json=body)).status_code == 200:
                await asyncio.sleep(0.05)  # the server follows the catalogue
    assert answer.json()["error"]["param"] == "tools[0].name"


async def test_a_name_that_an_agent_has_which_it_may_ask_is_taken(people: Server) -> None:
    other = ObjectName(namespace="elsewhere", name="add")
    async with agent(people, agents=[other]) as (name, actor), http_client(people) as client:
        body = {"model": name, "input": ONE, "tools": [ADD]}
        answer = await client.post("/responses", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tools[0].name"
    assert actor.seen == []


async def test_the_outputs_may_go_to_another_server(
    people: Server, other: Server, model: str
) -> None:
    await other.until_known(model)
    async with client_of(people) as client, client_of(other) as elsewhere:
        first = await client.responses.create(model=model, input=ONE, tools=[ADD])
        second = await elsewhere.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id
        )
        found = await client.responses.retrieve(second.id)
    assert found.output == second.output


async def test_for_another_protocol_it_is_one_task_whatever_it_calls(
    people: Server, model: str
) -> None:
    async with client_of(people) as client, a2a_client(people, model) as peer:
        first = await client.responses.create(model=model, input=ONE, tools=[ADD])
        task = first.id.removeprefix("resp_")
        coming = peer.subscribe(SubscribeToTaskRequest(id=task))
        told = [await anext(coming)]
        await client.responses.create(
            model=model, input=outputs(first), previous_response_id=first.id
        )
        told += await read(coming)
    assert told[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert "42" in answered(told)


@pytest.mark.fault(1)
async def test_a_worker_and_a_dispatcher_that_are_killed_while_a_run_is_parked_cost_nothing(
    server: Server, model_url: str, tmp_path: Path
) -> None:
    config = await agent_config(server, model_url)
    name = config.agent.name
    queue = server.nats.queue(await server.nats.serving(Role.DISPATCHER))
    leading = StackConfig(queue=queue, lease_seconds=1)
    words = ("dispatch", f"stack/{server.nats.stack}")
    dispatcher = await start(tmp_path, "first", *words, config=leading)
    async with client_of(server) as client:
        try:
            async with worker(tmp_path, config):
                first = await client.responses.create(model=name, input=TWO, tools=[ADD])
        finally:
            await dispatcher.kill()
        second = await client.responses.create(
            model=name, input=outputs(first), previous_response_id=first.id, background=True
        )
        dispatcher = await start(tmp_path, "second", *words, config=leading)
        try:
            async with worker(tmp_path, config, "again"):
                second = await ended(client, second)
                third = await client.responses.create(
                    model=name, input=outputs(second), previous_response_id=second.id
                )
        finally:
            await dispatcher.kill()

    assert "6" in third.output_text
