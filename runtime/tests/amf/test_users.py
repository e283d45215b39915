"""Two users at one server: each has his own responses and conversations, and nobody else's."""

import asyncio
import json
import re
import secrets
from typing import Any

import httpx
import pytest
import pytest_asyncio

from runtime.tests.amf.clients import agent
from runtime.tests.amf.handing_over import hands_over
from runtime.tests.amf.routes import MESSAGES, ROUTES, Route
from runtime.tests.amf.server import Server
from runtime.tests.amf.users import Users

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def test_whose_call_it_is_gives_its_output_and_nobody_else(
    server: Server, users: Users
) -> None:
    add = {"type": "function", "name": "add", "parameters": {"type": "object"}}
    async with agent(server, hands_over) as (model, _):
        body: Any = {"model": model, "input": "?", "tools": [add]}
        async with asyncio.timeout(5):
            while (asked := await users.ann.post("/responses", json=body)).status_code == 404:
                await asyncio.sleep(0.05)  # the other server has not heard of the agent yet
        call, response = asked.json()["output"][0]["call_id"], asked.json()["id"]
        output = {"type": "function_call_output", "call_id": call, "output": "5"}
        given: Any = {"model": model, "input": [output], "background": True}
        for taking in (given, given | {"previous_response_id": response}):
            refused = await users.bob.post("/responses", json=taking)
            assert refused.status_code == 404
            assert refused.json()["error"]["param"] == "input[0]"
        taken = (await users.ann.post("/responses", json=given)).json()
        assert (await users.bob.get(f"/responses/{taken['id']}")).status_code == 404
        assert (await users.ann.get(f"/responses/{taken['id']}")).status_code == 200


async def test_whose_response_it_is_sees_it_and_nobody_else(users: Users) -> None:
    body = {"model": users.model, "input": "?"}
    response = (await users.ann.post("/responses", json=body)).json()["id"]
    path = f"/responses/{response}"

    def everything(user: httpx.AsyncClient) -> list[Any]:
        return [
            user.get(path),
            user.get(path, params={"stream": "true"}),
            user.get(f"{path}/input_items"),
            user.get("/responses", params={"after": response}),
            user.post(f"{path}/cancel"),
            user.post("/responses", json=body | {"previous_response_id": response}),
            user.delete(path),
        ]

    theirs = [(await asked).status_code for asked in everything(users.bob)]
    own = [(await asked).status_code for asked in everything(users.ann)]

    assert theirs == [404] * 7
    assert own == [200] * 7


async def test_a_list_has_what_is_ones_own(users: Users) -> None:
    body = {"model": users.model, "input": "?"}
    ann, bob = [
        (await user.post("/responses", json=body)).json()["id"] for user in (users.ann, users.bob)
    ]

    listed = (await users.bob.get("/responses", params={"model": users.model})).json()["data"]

    assert bob in {one["id"] for one in listed}
    assert ann not in {one["id"] for one in listed}


async def test_a_key_is_of_one_user(users: Users) -> None:
    key = {"Idempotency-Key": secrets.token_hex(5)}
    body = {"model": users.model, "input": "?"}
    answers = [
        await user.post("/responses", json=body, headers=key) for user in (users.ann, users.bob)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 2


@pytest.mark.parametrize("gone_on", [False, True])
async def test_whose_conversation_it_is_goes_on_with_it_and_nobody_else(
    users: Users, *, gone_on: bool
) -> None:
    item = {"type": "message", "role": "user", "content": "I am Ann."}
    made = await users.ann.post("/conversations", json={"items": [item]})
    conversation = made.json()["id"]
    path = f"/conversations/{conversation}"
    body = {"model": users.model, "input": "?", "conversation": conversation}
    if gone_on:
        assert (await users.ann.post("/responses", json=body)).status_code == 200

    def everything(user: httpx.AsyncClient) -> list[Any]:
        return [
            user.post("/responses", json=body),
            user.get(path),
            user.get(f"{path}/items"),
            user.post(f"{path}/items", json={"items": [item]}),
            user.post(path, json={"metadata": {"a": "b"}}),
            user.delete(path),
        ]

    theirs = [(await asked).status_code for asked in everything(users.bob)]
    own = [(await asked).status_code for asked in everything(users.ann)]

    assert theirs == [404] * 6
    assert own == [200] * 6


SHARED = {"model_id", "agent", "toolgroup_id", "tool_name"}
"""What ids of are no user's own."""


def owned(route: Route) -> bool:
    """Whether a route is about something of a user's own, but for vector databases, which need a
    model for embeddings."""
    names = set(re.findall(r"{(\w+)}", route.path)) - SHARED
    return bool(names) and "vector_db_id" not in names


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def of_ann(users: Users) -> dict[str, str]:
    """Ids of everything that Ann has."""

    async def made(path: str, **body: Any) -> Any:
        return (await users.ann.post(path, json=body)).raise_for_status().json()

    item = {"type": "message", "role": "user", "content": "I am Ann."}
    conversation = (await made("/conversations", items=[item]))["id"]
    items = (await users.ann.get(f"/conversations/{conversation}/items")).json()["data"]
    agent_id = (await made("/agents", agent_config={"model": users.model}))["agent_id"]
    sessions = f"/agents/{agent_id}/session"
    session = (await made(sessions, session_name="Ann's"))["session_id"]
    turn = await made(f"{sessions}/{session}/turn", messages=MESSAGES)
    return {
        "response_id": (await made("/responses", model=users.model, input="?"))["id"],
        "conversation_id": conversation,
        "item_id": items[0]["id"],
        "agent_id": agent_id,
        "session_id": session,
        "turn_id": turn["turn_id"],
        "step_id": turn["steps"][0]["step_id"],
    }


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if owned(route)], ids=lambda route: route.label
)
async def test_nobody_else_finds_it_by_any_route(
    users: Users, of_ann: dict[str, str], route: Route
) -> None:
    path = users.bob.base_url.join(route.path.format(**of_ann))
    body = None if route.body is None else json.loads(json.dumps(route.body))
    theirs = await users.bob.request(route.method, path, json=body)

    assert theirs.status_code == 404
    if route.method == "GET":
        assert (await users.ann.get(path)).status_code == 200
