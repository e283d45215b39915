"""Requests with an `Idempotency-Key`, asked again: one run, whoever answers and whenever."""

import asyncio
import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.amf.intake import digest_of
from runtime.contract.keys import claim_key
from runtime.contract.messages import Message, ResponseOptions, Role, Task
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Role as Workloads
from runtime.contract.value import ObjectName
from runtime.state.claims import Claim, Claims
from runtime.state.runs import Runs
from runtime.tests.amf.clients import agent, agent_without_worker, http_client
from runtime.tests.amf.events import called, completed, returned, said, started
from runtime.tests.amf.plays import Play, acting
from runtime.tests.amf.server import Server, running_server
from runtime.tests.amf.server_types import CreateResponseRequest
from runtime.tests.nats import OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


async def post(
    server: Server, key: dict[str, str], path: str = "/responses", **body: Any
) -> httpx.Response:
    async with http_client(server) as client:
        return await client.post(path, json=body, headers=key)


def chat(model: str, words: str = "?", **fields: Any) -> dict[str, Any]:
    said_to = [{"role": "user", "content": words}]
    return {"path": "/chat/completions", "model": f"agents/{model}", "messages": said_to} | fields


async def with_a_tool(play: Play) -> None:
    steps = [called(1), returned(1)]
    texts = [started(), *steps, said("5")] if play.task.options.stream else steps
    await play.perform([*texts, completed("5", 7, 3)])


def frames(answer: httpx.Response) -> list[dict[str, Any]]:
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    for frame in told:
        frame.get("response", {}).pop("completed_at", None)
    return told


async def test_the_same_request_is_one_run(server: Server) -> None:
    key = a_key()
    async with agent(server, with_a_tool) as (model, actor):
        first = (await post(server, key, model=model, input="2+3?")).json()
        again = (await post(server, key, input="2+3?", model=model)).json()
        other = (await post(server, a_key(), model=model, input="2+3?")).json()

    assert abs(first.pop("completed_at") - again.pop("completed_at")) <= 1
    assert again == first
    assert other["id"] != first["id"]
    assert len(actor.seen) == 2


async def test_a_stream_that_is_asked_for_again_tells_the_same_events(server: Server) -> None:
    key = a_key()
    async with agent(server, with_a_tool) as (model, actor):
        body: Any = {"model": model, "input": "2+3?", "stream": True}
        first = frames(await post(server, key, **body))
        again = frames(await post(server, key, **body))

    assert again == first
    assert first[-1]["type"] == "response.completed"
    assert len(actor.seen) == 1


async def test_a_background_response_is_shown_as_it_stands(server: Server) -> None:
    key, model = a_key(), await agent_without_worker(server)
    body: Any = {"model": model, "input": "2+3?", "background": True}
    first = (await post(server, key, **body)).json()
    waiting = (await post(server, key, **body)).json()
    async with acting(server.nats, await server.nats.agent(model)), http_client(server) as client:
        async with asyncio.timeout(5):
            path = f"/responses/{first['id']}"
            while (ended := (await client.get(path)).json())["status"] != "completed":
                await asyncio.sleep(0.05)
        shown = (await post(server, key, **body)).json()

    assert waiting == first
    assert shown == ended


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_that_is_asked_for_again_is_one_run(server: Server, *, stream: bool) -> None:
    key = a_key()
    async with agent(server, with_a_tool) as (model, actor):
        first = await post(server, key, **chat(model, stream=stream))
        again = await post(server, key, **chat(model, stream=stream))

    assert first.status_code == again.status_code == 200
    assert first.text == again.text
    assert len(actor.seen) == 1


