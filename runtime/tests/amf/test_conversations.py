"""Conversations of the server, with agents in them."""

import asyncio
from typing import Any

import pytest
from llama_stack_client import LlamaStackClient
from llama_stack_client.lib.agents.agent import Agent
from openai import AsyncOpenAI

from runtime.contract.catalogue import WhenBusy
from runtime.contract.messages import Role, Task
from runtime.tests.amf.clients import agent, http_client, openai_client
from runtime.tests.amf.events import called, completed, returned, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


ORDERS = ("asc", "desc")


def message(text: str) -> Any:
    return {"type": "message", "role": "user", "content": text}


async def texts(
    client: AsyncOpenAI, conversation: str, order: str, *, limit: int | None = None
) -> list[tuple[str, str]]:
    """Who has said what, by all pages."""
    asked: Any = {"order": order} | ({} if limit is None else {"limit": limit})
    listed: Any = client.conversations.items.list(conversation, **asked)
    return [(item.role, item.content[0].text) async for item in listed]


def history(task: Task) -> list[tuple[Role, str]]:
    return [(message.role, message.text) for message in task.history]


async def with_a_tool(play: Play) -> None:
    await play.perform([started(), called(1), returned(1), said("5"), completed("5")])


async def test_what_was_said_before_comes_with_the_next_task(server: Server) -> None:
    async with agent(server) as (model, actor), openai_client(server) as client:
        conversation = await client.conversations.create()
        for words in ("one", "two"):
            await client.responses.create(model=model, input=words, conversation=conversation.id)

    assert history(actor.seen[1]) == [(Role.USER, "one"), (Role.ASSISTANT, "one")]
    assert actor.seen[1].conversation == conversation.id
    assert [task.sequence for task in actor.seen] == [1, 2]


async def test_items_are_in_the_order_of_the_conversation(server: Server) -> None:
    """However quickly it is talked, and whoever waits for the answers."""
    async with agent(server) as (model, _), openai_client(server) as client:
        conversation = await client.conversations.create(items=[message("zero"), message("0")])
        asked: Any = {"model": model, "conversation": conversation.id}
        for words in ("one", "two"):
            await client.responses.create(input=words, **asked)
        waiting = await client.responses.create(input="three", background=True, **asked)
        async with asyncio.timeout(10):
            while (await client.responses.retrieve(waiting.id)).status != "completed":
                await asyncio.sleep(0.02)
        await client.conversations.items.create(
            conversation.id, items=[message("four"), message("five")]
        )
        items, backwards = [await texts(client, conversation.id, order) for order in ORDERS]

    assert items == [
        *[("user", "zero"), ("user", "0")],
        *[("user", "one"), ("assistant", "one"), ("user", "two"), ("assistant", "two")],
        *[("user", "three"), ("assistant", "three"), ("user", "four"), ("user", "five")],
    ]
    assert backwards == items[::-1]


async def test_items_come_in_pages(server: Server) -> None:
    said = [str(number) for number in range(24)]
    async with openai_client(server) as client, http_client(server) as plain:
        conversation = await client.conversations.create()
        for some in (said[:20], said[20:]):
            await client.conversations.items.create(
                conversation.id, items=[message(text) for text in some]
            )
        found = {
            (order, limit): await texts(client, conversation.id, order, limit=limit)
            for order in ORDERS
            for limit in (5, 24, None)
        }
        items = f"/conversations/{conversation.id}/items"
        first = (await plain.get(items)).json()
        rest = (await plain.get(items, params={"after": first["last_id"]})).json()
        none = (await plain.get(items, params={"after": rest["last_id"]})).json()

    for (order, _), told in found.items():
        assert [text for _, text in told] == (said if order == "asc" else said[::-1])
    assert [len(page["data"]) for page in (first, rest, none)] == [20, 4, 0]
    assert [page["has_more"] for page in (first, rest, none)] == [True, False, False]
    assert rest["first_id"] == rest["data"][0]["id"]


async def test_a_text_comes_back_as_one_part(server: Server) -> None:
    """The API has `content` as a list, however it was said."""
    answer = message("5") | {"role": "assistant"}
    whole = message("") | {"content": [{"type": "input_text", "text": "2+3?"}]}
    async with openai_client(server) as client:
        conversation: Any = await client.conversations.create(items=[message("2+3?"), answer])
        added: Any = await client.conversations.items.create(
            conversation.id, items=[message("2+3?"), answer, whole]
        )
        listed: Any = client.conversations.items.list(conversation.id, order="asc")
        items = [item async for item in listed]
        one: Any = await client.conversations.items.retrieve(
            items[0].id, conversation_id=conversation.id
        )

    asks, answers = ("input_text", "2+3?"), ("output_text", "5")
    told = [[(part.type, part.text) for part in item.content] for item in (*items, one)]
    assert told == [[asks], [answers], [asks], [answers], [asks], [asks]]
    assert [item.content for item in added.data] == [item.content for item in items[2:]]
    assert {item.status for item in items} == {"completed"}


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        pytest.param({"limit": "0"}, 400, "limit", id="nothing"),
        pytest.param({"limit": "101"}, 400, "limit", id="too many"),
        pytest.param({"order": "up"}, 400, "order", id="no such order"),
        pytest.param({"after": "msg_1"}, 404, "after", id="no such item"),
        pytest.param({"include": "file_search_call.results"}, 400, "include", id="include"),
        pytest.param({"include[]": "reasoning"}, 400, "include[]", id="as the SDK says it"),
    ],
)
async def test_what_is_asked_of_a_list_of_items_is_done_or_refused(
    server: Server, query: dict[str, str], status: int, param: str
) -> None:
    async with http_client(server) as client:
        conversation = (await client.post("/conversations", json={})).json()["id"]
        answer = await client.get(f"/conversations/{conversation}/items", params=query)

    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param


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
    error = answer.json()["error"]
    assert error["message"] == f"There is no conversation {conversation}."
    assert error["param"] == "conversation"
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
    assert [one["content"][0]["text"] for one in kept] == ["mine"]
    ids = [one["id"] for one in (*kept, *added.json()["data"])]
    assert len(set(ids)) == 4
    assert not {"msg_chosen", "chosen"} & set(ids)
