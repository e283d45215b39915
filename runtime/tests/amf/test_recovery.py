"""Answers while workers, the queue, clients and the server itself come and go."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime.contract.messages import Cancelled
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent, http_client, random_words
from runtime.tests.amf.events import called, completed, returned, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import running_stack

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def streamed(server: Server, model: str) -> list[dict[str, Any]]:
    """All events of one streamed response."""
    async with http_client(server) as client:
        body = {"model": model, "input": "?", "stream": True}
        answer = await client.post("/responses", json=body)
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def text(events: list[dict[str, Any]]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def output_text(response: dict[str, Any]) -> str:
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for message in messages for part in message["content"])


async def second_attempt(play: Play) -> None:
    """The first worker is lost after half of the answer; the next one says all of it."""
    first, second = (
        [started("w1"), said("The "), called(1), returned(1), said("answer")],
        [started("w2"), said("The "), called(1), returned(1), said("answer is "), said("5.")],
    )
    await play.begin("w1")
    events = play.events(first, [*second, completed("answer is 5.")])
    await play.tell(*(event for event in events if event.attempt == 1))
    await asyncio.sleep(0.1)
    await play.begin("w2")
    await play.finish(*(event for event in events if event.attempt == 2))


async def out_of_order(play: Play) -> None:
    await play.begin()
    events = play.events(
        [started(), said("one "), said("two "), said("three"), completed("one two three")]
    )
    await play.write(events[-1])
    await play.tell(*(events[place] for place in (1, 0, 3, 2, 4)))


async def with_a_hole(play: Play) -> None:
    """One event never gets as far as the queue."""
    await play.begin()
    events = play.events(
        [started(), said("one "), said("two "), said("three"), completed("one two three")]
    )
    await play.tell(events[0], events[1], events[3])
    await asyncio.sleep(1)  # the reader misses an event by then
    await play.finish(events[-1])


@pytest.mark.fault(1)
async def test_a_client_reads_an_answer_once_though_two_workers_said_it(server: Server) -> None:
    async with agent(server, second_attempt) as (model, _):
        events = await streamed(server, model)

    assert text(events) == "The answer is 5."
    assert output_text(events[-1]["response"]) == "The answer is 5."
    assert [e["type"] for e in events].count("response.mcp_call.in_progress") == 1
    assert [e["sequence_number"] for e in events] == list(range(len(events)))


async def test_events_that_changed_places_are_read_in_order(server: Server) -> None:
    async with agent(server, out_of_order) as (model, _):
        events = await streamed(server, model)

    assert text(events) == "one two three"


async def test_an_answer_with_a_hole_is_right_in_the_end(server: Server) -> None:
    async with agent(server, with_a_hole) as (model, _):
        events = await streamed(server, model)

    assert output_text(events[-1]["response"]) == "one two three"
    assert events[-1]["type"] == "response.completed"


@pytest.mark.fault(13)
async def test_an_answer_goes_on_when_the_queue_comes_back(server: Server) -> None:
    words = random_words()
    paused, go_on = asyncio.Event(), asyncio.Event()

    async def across_a_restart(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("So: "), said(words), completed(f"So: {words}")])
        await play.tell(*events[:2])
        paused.set()
        await go_on.wait()
        await play.finish(*events[2:])

    async with agent(server, across_a_restart) as (model, _):
        reading = asyncio.create_task(streamed(server, model))
        await asyncio.wait_for(paused.wait(), 5)
        await server.nats.server.stop()
        await server.nats.server.start()
        go_on.set()
        events = await asyncio.wait_for(reading, 30)

    assert text(events) == f"So: {words}"


async def test_who_goes_away_in_the_middle_of_a_stream_cancels_the_run(server: Server) -> None:
    cancelled = asyncio.Event()

    async def until_cancelled(play: Play) -> None:
        await play.begin()
        await play.tell(*play.events([started(), said("It")]))
        async with asyncio.timeout(10):
            while not (found := await play.runs.get(play.task.agent, play.task.id)) or (
                not found.record.cancel_requested
            ):
                await asyncio.sleep(0.05)
        play.held = found
        await play.write(Cancelled(task=play.task.id, attempt=1, seq=3))
        cancelled.set()

    async with agent(server, until_cancelled) as (model, _), http_client(server) as client:
        body = {"model": model, "input": "?", "stream": True}
        async with client.stream("POST", "/responses", json=body) as answer:
            async for line in answer.aiter_lines():
                if "output_text.delta" in line:
                    break
        await asyncio.wait_for(cancelled.wait(), 5)


async def test_who_leaves_a_background_stream_leaves_the_run_alone(server: Server) -> None:
    left = asyncio.Event()

    async def wait(play: Play) -> None:
        await play.begin()
        await play.tell(*play.events([started()]))
        await left.wait()
        await asyncio.sleep(0.3)  # for a cancellation that would come, wrongly
        found = await play.runs.get(play.task.agent, play.task.id)
        assert found is not None
        assert not found.record.cancel_requested
        play.held = found
        await play.finish(play.events([started(), completed("done")])[-1])

    async with agent(server, wait) as (model, actor), http_client(server) as client:
        body = {"model": model, "input": "?", "stream": True, "background": True}
        async with client.stream("POST", "/responses", json=body) as answer:
            async for line in answer.aiter_lines():
                if "in_progress" in line:
                    break
        left.set()
        response = f"/responses/resp_{actor.seen[0].id}"
        async with asyncio.timeout(5):
            while (found := (await client.get(response)).json())["status"] != "completed":
                await asyncio.sleep(0.05)

    assert output_text(found) == "done"


async def test_one_process_holds_many_streams_for_little(server: Server) -> None:
    """Figures in the README: at most 12 MiB for 100 open streams."""
    go_on = asyncio.Event()

    async def hold(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("It is "), said("5"), completed("It is 5")])
        await play.tell(*events[:2])
        await go_on.wait()
        await play.finish(*events[2:])

    limits = httpx.Limits(max_connections=None)
    async with (
        agent(server, hold) as (model, actor),
        httpx.AsyncClient(base_url=f"{server.url}/v1", timeout=60, limits=limits) as client,
    ):
        body = {"model": model, "input": "?", "stream": True}
        for _ in range(3):  # what the first ones cost, they all share
            await client.post("/responses", json=body | {"model": "nobody"})
        before = _resident(server)
        reading = [asyncio.create_task(client.post("/responses", json=body)) for _ in range(100)]
        async with asyncio.timeout(30):
            while len(actor.seen) < 100:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # what they cost is there by then
        grown = _resident(server) - before
        go_on.set()
        answers = await asyncio.gather(*reading)

    assert grown < 12 * 1024, f"{grown} KiB"
    ends = [json.loads(answer.text.rpartition("data: ")[2]) for answer in answers]
    assert {output_text(end["response"]) for end in ends} == {"It is 5"}


async def test_a_server_that_is_told_to_stop_answers_what_it_has_and_exits_0(
    tmp_path: Path,
) -> None:
    go_on = asyncio.Event()

    async def slow(play: Play) -> None:
        await play.begin()
        await go_on.wait()
        await play.finish(*play.events([started(), completed("done")]))

    async with (
        running_stack(ObjectName(namespace="team", name="default"), tmp_path) as nats,
        running_server(nats, tmp_path) as server,
        agent(server, slow) as (model, actor),
    ):
        reading = asyncio.create_task(streamed(server, model))
        async with asyncio.timeout(5):
            while not actor.seen:
                await asyncio.sleep(0.02)
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.5)  # it has been told to stop, and does not
        go_on.set()
        events = await reading
        code = await stopping

    assert text(events) == "done"
    assert code == 0


def _resident(server: Server) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])
