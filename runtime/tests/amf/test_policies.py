"""Users whom a policy lets call an agent, and those to whom it is not there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from runtime.contract.access import Guard, Rule
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import agent_entry
from runtime.contract.runs import RunRecord
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent, http_client
from runtime.tests.amf.mcp_server.clients import mcp_client
from runtime.tests.amf.server import Server
from runtime.tests.amf.users import TOGETHER, Users
from runtime.tests.nats import OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

POLICY = ObjectName(namespace="team", name="plans")
LISTS = ("/v1/models", "/a2a", "/v1alpha/k8gentai/agents")
CARD = "/.well-known/agent-card.json"


def guard(model: str, **claims: tuple[str, ...]) -> Guard:
    """The policy of an agent of the Stack's namespace: one rule, for users with these claims."""
    return Guard(policy=POLICY, rules=(Rule(place=0, users=claims, to_agents=(model,)),))


@contextlib.asynccontextmanager
async def guarded(
    server: Server, users: Users, of: Callable[[str], Guard]
) -> AsyncIterator[tuple[str, AgentEntry]]:
    """An agent for which a policy counts, once the servers know: its model, and its entry."""
    async with agent(server) as (model, _):
        await users.until_known(model)
        name = ObjectName(namespace="team", name=model)
        entry = AgentEntry(agent=name, model=model, framework="LangGraph", timeout_seconds=60)
        await bind(server, entry, of(model))
        yield model, entry


async def bind(server: Server, entry: AgentEntry, rules: Guard) -> None:
    """Write another policy of an agent into the catalogue, as the operator does."""
    told = entry.model_copy(update={"guard": rules})
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link:
        await link.store(Bucket.CATALOGUE).put(agent_entry(entry.agent), told.encode())


async def until(user: httpx.AsyncClient, model: str, *, listed: bool) -> None:
    """Wait until a user's list has an agent, or has it no more."""
    async with asyncio.timeout(10):
        while (model in (await user.get("/models")).text) is not listed:
            await asyncio.sleep(0.05)


def ways(user: httpx.AsyncClient, root: str, model: str) -> dict[str, Any]:
    """Every way to an agent."""
    said = [{"role": "user", "content": "?"}]
    send = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "message/send",
        "params": {
            "message": {
                "messageId": "m",
                "role": "user",
                "kind": "message",
                "parts": [{"kind": "text", "text": "?"}],
            }
        },
    }
    return {
        "model": user.get(f"/models/agents/{model}"),
        "response": user.post("/responses", json={"model": model, "input": "?"}),
        "prefixed": user.post("/responses", json={"model": f"agents/{model}", "input": "?"}),
        "responses": user.get("/responses", params={"model": model}),
        "chat": user.post("/chat/completions", json={"model": model, "messages": said}),
        "prefixed chat": user.post(
            "/chat/completions", json={"model": f"agents/{model}", "messages": said}
        ),
        "agents api": user.post("/agents", json={"agent_config": {"model": model}}),
        "card": user.get(f"{root}/a2a/{model}{CARD}"),
        "a2a": user.post(f"{root}/a2a/{model}", json=send),
    }


async def test_whom_a_rule_names_may_call_and_to_others_there_is_no_such_agent(
    server: Server, users: Users
) -> None:
    root = users.server.url
    async with guarded(server, users, lambda model: guard(model, sub=("ann",))) as (model, _):
        await until(users.bob, model, listed=False)
        both = {"ann": users.ann, "bob": users.bob}
        answers, told = {}, {}
        for who, user in both.items():  # at the same time, since a list takes a server a while
            asked = ways(user, root, model)
            lists = [user.get(f"{root}{path}") for path in LISTS]
            found = await asyncio.gather(*asked.values(), *lists)
            answers[who] = dict(zip(asked, found, strict=False))
            told[who] = [model in one.text for one in found[len(asked) :]]
        async with mcp_client(users.server, users.bobs_token) as client:
            offered = await client.tools()

    assert {way: one.status_code for way, one in answers["ann"].items()} == dict.fromkeys(
        answers["ann"], 200
    )
    assert {way: one.status_code for way, one in answers["bob"].items()} == dict.fromkeys(
        answers["bob"], 404
    )
    assert not [one for one in answers["bob"].values() if "spec.auth" in one.text]
    assert told == {"ann": [True] * 3, "bob": [False] * 3}
    assert model not in offered


async def test_a_claim_of_the_token_counts(server: Server, users: Users) -> None:
    body: Any = {"input": "?"}
    async with guarded(server, users, lambda model: guard(model, teams=("one",))) as (model, entry):
        await until(users.ann, model, listed=False)
        refused = await users.ann.post("/responses", json=body | {"model": model})

        await bind(server, entry, guard(model, teams=("one", "all")))
        await until(users.ann, model, listed=True)
        allowed = await users.ann.post("/responses", json=body | {"model": model})

    assert (refused.status_code, allowed.status_code) == (404, 200)


async def test_where_nobody_is_authenticated_a_rule_for_users_lets_nobody_in(
    server: Server, users: Users
) -> None:
    async with guarded(server, users, guard) as (model, _), http_client(server) as anybody:
        await until(anybody, model, listed=False)
        answer = await anybody.post("/responses", json={"model": model, "input": "?"})
        chat = {"model": model, "messages": [{"role": "user", "content": "?"}]}
        chatted = await anybody.post("/chat/completions", json=chat)
        known = await users.bob.post("/responses", json={"model": model, "input": "?"})

    assert (answer.status_code, chatted.status_code, known.status_code) == (404, 404, 200)
    for refused in (answer, chatted):
        assert refused.json()["error"]["message"].endswith(
            "Some agents are for users alone, and this request has none: it brings no token, or "
            "the Stack has no spec.auth."
        )


async def test_what_was_answered_stays_with_who_asked(server: Server, users: Users) -> None:
    async with guarded(server, users, lambda model: guard(model, sub=("ann",))) as (model, entry):
        await until(users.bob, model, listed=False)
        response = (await users.ann.post("/responses", json={"model": model, "input": "?"})).json()

        await bind(server, entry, guard(model, sub=("bob",)))
        await until(users.ann, model, listed=False)
        kept = await users.ann.get(f"/responses/{response['id']}")
        going_on = await users.ann.post(
            "/responses",
            json={"model": model, "input": "?", "previous_response_id": response["id"]},
        )

    assert (kept.status_code, going_on.status_code) == (200, 404)


async def test_a_run_says_what_is_known_of_its_user(server: Server, users: Users) -> None:
    """So that it can be judged anew when rules change."""
    response = (
        await users.ann.post("/responses", json={"model": users.model, "input": "?"})
    ).json()
    task = response["id"].removeprefix("resp_")
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link:
        found = await link.store(Bucket.RUNS).find(f"*.*.{task}")

    assert found is not None
    record = RunRecord.decode(found.value)
    assert record.task.user == users.issuer.principal("ann")
    assert record.claims == {"sub": ("ann",), **dict.fromkeys(TOGETHER, ("all",))}
