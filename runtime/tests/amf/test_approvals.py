"""Calls that people decide on, with the clients they use: a real server, queue and dispatcher."""

import asyncio
import contextlib
import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from openai.types.responses.response_output_item import McpCall

from controller.local.decide import Word, decide
from runtime.contract.approval import Verdict
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role
from runtime.state.runs import Runs
from runtime.tests.amf.approvals import ARGUMENTS, adding
from runtime.tests.amf.clients import agent, http_client, openai_client, stack_client
from runtime.tests.amf.plays import Actor
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


def requests(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "mcp_approval_request"]


def answers(*items: Any, approve: bool = True, **fields: Any) -> Any:
    return [
        {"type": "mcp_approval_response", "approval_request_id": item.id, "approve": approve}
        | fields
        for item in items
    ]


def summary(response: Response) -> list[tuple[str, str | None]]:
    return [(item.type, getattr(item, "status", None)) for item in response.output]


DONE = [("mcp_call", "completed"), ("message", "completed")]


async def record(server: Server, actor: Actor) -> Any:
    task = actor.seen[0]
    async with server.nats.link_as(await server.nats.serving(Role.SERVER)) as link:
        held = await Runs(link.store(Bucket.RUNS)).get(task.agent, task.id)
    assert held is not None
    return held.record


async def test_a_person_approves_with_the_openai_package(people: Server) -> None:
    async with agent(people, adding()) as (model, actor), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?")
        again = await client.responses.retrieve(asked.id)
        (request,) = requests(asked)
        answer = await client.responses.create(
            model=model, previous_response_id=asked.id, input=answers(request)
        )
        found = await client.responses.retrieve(asked.id)

    assert (asked.status, summary(asked)) == ("completed", [("mcp_approval_request", None)])
    assert (request.name, request.arguments, request.server_label) == ("plus", ARGUMENTS, "add")
    assert again.output == asked.output
    assert again.status == "completed"
    assert (answer.id, answer.status, summary(answer)) == (asked.id, "completed", DONE)
    assert answer.output_text == "Done."
    assert found.output == answer.output
    assert len(actor.seen) == 2
    (decided,) = (await record(people, actor)).approvals
    assert (decided.verdict, decided.by) == (Verdict.APPROVED, "anonymous")


@pytest.mark.parametrize("by", ["response", "approval"])
async def test_the_command_finds_what_was_not_to_be_stored_while_it_waits(
    people: Server, by: str
) -> None:
    shown: list[str] = []
    async with agent(people, adding()) as (model, _), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?", store=False)
        (request,) = requests(asked)
        name = asked.id if by == "response" else request.id
        await decide(Word(id=name, approve=True, url=people.url), shown.append)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(asked.id)

    assert "".join(shown).endswith("Done.\n")


async def test_a_person_approves_with_the_llama_stack_client(people: Server) -> None:
    async with agent(people, adding()) as (model, _), stack_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?")
        (request,) = requests(asked)
        answer = await client.responses.create(
            model=model, previous_response_id=asked.id, input=answers(request)
        )

    assert [item.type for item in answer.output] == ["mcp_call", "message"]


async def test_a_person_refuses_and_says_why(people: Server) -> None:
    async with agent(people, adding()) as (model, _), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?")
        answer = await client.responses.create(
            model=model,
            previous_response_id=asked.id,
            input=answers(*requests(asked), approve=False, reason="too much"),
        )
        kept = await client.responses.retrieve(answer.id)

    assert summary(answer) == [("mcp_call", "failed"), ("message", "completed")]
    (call, _) = answer.output
    assert isinstance(call, McpCall)
    said = "anonymous did not agree to this call of plus: too much"
    assert call.output is None
    assert str(call.error) == said
    assert kept.output == answer.output


