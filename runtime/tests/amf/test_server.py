"""Agents asked through a real server and a real queue, with the clients that people use."""

import asyncio
from typing import Any

import openai
import pydantic
import pytest
from openai.lib._pydantic import to_strict_json_schema
from openai.types.responses import ResponseFormatTextJSONSchemaConfig

from runtime.amf.flavour import IS_OGX
from runtime.contract.messages import Message, Role
from runtime.tests.amf.clients import agent, openai_client, random_words, stack_client
from runtime.tests.amf.events import called, completed, failed, returned, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server
from runtime.tests.amf.wire import Tapped

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def with_a_tool(play: Play) -> None:
    """Use the tool once and say the sum it gives."""
    arguments = '{"a": 2, "b": 3}'
    await play.perform(
        [started(), called(1, arguments), returned(1, "5"), said("5"), completed("5", 11, 4)]
    )


@pytest.mark.parametrize("prefix", ["", "agents/"])
async def test_an_agent_answers_the_openai_client(server: Server, prefix: str) -> None:
    words = random_words()
    async with agent(server) as (model, actor), openai_client(server) as client:
        response = await client.responses.create(model=prefix + model, input=words)

    assert response.output_text == words
    assert response.status == "completed"
    assert response.model == model
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.total_tokens) == (7, 10)
    assert response.id == f"resp_{actor.seen[0].id}"
    assert actor.seen[0].input == (Message(role=Role.USER, text=words),)
    assert actor.seen[0].user == "anonymous"


async def test_an_agent_streams_to_the_openai_client(server: Server) -> None:
    words = random_words()
    async with agent(server) as (model, _), openai_client(server) as client:
        stream = await client.responses.create(model=model, input=words, stream=True)
        events = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == words
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == words


async def test_each_event_of_a_server_comes_before_its_check(
    server: Server, tapped: Tapped
) -> None:
    """What every other test relies on that streams: see `wire.py`."""
    tapped.check()
    async with agent(server, with_a_tool) as (model, _), openai_client(server) as client:
        stream = await client.responses.create(model=model, input="2+3?", stream=True)
        kinds = [event.type async for event in stream]

    assert tapped.check() == kinds
    assert "response.mcp_call_arguments.done" in kinds


async def test_the_stream_helper_of_the_openai_client_takes_it(server: Server) -> None:
    async with (
        agent(server, with_a_tool) as (model, _),
        openai_client(server) as client,
        client.responses.stream(model=model, input="2+3?") as stream,
    ):
        async for _ in stream:
            pass
        response = await stream.get_final_response()

    assert response.output_text == "5"
    assert [item.type for item in response.output] == ["mcp_call", "message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_tool_did_is_told(server: Server, *, stream: bool) -> None:
    async with agent(server, with_a_tool) as (model, _), openai_client(server) as client:
        answer: Any = await client.responses.create(model=model, input="2+3?", stream=stream)
        if stream:
            events = [event async for event in answer]
            assert "response.mcp_call_arguments.done" in [event.type for event in events]
            answer = events[-1].response

    call = answer.output[0]
    assert (call.type, call.name, call.arguments, call.output) == (
        "mcp_call",
        "plus",
        '{"a": 2, "b": 3}',
        "5",
    )
    assert call.server_label == "add"
    assert answer.output_text == "5"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_answers_the_llama_stack_client(server: Server, *, stream: bool) -> None:
    async with agent(server, with_a_tool) as (model, _), stack_client(server) as client:
        answer: Any = await client.responses.create(model=model, input="2+3?", stream=stream)
        if stream:
            events = [event async for event in answer]
            assert [event.sequence_number for event in events] == list(range(len(events)))
            answer = events[-1].response

    assert answer.output_text == "5"
    assert answer.output[0].output == "5"


async def test_agents_are_listed_as_models_and_the_list_follows_the_catalogue(
    server: Server,
) -> None:
    entry = await server.add_agent("listed", description="Does sums.")
    assert (await server.models())["agents/listed"]["description"] == "Does sums."
    assert (await server.models())["agents/listed"]["framework"] == "LangGraph"

    await server.add_agent("listed", description="Does hard sums.")
    await server.remove_agent(entry)

    async with asyncio.timeout(2):
        while "agents/listed" in await server.models():
            await asyncio.sleep(0.05)
    assert "small/stand-in" in await server.models()


async def test_one_model_is_told_as_the_list_tells_it_to_clients_of_openai_and_llama_stack(
    server: Server,
) -> None:
    async with agent(server, description="Does sums.") as (model, _):
        name = f"agents/{model}"
        async with openai_client(server) as client:
            listed = {one.id: one async for one in client.models.list()}
            found = [await client.models.retrieve(one) for one in (model, name)]
            small = await client.models.retrieve("small/stand-in")

    for one, in_list in ((found[0], name), (found[1], name), (small, "small/stand-in")):
        assert one.to_dict() | {"created": 0} == listed[in_list].to_dict() | {"created": 0}
    about = found[0].to_dict()
    assert (about["id"], about["object"], about["identifier"]) == (name, "model", name)
    assert isinstance(about["created"], int)
    assert about["owned_by"] == ("ogx" if IS_OGX else "llama_stack")
    provided = {"model_type": "llm", "provider_id": "agents", "provider_resource_id": model}
    assert about.items() >= ({"type": "model"} | provided).items()
    metadata: Any = about["metadata"]
    assert metadata["description"] == "Does sums."
    assert about["custom_metadata"] == provided | metadata


async def test_an_agent_of_another_namespace_has_it_in_its_name(server: Server) -> None:
    entry = await server.add_agent("far", namespace="other")

    assert "agents/other.far" in await server.models()
    await server.remove_agent(entry)


async def test_an_agent_that_fails_says_why(server: Server) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), said("It"), failed("the model is down")])

    async with agent(server, fail) as (model, _), openai_client(server) as client:
        response = await client.responses.create(model=model, input="?")
        stream = await client.responses.create(model=model, input="?", stream=True)
        events = [event async for event in stream]

    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("agent_error", "the model is down")
    assert events[-1].type == "response.failed"


