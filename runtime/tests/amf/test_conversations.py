"""Conversations of the server, with agents in them."""

import asyncio
from typing import Any

import pytest
from llama_stack_client import LlamaStackClient
from llama_stack_client.lib.agents.agent import Agent

from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Role, Task
from runtime.tests.amf.clients import agent, http_client, openai_client
from runtime.tests.amf.events import called, completed, returned, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


def history(task: Task) -> list[tuple[Role, str]]:
    return [(message.role, message.text) for message in task.history]


async def with_a_tool(play: Play) -> None:
    await play.perform([started(), called(1), returned(1), said("5"), completed("5")])


async def test_what_was_said_before_comes_with_the_next_task(server: Server) -> None:
    async with agent(server) as (model, actor), openai_client(server) as client:
        conversation = await client.conversations.create()
        for words in ("one", "two"):
            await client.responses.create(model=model, input=words, conversation=conversation.id)
        listed: Any = client.conversations.items.list(conversation.id, order="asc")
        items = [(item.role, item.content[0].text) async for item in listed]

    assert history(actor.seen[1]) == [(Role.USER, "one"), (Role.ASSISTANT, "one")]
    assert actor.seen[1].conversation == conversation.id
    assert [task.sequence for task in actor.seen] == [1, 2]
    assert sorted(items) == sorted(
        [("user", "one"), ("assistant", "one"), ("user", "two"), ("assistant", "two")]
    )


async def test_what_a_client_itself_put_into_a_conversation_is_taken_in_once(
    server: Server,
) -> None:
    async with agent(server) as (model, actor), openai_client(server) as client:
        conversation = await client.conversations.create(
            items=[{"type": "message", "role": "user", "content": "I am Ann."}]
        )
        await client.responses.create(model=model, input="one", conversation=conversation.id)
        await client.conversations.items.create(
            conversation.id,
            items=[{"type": "message", "role": "user", "content": "I live in Ulm."}],
        )
        await client.responses.create(model=model, input="two", conversation=conversation.id)
        await client.responses.create(model=model, input="three", conversation=conversation.id)

    assert history(actor.seen[0]) == [(Role.USER, "I am Ann.")]
    assert history(actor.seen[2]) == [
        (Role.USER, "I am Ann."),
        (Role.USER, "one"),
        (Role.ASSISTANT, "one"),
        (Role.USER, "I live in Ulm."),
        (Role.USER, "two"),
        (Role.ASSISTANT, "two"),
    ]


async def test_the_agent_helper_of_the_llama_stack_client_talks_in_sessions(
    server: Server,
) -> None:
    """It makes the calls of `function_call` items itself; here it has nothing to make."""

    def talk(model: str) -> list[str]:
        client = LlamaStackClient(base_url=server.url, max_retries=0)
        helper = Agent(client, model=model, instructions="Be brief.")
        session = helper.create_session("sums")
        turns: list[Any] = [
            helper.create_turn([{"role": "user", "content": words}], session, stream=False)
            for words in ("2+3?", "again?")
        ]
        return [turn.output_text for turn in turns]

    async with agent(server, with_a_tool) as (model, actor):
        answers = await asyncio.to_thread(talk, model)

    assert answers == ["5", "5"]
    assert len(actor.seen) == 2
    assert actor.seen[0].options.instructions == "Be brief."
    assert history(actor.seen[1]) == [(Role.USER, "2+3?"), (Role.ASSISTANT, "5")]


async def test_a_busy_conversation_refuses_where_the_agent_wants_it(server: Server) -> None:
    go_on = asyncio.Event()

    async def wait(play: Play) -> None:
        await go_on.wait()
        await play.perform([started(), completed("done")])

    async with (
        agent(server, wait, when_busy=WhenBusy.REJECT) as (model, _),
        http_client(server) as client,
    ):
        conversation = (await client.post("/conversations", json={})).json()["id"]
        body = {"model": model, "input": "?", "conversation": conversation}
        first = await client.post("/responses", json=body | {"background": True})
        second = await client.post("/responses", json=body)
        go_on.set()

    assert first.status_code == 200
    assert second.status_code == 409
    assert first.json()["id"] in second.json()["error"]["message"]


async def test_a_task_of_a_busy_conversation_is_accepted_and_waits(server: Server) -> None:
    go_on = asyncio.Event()

    async def wait(play: Play) -> None:
        await go_on.wait()
        await play.perform([started(), completed("done")])

    async with agent(server, wait) as (model, actor), http_client(server) as client:
        conversation = (await client.post("/conversations", json={})).json()["id"]
        body = {"model": model, "input": "?", "conversation": conversation, "background": True}
        for _ in range(2):
            assert (await client.post("/responses", json=body)).json()["status"] == "queued"
        await asyncio.sleep(0.3)  # for a second one that would come, wrongly
        seen = len(actor.seen)
        go_on.set()

    assert seen == 1  # the dispatcher publishes the other one in its turn; none runs here


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param("conv_" + "0" * 48, id="unknown"),
        pytest.param("a conversation", id="no id at all"),
    ],
)
async def test_a_conversation_has_to_be_there(server: Server, conversation: str) -> None:
    async with agent(server) as (model, actor), http_client(server) as client:
        body = {"model": model, "input": "?", "conversation": conversation}
        answer = await client.post("/responses", json=body)

    assert answer.status_code == 404
    assert actor.seen == []


async def test_items_get_ids_of_the_server(server: Server) -> None:
    """An id that a client may choose would be that of another's item, and write over it."""
    item = {"type": "message", "role": "user", "content": "mine", "id": "msg_chosen"}
    call = {"type": "mcp_list_tools", "id": "chosen", "server_label": "a", "tools": []}
    async with http_client(server) as client:
        made = [await client.post("/conversations", json={"items": [item]}) for _ in range(2)]
        first, second = [f"/conversations/{one.json()['id']}/items" for one in made]
        others = item | {"content": "others"}
        added = await client.post(second, json={"items": [others, others, call]})
        kept = (await client.get(first)).json()["data"]
        asked = await client.get(f"{second}/{added.json()['first_id']}")

    assert [one.status_code for one in (*made, added, asked)] == [200] * 4
    assert [one["content"] for one in kept] == ["mine"]
    ids = [one["id"] for one in (*kept, *added.json()["data"])]
    assert len(set(ids)) == 4
    assert not {"msg_chosen", "chosen"} & set(ids)