async def test_a_key_belongs_to_one_request(server: Server) -> None:
    key = a_key()
    async with agent(server) as (model, actor):
        await post(server, key, model=model, input="one")
        answers = [
            await post(server, key, model=model, input="two"),
            await post(server, key, model=model, input="one", temperature=0.5),
            await post(server, key, **chat(model, "one")),
        ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert {a.json()["error"]["code"] for a in answers} == {"idempotency_key_reused"}
    assert {a.json()["error"]["param"] for a in answers} == {"Idempotency-Key"}
    assert len(actor.seen) == 1


@pytest.mark.fault(8)
async def test_at_once_and_on_two_servers_it_is_one_run(server: Server, other: Server) -> None:
    key, go_on = a_key(), asyncio.Event()

    async def script(play: Play) -> None:
        await go_on.wait()
        await with_a_tool(play)

    async with agent(server, script) as (model, actor):
        await other.until_known(model)
        asking = [
            asyncio.create_task(post(where, key, model=model, input="2+3?", stream=True))
            for where in (server, other) * 5
        ]
        async with asyncio.timeout(10):
            while not actor.seen:
                await asyncio.sleep(0.02)
        go_on.set()
        answers = await asyncio.gather(*asking)

    assert [answer.status_code for answer in answers] == [200] * 10
    told = [frames(answer) for answer in answers]
    assert all(one == told[0] for one in told)
    assert len({task.id for task in actor.seen}) == 1


@pytest.mark.fault(8)
async def test_who_lost_his_server_finds_his_run_at_another_one(
    server: Server, tmp_path: Path
) -> None:
    key, go_on = a_key(), asyncio.Event()

    async def script(play: Play) -> None:
        await go_on.wait()
        await with_a_tool(play)

    async with (
        running_server(server.nats, tmp_path) as doomed,
        agent(server, script) as (model, actor),
    ):
        await doomed.until_known(model)
        body: Any = {"model": model, "input": "2+3?"}
        asking = asyncio.create_task(post(doomed, key, **body))
        async with asyncio.timeout(10):
            while not actor.seen:
                await asyncio.sleep(0.02)
        await doomed.kill()
        with pytest.raises(httpx.TransportError):
            await asking
        again = asyncio.create_task(post(server, key, **body))
        go_on.set()
        answer = (await again).json()

    assert answer["id"] == f"resp_{actor.seen[0].id}"
    assert answer["output"][-1]["content"][0]["text"] == "5"
    assert len(actor.seen) == 1


@pytest.mark.fault(8)
@pytest.mark.parametrize("seconds", [0, 3600])
async def test_a_claim_whose_server_was_lost_before_it_came_to_a_run_is_taken_up(
    server: Server, seconds: float
) -> None:
    """However long ago: the run has all of its time."""
    key = a_key()
    async with agent(server) as (model, actor):
        body: Any = {"model": model, "input": "?"}
        request = CreateResponseRequest.model_validate(body)
        left = Claim(
            task=secrets.token_hex(16),
            digest=digest_of("responses", request),
            created=time.time() - seconds,
        )
        async with server.nats.link_as(await server.nats.serving(Workloads.SERVER)) as link:
            name = claim_key("anonymous", key["Idempotency-Key"])
            await Claims(link.store(Bucket.RUNS)).make(name, left)
        answer = (await post(server, key, **body)).json()

    assert answer["id"] == f"resp_{left.task}"
    assert answer["status"] == "completed"
    assert len(actor.seen) == 1


@pytest.mark.fault(8)
async def test_a_run_that_never_got_into_the_queue_is_queued_when_it_is_asked_for_again(
    server: Server,
) -> None:
    """Its server was lost between the record and the queue."""
    key, model = a_key(), await agent_without_worker(server)
    body: Any = {"model": model, "input": "?"}
    digest = digest_of("responses", CreateResponseRequest.model_validate(body))
    left = Claim(task=secrets.token_hex(16), digest=digest, created=time.time())
    name = claim_key("anonymous", key["Idempotency-Key"])
    record = RunRecord(
        task=Task(
            id=left.task,
            stack=server.nats.stack,
            agent=ObjectName(namespace="team", name=model),
            origin="lost",
            input=(Message(role=Role.USER, text="?"),),
            response=ResponseOptions(claim=name),
            created=left.created,
            deadline=left.created + 60,
        )
    )
    async with server.nats.link_as(await server.nats.serving(Workloads.SERVER)) as link:
        await Claims(link.store(Bucket.RUNS)).make(name, left)
        await Runs(link.store(Bucket.RUNS)).accept(record)
    async with acting(server.nats, await server.nats.agent(model)):
        answer = (await post(server, key, **body)).json()

    assert answer["id"] == f"resp_{left.task}"
    assert answer["output"][0]["content"][0]["text"] == "?"


async def test_who_leaves_a_stream_finds_it_again(server: Server) -> None:
    key, go_on = a_key(), asyncio.Event()

    async def script(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("It "), said("is"), completed("It is")])
        await play.tell(*events[:2])
        await go_on.wait()
        await play.finish(*events[2:])

    async with agent(server, script) as (model, actor), http_client(server) as client:
        body: Any = {"model": model, "input": "?", "stream": True}
        async with client.stream("POST", "/responses", json=body, headers=key) as answer:
            async for line in answer.aiter_lines():
                if "output_text.delta" in line:
                    break
        again = asyncio.create_task(post(server, key, **body))
        await asyncio.sleep(0.3)  # for a cancellation that would come, wrongly
        go_on.set()
        told = frames(await again)

    assert told[-1]["response"]["status"] == "completed"
    assert len(actor.seen) == 1


async def test_what_was_refused_leaves_its_key_free(server: Server) -> None:
    key, model = a_key(), await agent_without_worker(server)
    stream = server.nats.subjects.stream(Stream.TASKS)
    body: Any = {"model": model, "input": "?", "background": True}
    async with server.nats.connect_as(OPERATOR_WORKLOAD) as client:
        info = await client.jsm().stream_info(stream)
        await client.jsm().update_stream(info.config, max_msgs=max(info.state.messages, 1))
        if not info.state.messages:
            await post(server, {}, **body)
        try:
            full = await post(server, key, **body)
        finally:
            await client.jsm().update_stream(info.config, max_msgs=-1)
    async with acting(server.nats, await server.nats.agent(model)):
        answer = await post(server, key, model=model, input="now?")

    assert full.status_code == 429
    assert int(full.headers["retry-after"]) > 0
    assert answer.status_code == 200
    assert answer.json()["output"][0]["content"][0]["text"] == "now?"


async def test_a_key_has_a_form_and_is_for_agents(server: Server) -> None:
    async with agent(server) as (model, actor):
        answers = [
            await post(server, {"Idempotency-Key": "x" * 256}, model=model, input="?"),
            await post(server, {"Idempotency-Key": ""}, model=model, input="?"),
            await post(server, a_key(), model="small/stand-in", input="?"),
        ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert {a.json()["error"]["param"] for a in answers} == {"Idempotency-Key"}
    assert actor.seen == []