async def test_both_halves_of_a_streamed_answer_tell_it_in_order(people: Server) -> None:
    async with agent(people, adding()) as (model, _), openai_client(people) as client:
        first = [
            e async for e in await client.responses.create(model=model, input="2+3?", stream=True)
        ]
        asked = first[-1].response  # type: ignore[union-attr]  # the last event has it
        second = [
            e
            async for e in await client.responses.create(
                model=model,
                previous_response_id=asked.id,
                input=answers(*requests(asked)),
                stream=True,
            )
        ]
    answer = second[-1].response  # type: ignore[union-attr]  # the last event has it

    assert [event.type for event in first][-3:] == [
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    assert summary(asked) == [("message", "completed"), ("mcp_approval_request", None)]
    assert second[-1].type == "response.completed"
    assert (answer.id, summary(answer)) == (asked.id, [("message", "completed"), *DONE])
    numbers = {event.sequence_number: event.type for event in first}
    for event in second:
        assert numbers.setdefault(event.sequence_number, event.type) == event.type
    assert sorted(numbers) == list(range(len(numbers)))


async def test_until_both_are_decided_the_open_one_is_asked_for(people: Server) -> None:
    async with agent(people, adding(2)) as (model, actor), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?", background=True)
        async with asyncio.timeout(10):
            while asked.status != "completed":
                await asyncio.sleep(0.05)
                asked = await client.responses.retrieve(asked.id)
        first, second = requests(asked)
        halves = await client.responses.create(
            model=model, previous_response_id=asked.id, input=answers(second), stream=True
        )
        half = [event async for event in halves][-1].response  # type: ignore[union-attr]  # it has
        assert (half.status, requests(half)) == ("completed", [first])
        assert len(actor.seen) == 1
        rest = await client.responses.create(
            model=model, previous_response_id=asked.id, input=answers(first), background=True
        )
        async with asyncio.timeout(10):
            while (rest.status, requests(rest)) != ("completed", []):
                await asyncio.sleep(0.05)
                rest = await client.responses.retrieve(asked.id)

    assert summary(rest) == [DONE[0], *DONE]


async def test_what_nobody_decides_in_time_is_refused(people: Server) -> None:
    script = adding(seconds=0.5)
    async with agent(people, script) as (model, actor), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?")
        async with asyncio.timeout(10):
            while requests(found := await client.responses.retrieve(asked.id)) or (
                found.status != "completed"
            ):
                await asyncio.sleep(0.05)
        with pytest.raises(openai.ConflictError, match="Nobody decided in time"):
            await client.responses.create(
                model=model, previous_response_id=asked.id, input=answers(*requests(asked))
            )

    assert summary(found) == [("mcp_call", "failed"), ("message", "completed")]
    assert (await record(people, actor)).approvals[0].verdict is Verdict.EXPIRED


async def test_a_run_that_waits_for_people_can_be_cancelled(people: Server) -> None:
    async with agent(people, adding()) as (model, actor), openai_client(people) as client:
        asked = await client.responses.create(model=model, input="2+3?")
        cancelled = await client.responses.cancel(asked.id)
        with pytest.raises(openai.ConflictError, match="has ended before anybody decided"):
            await client.responses.create(
                model=model, previous_response_id=asked.id, input=answers(*requests(asked))
            )

    assert (cancelled.status, requests(cancelled)) == ("cancelled", [])
    assert len(actor.seen) == 1


async def test_what_cannot_be_decided_is_refused_by_its_name(people: Server) -> None:
    async with agent(people, adding()) as (model, _), http_client(people) as client:
        asked = (await client.post("/responses", json={"model": model, "input": "2+3?"})).json()
        (item,) = asked["output"]
        good = {
            "type": "mcp_approval_response",
            "approval_request_id": item["id"],
            "approve": True,
        }

        async def refused(*items: Any, previous: str = asked["id"]) -> tuple[int, str, str]:
            body = {"model": model, "previous_response_id": previous, "input": items}
            answer = await client.post("/responses", json=body)
            error = answer.json()["error"]
            return answer.status_code, error["param"], error["message"]

        unknown = good | {"approval_request_id": f"{item['id']}7"}
        other = f"resp_{'f' * 32}"
        foreign = good | {"approval_request_id": f"mcpr_{'f' * 32}_0"}
        text = {"role": "user", "content": "and 2+4?"}
        assert (await refused(unknown))[:2] == (400, "input[0].approval_request_id")
        assert (await refused(good, text))[:2] == (400, "input[1]")
        assert (await refused(foreign, previous=other))[:2] == (404, "previous_response_id")
        status, param, message = await refused(text)
        assert (status, param) == (409, "previous_response_id")
        assert "answer its mcp_approval_request first" in message


@pytest.mark.parametrize("stream", [False, True])
async def test_who_chats_is_sent_to_the_responses_api_and_leaves_nothing(
    people: Server, *, stream: bool
) -> None:
    async with agent(people, adding()) as (model, actor), http_client(people) as client:
        messages = [{"role": "user", "content": "2+3?"}]
        body = {"model": f"agents/{model}", "messages": messages, "stream": stream}
        answer = await client.post("/chat/completions", json=body)
        async with asyncio.timeout(10):
            while not (await record(people, actor)).state.is_end:
                await asyncio.sleep(0.05)

    told = answer.text if stream else json.dumps(answer.json())
    assert "ask the agent by /v1/responses" in told
    assert (await record(people, actor)).state == "Cancelled"


async def test_a_conversation_is_busy_while_people_decide(people: Server) -> None:
    async with agent(people, adding()) as (model, actor), openai_client(people) as client:
        talk = await client.conversations.create()
        asked = await client.responses.create(model=model, input="2+3?", conversation=talk.id)
        later = await client.responses.create(
            model=model, input="2+4?", conversation=talk.id, background=True
        )
        await client.responses.create(
            model=model, previous_response_id=asked.id, input=answers(*requests(asked))
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(actor.seen) < 3:
                    await asyncio.sleep(0.05)

    assert later.status == "queued"
    assert [task.input[0].text for task in actor.seen] == ["2+3?", "2+3?", "2+4?"]
    assert [message.text for message in actor.seen[2].history] == ["2+3?", "Done."]