async def test_agents_can_be_chatted_with(server: Server) -> None:
    words = random_words()
    async with agent(server) as (model, _), openai_client(server) as client:
        said_to: Any = [{"role": "user", "content": words}]
        name = f"agents/{model}"
        whole = await client.chat.completions.create(model=name, messages=said_to)
        stream = await client.chat.completions.create(
            model=name, messages=said_to, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    assert whole.choices[0].message.content == words
    assert whole.usage is not None
    assert whole.usage.total_tokens == 10
    pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(pieces) == words
    assert chunks[-1].usage is not None
    assert chunks[-2].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_with_an_agent_that_fails_is_an_error_and_one_run(
    server: Server, *, stream: bool
) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), said("It"), failed("the model is down")])

    async with agent(server, fail) as (model, actor), openai_client(server) as client:
        asked = client.with_options(max_retries=2).chat.completions.create(
            model=f"agents/{model}", messages=[{"role": "user", "content": "?"}], stream=stream
        )
        with pytest.raises(openai.APIError, match="the model is down"):
            async for _ in await asked:  # type: ignore[union-attr]  # when it is no stream it raises
                pass

    assert len(actor.seen) == 1


class Sum(pydantic.BaseModel):
    """What a client wants to have parsed."""

    total: int
    note: str | None = None


async def with_a_document(play: Play) -> None:
    """Say one sum, as its client has asked for."""
    output = play.task.options.output
    assert output is not None
    assert (output.name, output.strict) == ("Sum", True)
    assert output.json_schema == to_strict_json_schema(Sum)
    document = '{"total": 5, "note": null}'
    texts = [said(document)] if play.task.options.stream else []
    await play.perform([started(), *texts, completed(document)])


async def test_an_answer_is_parsed_by_the_openai_client(server: Server) -> None:
    async with agent(server, with_a_document) as (model, _), openai_client(server) as client:
        response = await client.responses.parse(model=model, input="2+3?", text_format=Sum)
        async with client.responses.stream(model=model, input="?", text_format=Sum) as stream:
            streamed = await stream.get_final_response()
        chat = await client.chat.completions.parse(
            model=f"agents/{model}",
            messages=[{"role": "user", "content": "2+3?"}],
            response_format=Sum,
        )

    assert response.output_parsed == streamed.output_parsed == Sum(total=5)
    assert chat.choices[0].message.parsed == Sum(total=5)
    shown = response.text
    assert shown is not None
    assert isinstance(shown.format, ResponseFormatTextJSONSchemaConfig)
    assert (shown.format.name, shown.format.strict) == ("Sum", True)
    assert shown.format.schema_ == to_strict_json_schema(Sum)


async def test_an_unusable_schema_is_refused_by_its_field(server: Server) -> None:
    form: Any = {"type": "json_schema", "name": "sum", "schema": {"type": "nothing"}}
    async with agent(server) as (model, actor), openai_client(server) as client:
        with pytest.raises(openai.BadRequestError, match="'nothing' is not valid") as refused:
            await client.responses.create(model=model, input="?", text={"format": form})

    assert refused.value.param == "text.format.schema"
    assert actor.seen == []
