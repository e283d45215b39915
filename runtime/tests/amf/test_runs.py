"""Responses that are asked about by their id, gone on with, cancelled and deleted."""

import asyncio
import json
import time
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from runtime.contract.messages import Completed, Message, Role
from runtime.contract.runs import REVISION, RunRecord
from runtime.state.runs import Held
from runtime.tests.amf.clients import (
    agent,
    agent_without_worker,
    http_client,
    openai_client,
    random_words,
    stack_client,
)
from runtime.tests.amf.events import called, completed, failed, returned, said, started
from runtime.tests.amf.plays import Play, acting, echo, until_cancelled
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def until_ended(client: openai.AsyncOpenAI, response: str) -> Response:
    async with asyncio.timeout(10):
        while (found := await client.responses.retrieve(response)).status in {
            "queued",
            "in_progress",
        }:
            await asyncio.sleep(0.05)
    return found


async def with_a_tool(play: Play) -> None:
    await play.perform(
        [started(), said("Hm."), called(1), returned(1), said("5"), completed("5", 11, 4)]
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_is_the_same_when_asked_for_again(server: Server, *, stream: bool) -> None:
    async with agent(server, with_a_tool) as (model, _), http_client(server) as client:
        body = {"model": model, "input": "2+3?", "stream": stream, "metadata": {"a": "b"}}
        answer = await client.post("/responses", json=body)
        first = json.loads(answer.text.rpartition("data: ")[2])["response"] if stream else None
        first = first or answer.json()
        again = (await client.get(f"/responses/{first['id']}")).json()

    assert abs(again.pop("completed_at") - first.pop("completed_at")) <= 1
    assert again == first
    assert first["metadata"] == {"a": "b"}
    assert [item["type"] for item in first["output"]][-2:] == ["mcp_call", "message"]


async def test_a_background_response_is_accepted_without_a_worker_and_answered_by_one(
    server: Server,
) -> None:
    words = random_words()
    model = await agent_without_worker(server)
    async with openai_client(server) as client:
        accepted = await client.responses.create(model=model, input=words, background=True)
        assert accepted.status == "queued"
        assert (await client.responses.retrieve(accepted.id)).status == "queued"
        workload = await server.nats.agent(model)
        async with acting(server.nats, workload):
            ended = await until_ended(client, accepted.id)

    assert ended.output_text == words
    assert ended.background


async def test_a_task_names_the_revision_of_its_record(server: Server) -> None:
    """With it a worker begins the run unread."""
    named: list[tuple[str, Held]] = []

    async def reads(play: Play) -> None:
        named.append((play.delivery.headers[REVISION], play.held))
        await echo(play)

    async with agent(server, reads) as (model, _), openai_client(server) as client:
        await client.responses.create(model=model, input="?", metadata={"a": "b"})

    ((revision, held),) = named
    assert revision == str(held.revision)
    assert held.record == RunRecord(task=held.record.task)


async def test_a_background_response_may_be_streamed(server: Server) -> None:
    async with agent(server) as (model, _), openai_client(server) as client:
        stream = await client.responses.create(
            model=model, input="a b", background=True, stream=True
        )
        events = [event async for event in stream]

    first = events[0]
    assert first.type == "response.created"
    assert first.response.status == "queued"
    assert events[1].type == "response.in_progress"
    assert events[-1].type == "response.completed"


async def test_a_response_goes_on_with_the_previous_one(server: Server) -> None:
    async with agent(server) as (model, actor), openai_client(server) as client:
        one = await client.responses.create(model=model, input="one")
        two = await client.responses.create(model=model, input="two", previous_response_id=one.id)
        three = await client.responses.create(
            model=model, input="three", previous_response_id=two.id
        )

    assert three.previous_response_id == two.id
    said_before = [(m.role, m.text) for m in actor.seen[2].history]
    assert said_before == [
        (Role.USER, "one"),
        (Role.ASSISTANT, "one"),
        (Role.USER, "two"),
        (Role.ASSISTANT, "two"),
    ]
    assert actor.seen[2].input == (Message(role=Role.USER, text="three"),)


async def test_a_previous_response_has_to_be_there_and_completed(server: Server) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), failed("no")])

    async with agent(server, fail) as (model, _), http_client(server) as client:
        body = {"model": model, "input": "?"}
        broken = (await client.post("/responses", json=body)).json()["id"]
        gone = "resp_" + "0" * 32
        answers = [
            await client.post("/responses", json=body | {"previous_response_id": previous})
            for previous in (broken, gone, "resp_of-a-plain-model")
        ]

    assert [answer.status_code for answer in answers] == [409, 404, 404]
    assert {a.json()["error"]["param"] for a in answers} == {"previous_response_id"}


