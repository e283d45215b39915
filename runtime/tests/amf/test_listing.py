"""Responses listed, for the one whose they are."""

from typing import Any

import httpx
import pytest

from runtime.tests.amf.clients import agent, agent_without_worker, http_client, stack_client
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def asked(server: Server, model: str, *words: str, **fields: Any) -> list[str]:
    """The ids of one response to each."""
    async with http_client(server) as client:
        return [
            (await client.post("/responses", json={"model": model, "input": one} | fields)).json()[
                "id"
            ]
            for one in words
        ]


async def listed(server: Server, **query: Any) -> Any:
    async with http_client(server) as client:
        answer = await client.get("/responses", params=query)
        return answer.json() if answer.status_code == 200 else answer


async def test_the_responses_of_an_agent_are_listed_page_by_page(server: Server) -> None:
    async with agent(server) as (model, _):
        ids = await asked(server, model, *"abcde")
        newest = await listed(server, model=model, limit=2)
        rest = await listed(server, model=model, limit=50, after=newest["last_id"])
        oldest = await listed(server, model=f"agents/{model}", limit=2, order="asc")

    assert [one["id"] for one in newest["data"] + rest["data"]] == ids[::-1]
    assert [one["id"] for one in oldest["data"]] == ids[:2]
    assert (newest["has_more"], rest["has_more"]) == (True, False)
    assert (newest["first_id"], newest["last_id"]) == (ids[4], ids[3])
    first = oldest["data"][0]
    assert first["output"][0]["content"][0]["text"] == "a"
    assert first["input"][0]["content"][0]["text"] == "a"
    assert first["object"] == "response"


async def test_without_a_model_those_of_all_agents_are_listed(server: Server) -> None:
    one, other = await agent_without_worker(server), await agent_without_worker(server)
    mine = await asked(server, one, "?", background=True)
    mine += await asked(server, other, "?", background=True)

    newest = await listed(server, limit=2)

    assert [found["id"] for found in newest["data"]] == mine[::-1]
    assert {found["status"] for found in newest["data"]} == {"queued"}


async def test_what_is_not_stored_is_not_listed(server: Server) -> None:
    async with agent(server) as (model, _):
        await asked(server, model, "?", store=False)
        nothing = await listed(server, model=model)

    assert nothing == {
        "object": "list",
        "data": [],
        "has_more": False,
        "first_id": "",
        "last_id": "",
    }


async def test_the_llama_stack_client_lists(server: Server) -> None:
    async with agent(server) as (model, _), stack_client(server) as client:
        ids = await asked(server, model, *"abc")
        pages = [one.id async for one in client.responses.list(model=model, limit=2)]

    assert pages == ids[::-1]


async def test_those_of_a_model_that_is_no_agent_are_listed_by_the_server(server: Server) -> None:
    assert (await listed(server, model="small/stand-in"))["data"] == []


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        pytest.param({"model": "nobody"}, 404, "model", id="nobody"),
        pytest.param({"after": f"resp_{'0' * 32}"}, 404, "after", id="after nothing"),
        pytest.param({"after": "*"}, 404, "after", id="no id"),
        pytest.param({"limit": 0}, 400, "limit", id="too few"),
        pytest.param({"limit": 101}, 400, "limit", id="too many"),
        pytest.param({"limit": "x"}, 400, "limit", id="no number"),
        pytest.param({"order": "up"}, 400, "order", id="no order"),
    ],
)
async def test_a_list_that_cannot_be_is_refused_by_its_field(
    server: Server, query: dict[str, Any], status: int, param: str
) -> None:
    answer: httpx.Response = await listed(server, **query)

    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
