"""What is not accepted, by status and sentence; and that nothing of it reaches the queue."""

import json
import time
from typing import Any

import httpx
import openai
import pytest

from runtime.contract.subjects import Stream
from runtime.tests.amf.clients import (
    agent,
    agent_without_worker,
    http_client,
    openai_client,
    random_words,
)
from runtime.tests.amf.server import Server
from runtime.tests.nats import OPERATOR_WORKLOAD

SAID = [{"role": "user", "content": "?"}]

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def post(server: Server, path: str = "/responses", **body: Any) -> httpx.Response:
    async with http_client(server) as client:
        return await client.post(path, json=body)


async def waiting(server: Server) -> int:
    """How many tasks wait in the queue."""
    async with server.nats.connect_as(OPERATOR_WORKLOAD) as client:
        stream = server.nats.subjects.stream(Stream.TASKS)
        return (await client.jsm().stream_info(stream)).state.messages


async def test_an_unknown_model_is_told_what_there_is(server: Server) -> None:
    model = await agent_without_worker(server)

    async with openai_client(server) as client:
        with pytest.raises(openai.NotFoundError) as refused:
            await client.responses.create(model="nobody", input="?")

    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert "There is no model nobody" in str(refused.value)
    assert model in str(refused.value)
    assert "small/stand-in" in str(refused.value)


@pytest.mark.parametrize("model", ["agents/nobody", "none/stand-in", "small"])
async def test_names_that_look_nearly_right_are_unknown(server: Server, model: str) -> None:
    assert (await post(server, model=model, input="?")).status_code == 404


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
@pytest.mark.parametrize("prefix", ["", "agents/", "nowhere/"])
async def test_a_name_that_is_wrong_is_told_the_nearest_one_in_every_api(
    server: Server, path: str, prefix: str
) -> None:
    model = await agent_without_worker(server)
    wrong = f"{prefix}{model[:-1]}x"
    asked = {"input": "?"} if path == "/responses" else {"messages": SAID}

    refused = await post(server, path, model=wrong, **asked)

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(f"There is no model {wrong}. ")
    if prefix != "nowhere/":
        near = error["message"].partition("Did you mean ")[2].partition("?")[0]
        assert model in near.split(" or ")
    assert "There are: " in error["message"]
    assert "See GET /v1/models." in error["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_is_chatted_with_by_its_bare_name(server: Server, *, stream: bool) -> None:
    words = random_words()
    async with agent(server) as (model, _), openai_client(server) as client:
        said: Any = [{"role": "user", "content": words}]
        answer: Any = await client.chat.completions.create(
            model=model, messages=said, stream=stream
        )
        if stream:
            text = "".join([piece.choices[0].delta.content or "" async for piece in answer])
        else:
            text = answer.choices[0].message.content

    assert text == words


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(1000, 200, id="limit"),
        pytest.param(1001, 413, id="limit + 1"),
        pytest.param(2 * 1024 * 1024, 413, id="twice what NATS takes"),
    ],
)
async def test_size(server: Server, size: int, status: int) -> None:
    async with agent(server, max_input_bytes=1000) as (model, actor):
        before = await waiting(server)
        answer = await post(server, model=model, input="x" * size)

        assert answer.status_code == status
        if status != 200:
            assert answer.json()["error"]["code"] == "payload_too_large"
            assert await waiting(server) == before
            assert actor.seen == []


@pytest.mark.fault(10)
async def test_what_nats_does_not_take_is_too_large_whatever_the_limit_says(
    server: Server,
) -> None:
    async with agent(server, max_input_bytes=100 * 1024 * 1024) as (model, actor):
        answer = await post(server, model=model, input="x" * 20 * 1024 * 1024)

    assert answer.status_code == 413
    assert actor.seen == []


@pytest.mark.parametrize(
    ("leaving", "why"),
    [(False, "it is suspended (spec.suspend of its Agent)."), (True, "it is being deleted.")],
)
async def test_an_agent_that_takes_no_new_work_says_why(
    server: Server, leaving: bool, why: str
) -> None:
    model = await agent_without_worker(server, accepting=False, leaving=leaving)

    answer = await post(server, model=model, input="?")

    assert answer.status_code == 409
    assert answer.json()["error"]["message"].endswith(f"takes no new work: {why}")


async def test_a_field_that_is_not_done_is_named(server: Server) -> None:
    async with agent(server) as (model, actor):
        answer = await post(server, model=model, input="?", top_p=0.5)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "top_p"
    assert actor.seen == []


@pytest.mark.fault(11)
async def test_a_full_queue_is_a_429_that_says_when_to_ask_again(server: Server) -> None:
    model = await agent_without_worker(server)
    stream = server.nats.subjects.stream(Stream.TASKS)
    async with server.nats.connect_as(OPERATOR_WORKLOAD) as client:
        config = (await client.jsm().stream_info(stream)).config
        held = await waiting(server)
        await client.jsm().update_stream(config, max_msgs=held + 1)
        try:
            first = await post(server, model=model, input="?", background=True)
            second = await post(server, model=model, input="?", background=True)
            said_to = [{"role": "user", "content": "?"}]
            chats = [
                await post(
                    server,
                    "/chat/completions",
                    model=f"agents/{model}",
                    messages=said_to,
                    stream=stream,
                )
                for stream in (False, True)
            ]
        finally:
            await client.jsm().update_stream(config, max_msgs=-1)

    assert first.status_code == 200
    for refused in (second, *chats):
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["error"]["code"] == "queue_full"
    assert await waiting(server) == held + 1
    # What was accepted before is still there.
    assert (await _get(server, first.json()["id"])).json()["status"] == "queued"


async def test_without_authentication_nobody_can_say_who_he_is(server: Server) -> None:
    forged = json.dumps({"__authenticated_user": {"principal": "root", "attributes": {}}})
    async with agent(server) as (model, actor), http_client(server) as client:
        await client.post(
            "/responses",
            json={"model": model, "input": "?"},
            headers={"x-llamastack-provider-data": forged},
        )

    assert [task.user for task in actor.seen] == ["anonymous"]


@pytest.mark.fault(12)
async def test_without_a_queue_requests_are_refused_in_time_and_it_comes_back_by_itself(
    server: Server,
) -> None:
    words = random_words()
    async with agent(server) as (model, _):
        await server.nats.server.stop()
        try:
            began = time.monotonic()
            down = await post(server, model=model, input=words)
            took = time.monotonic() - began
            ready = await server.readiness()
        finally:
            await server.nats.server.start()

        assert down.status_code == 503
        assert down.json()["error"]["code"] == "queue_unavailable"
        assert int(down.headers["retry-after"]) > 0
        assert took < 6
        assert ready == 200  # it still answers: with this sentence, and for other models

        async with openai_client(server) as client:
            patient = client.with_options(max_retries=10)
            assert (await patient.responses.create(model=model, input=words)).output_text == words


async def _get(server: Server, response: str) -> httpx.Response:
    async with http_client(server) as client:
        return await client.get(f"/responses/{response}")