async def test_a_running_response_is_cancelled(server: Server) -> None:
    async with agent(server, until_cancelled) as (model, _), openai_client(server) as client:
        job = await client.responses.create(model=model, input="?", background=True)
        async with asyncio.timeout(5):
            while (await client.responses.retrieve(job.id)).status != "in_progress":
                await asyncio.sleep(0.02)
        cancelled = await client.responses.cancel(job.id)
        again = await client.responses.cancel(job.id)

    assert cancelled.status == again.status == "cancelled"


async def test_cancelling_is_asked_for_and_later_told_where_nobody_works(server: Server) -> None:
    model = await agent_without_worker(server)
    async with openai_client(server) as client:
        job = await client.responses.create(model=model, input="?", background=True)
        asked = await client.responses.cancel(job.id)

    assert asked.status == "queued"  # the dispatcher ends it; none runs here


async def test_a_response_is_forgotten_once_it_has_ended(server: Server) -> None:
    async with agent(server) as (model, _), openai_client(server) as client:
        response = await client.responses.create(model=model, input="?")
        await client.responses.delete(response.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)

        waiting = await agent_without_worker(server)
        job = await client.responses.create(model=waiting, input="?", background=True)
        with pytest.raises(openai.ConflictError, match="has not ended; cancel resp_"):
            await client.responses.delete(job.id)


async def test_what_is_not_stored_cannot_be_asked_for(server: Server) -> None:
    async with agent(server) as (model, _), openai_client(server) as client:
        response = await client.responses.create(model=model, input="?", store=False)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)


async def test_the_input_of_a_response_is_listed_in_pages(server: Server) -> None:
    async with agent(server) as (model, _), openai_client(server) as client:
        one = await client.responses.create(model=model, input="one")
        two = await client.responses.create(model=model, input="two", previous_response_id=one.id)
        pages: Any = client.responses.input_items.list(two.id, order="asc", limit=2)
        listed = [item.content[0].text async for item in pages]
        newest: Any = await client.responses.input_items.list(two.id, limit=1)

    assert listed == ["one", "one", "two"]
    assert newest.data[0].content[0].text == "two"
    assert newest.has_more


async def test_responses_nobody_has_heard_of_are_not_found(server: Server) -> None:
    async with http_client(server) as client:
        for response in ("resp_" + "f" * 32, "resp_17c2-of-the-builtin-provider"):
            assert (await client.get(f"/responses/{response}")).status_code == 404
            assert (await client.delete(f"/responses/{response}")).status_code == 404
            assert (await client.post(f"/responses/{response}/cancel")).status_code == 404


async def test_the_llama_stack_client_asks_again(server: Server) -> None:
    async with agent(server) as (model, _), stack_client(server) as client:
        response = await client.responses.create(model=model, input="a b")
        again = await client.responses.retrieve(response.id)

    assert again.output_text == "a b"


async def test_a_run_that_only_its_record_tells_of_is_answered(server: Server) -> None:
    """The worker was lost after it wrote the end, and before it told anybody."""

    async def silent(play: Play) -> None:
        await play.begin()
        await play.write(Completed(task=play.task.id, attempt=1, seq=2, text="done"))

    async with agent(server, silent) as (model, _), openai_client(server) as client:
        began = time.monotonic()
        response = await client.responses.create(model=model, input="?")

    assert response.output_text == "done"
    assert time.monotonic() - began < 8
