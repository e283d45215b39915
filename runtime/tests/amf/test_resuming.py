"""Streams that go on: on another server, after the first one was killed, and long after the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from runtime.contract.subjects import Stream
from runtime.tests.amf.clients import agent, agent_without_worker, http_client, openai_client
from runtime.tests.amf.events import called, completed, returned, said, started
from runtime.tests.amf.plays import Play, acting
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


type Frame = dict[str, Any]


async def frames(answer: httpx.Response) -> AsyncIterator[Frame]:
    """The events of a stream, until the connection ends or breaks."""
    try:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])
    except httpx.RemoteProtocolError:
        return


async def again(server: Server, response: str, **query: Any) -> list[Frame]:
    """What a server streams of a response."""
    query = {"stream": "true"} | query
    async with (
        http_client(server) as client,
        client.stream("GET", f"/responses/{response}", params=query) as answer,
    ):
        assert answer.status_code == 200
        return [frame async for frame in frames(answer)]


def bare(told: list[Frame]) -> list[Frame]:
    """The events without when the response was completed, which each server reads off a clock."""
    for frame in told:
        if (response := frame.get("response")) is not None:
            response.pop("completed_at")
    return told


async def crashing(play: Play, words: int, half: asyncio.Event, go_on: asyncio.Event) -> None:
    """Say `words` words; the first worker is lost after a tool call, the second one goes on."""
    texts = [said(f"word {number}, ") for number in range(words)]
    whole = "".join(str(fields["text"]) for _, fields in texts)
    first = [started("w1"), said("Let me see. "), called(1)]
    second = [started("w2"), said("Let me see. "), called(1), returned(1), *texts]
    events = play.events(first, [*second, completed(f"Let me see. {whole}")])
    await play.begin("w1")
    await play.tell(*(event for event in events if event.attempt == 1))
    await play.begin("w2")
    later = [event for event in events if event.attempt == 2]
    middle = len(later) // 2
    await play.tell(*later[:middle])
    half.set()
    await go_on.wait()
    await play.finish(*later[middle:])


async def test_a_stream_goes_on_at_a_second_server_after_the_first_was_killed(
    server: Server, other: Server, tmp_path: Path
) -> None:
    half, go_on = asyncio.Event(), asyncio.Event()

    async def script(play: Play) -> None:
        await crashing(play, 60, half, go_on)

    async with running_server(server.nats, tmp_path) as doomed, agent(server, script) as (model, _):
        await doomed.until_known(model)
        body = {"model": model, "input": "?", "stream": True}
        read: list[Frame] = []
        async with (
            http_client(doomed) as client,
            client.stream("POST", "/responses", json=body) as answer,
        ):
            await asyncio.wait_for(half.wait(), 10)
            async for frame in frames(answer):
                read.append(frame)
                if "word 20" in frame.get("delta", ""):
                    await doomed.kill()
        response = read[0]["response"]["id"]
        last = read[-1]["sequence_number"]
        joining = asyncio.create_task(again(other, response, starting_after=last))
        running = asyncio.create_task(again(other, response))
        await asyncio.sleep(0.3)  # both have joined while it runs
        go_on.set()
        rest = await asyncio.wait_for(joining, 20)
        whole = await asyncio.wait_for(running, 20)
        kept = await again(server, response)

    numbers = [frame["sequence_number"] for frame in read + rest]
    assert numbers == list(range(len(numbers)))
    assert bare(read + rest) == bare(whole) == bare(kept)
    assert rest[-1]["type"] == "response.completed"
    said_in_all = "".join(f["delta"] for f in whole if f["type"] == "response.output_text.delta")
    assert said_in_all == "Let me see. " + "".join(f"word {n}, " for n in range(60))


async def test_a_background_stream_is_left_and_gone_on_with_by_the_openai_client(
    server: Server, other: Server
) -> None:
    go_on = asyncio.Event()

    async def script(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("one "), said("two"), completed("one two")])
        await play.tell(*events[:2])
        await go_on.wait()
        await play.finish(*events[2:])

    async with (
        agent(server, script) as (model, _),
        openai_client(server) as client,
        openai_client(other) as elsewhere,
    ):
        stream = await client.responses.create(model=model, input="?", background=True, stream=True)
        read: list[Any] = []
        async for event in stream:
            read.append(event)
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        resumed = await elsewhere.responses.retrieve(
            read[0].response.id, stream=True, starting_after=read[-1].sequence_number
        )
        go_on.set()
        read += [event async for event in resumed]

    assert [event.sequence_number for event in read] == list(range(len(read)))
    assert read[0].response.status == "queued"
    assert read[-1].response.output_text == "one two"


async def test_a_response_that_nobody_has_begun_is_joined_before_it_is(
    server: Server, other: Server
) -> None:
    model = await agent_without_worker(server)
    async with openai_client(server) as client:
        accepted = await client.responses.create(
            model=model, input="a b", background=True, stream=True
        )
        first = await anext(aiter(accepted))
        await accepted.close()
        response = first.response.id  # type: ignore[union-attr]  # the first event has it
        joining = asyncio.create_task(again(other, response))
        async with acting(server.nats, await server.nats.agent(model)):
            told = await asyncio.wait_for(joining, 20)

    assert told[-1]["type"] == "response.completed"
    assert bare(told) == bare(await again(other, response))


async def test_who_leaves_a_stream_that_was_joined_does_not_cancel_the_run(
    server: Server, other: Server
) -> None:
    go_on = asyncio.Event()

    async def script(play: Play) -> None:
        await play.begin()
        await play.tell(*play.events([started(), said("It")]))
        await go_on.wait()
        await asyncio.sleep(0.3)  # for a cancellation that would come, wrongly
        found = await play.runs.get(play.task.agent, play.task.id)
        assert found is not None
        assert not found.record.cancel_requested
        await play.finish(play.events([started(), said("It"), completed("It is")])[-1])

    async with (
        agent(server, script) as (model, _),
        http_client(server) as client,
        http_client(other) as elsewhere,
    ):
        body = {"model": model, "input": "?", "stream": True}
        async with client.stream("POST", "/responses", json=body) as answer:
            mine = frames(answer)
            response = (await anext(mine))["response"]["id"]
            path = f"/responses/{response}?stream=true"
            async with elsewhere.stream("GET", path) as joined:
                async for frame in frames(joined):
                    if frame["type"] == "response.output_text.delta":
                        break
            go_on.set()
            last = [frame async for frame in mine][-1]

    assert last["type"] == "response.completed"


async def test_a_run_that_was_not_streamed_tells_its_steps(server: Server, other: Server) -> None:
    async def script(play: Play) -> None:
        assert not play.task.options.stream
        await play.perform([called(1), returned(1), completed("5")])

    async with agent(server, script) as (model, _), openai_client(server) as client:
        response = await client.responses.create(model=model, input="?")
        told = await again(other, response.id)
        rest = await again(server, response.id, starting_after=told[3]["sequence_number"])

    assert "response.mcp_call.completed" in [frame["type"] for frame in told]
    assert told[-1]["response"]["output"][-1]["content"][0]["text"] == "5"
    assert bare(rest) == bare(told)[4:]


async def test_events_that_are_not_kept_are_not_counted_anew(server: Server) -> None:
    async with agent(server) as (model, actor), openai_client(server) as client:
        stream = await client.responses.create(model=model, input="a b", stream=True)
        events = [event async for event in stream]
        name = server.nats.subjects.stream(Stream.EVENTS)
        subject = server.nats.subjects.events_of(actor.seen[0].id)
        async with server.nats.connect_as(OPERATOR_WORKLOAD) as operator:
            await operator.jsm().purge_stream(name, subject=subject)
        response = events[-1].response.id  # type: ignore[union-attr]  # the last event has it
        with pytest.raises(openai.APIStatusError, match="not kept any more") as gone:
            await client.responses.retrieve(response, stream=True, starting_after=2)
        told = await again(server, response)

    assert gone.value.status_code == 410
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "a b"


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        pytest.param({"stream": "perhaps"}, 400, "stream", id="no boolean"),
        pytest.param({"stream": "true", "starting_after": "-1"}, 400, "starting_after", id="-1"),
        pytest.param({"starting_after": "1"}, 400, "starting_after", id="no stream"),
        pytest.param({"include": "all"}, 400, "include", id="something else"),
        pytest.param({"stream": "true"}, 404, "response_id", id="nobody's"),
    ],
)
async def test_what_cannot_be_streamed_is_refused(
    server: Server, query: dict[str, str], status: int, param: str
) -> None:
    async with http_client(server) as client:
        answer = await client.get(f"/responses/resp_{'0' * 32}", params=query)

    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
