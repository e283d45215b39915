"""What there is to use, as clients are told; and who is told, where the server knows its users."""

import contextlib
from typing import Any

import httpx
import pytest
from a2a.types import GetTaskRequest
from a2a.utils.errors import TaskNotFoundError

from runtime.contract.agent_config import SideEffects
from runtime.contract.catalogue import FunctionSpec, ToolEntry
from runtime.contract.value import ObjectName
from runtime.tests.amf.a2a.clients import a2a_client, read, saying, task_in
from runtime.tests.amf.clients import agent
from runtime.tests.amf.mcp_server.clients import mcp_client
from runtime.tests.amf.server import Server
from runtime.tests.amf.users import Users

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}}}


def tool(name: str, *, ready: bool = True) -> ToolEntry:
    return ToolEntry(
        tool=ObjectName(namespace="team", name=name),
        side_effects=SideEffects.NONE,
        ready=ready,
        reason="Ready" if ready else "CrashLoop",
        message="1 of 1 worker ready" if ready else "worker stopped",
        functions=(FunctionSpec(name="plus", description="Adds.", input_schema=NUMBERS),),
    )


async def listed(server: Server, what: str, who: str = "", **query: str) -> dict[str, Any]:
    """What is told, by name."""
    headers = {"authorization": f"Bearer {who}"} if who else {}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        answer = await http.get(f"/v1alpha/k8gentai/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["data"]}


async def test_agents_are_told_with_what_they_are(server: Server) -> None:
    adds = tool("adds").tool
    async with agent(server, description="Says it.", tools=[adds]) as (model, _):
        told = (await listed(server, "agents"))[model]

    assert (told["namespace"], told["model"], told["framework"]) == ("team", model, "LangGraph")
    assert (told["description"], told["state"], told["version"]) == ("Says it.", "NotReady", "0")
    assert told["input_schema"]["required"] == ["input"]
    assert told["tools"] == [{"namespace": "team", "name": "adds"}]
    assert told["a2a"] == f"/a2a/{model}"


async def test_agents_of_other_namespaces_are_told_by_theirs(server: Server) -> None:
    away = await server.add_agent("visitor", namespace="guests", accepting=False)
    try:
        everywhere = await listed(server, "agents")
        guests = await listed(server, "agents", namespace="guests")
        nowhere = await listed(server, "agents", namespace="nowhere")
    finally:
        await server.remove_agent(away)

    told = everywhere["visitor"]
    assert (told["model"], told["state"]) == ("guests.visitor", "Closed")
    assert guests == {"visitor": told}
    assert nowhere == {}


async def test_tools_are_told_that_agents_may_call(server: Server) -> None:
    used, idle, broken = tool("used"), tool("idle"), tool("broken", ready=False)
    for one in (used, idle, broken):
        await server.add_tool(one)
    async with agent(server, tools=[used.tool, broken.tool]) as (model, _):
        told = await listed(server, "tools")

    assert "idle" not in told
    assert told["used"]["agents"] == [model]
    assert (told["used"]["state"], told["used"]["side_effects"]) == ("Ready", "None")
    broken_one = {"state": "NotReady", "reason": "CrashLoop", "message": "worker stopped"}
    assert told["broken"].items() >= broken_one.items()
    assert told["used"]["functions"] == [
        {"name": "plus", "description": "Adds.", "input_schema": NUMBERS}
    ]


async def test_the_document_of_the_server_has_these_routes(server: Server) -> None:
    async with httpx.AsyncClient() as http:
        paths = (await http.get(f"{server.url}/openapi.json")).json()["paths"]

    assert paths["/v1alpha/k8gentai/agents"]["get"]["operationId"] == "k8gentai_list_agents"
    assert "get" in paths["/v1alpha/k8gentai/tools"]


async def test_a_body_is_looked_at_once_it_is_known_whose_it_is(users: Users) -> None:
    async with httpx.AsyncClient(base_url=users.server.url, timeout=60) as http:
        stranger = await http.post("/v1/conversations", json={"items": 5})
    asked = [stranger, await users.ann.post("/conversations", json={"items": 5})]

    assert [answer.status_code for answer in asked] == [401, 400]


async def test_who_may_not_use_an_agent_is_not_told_of_it(server: Server, users: Users) -> None:
    ann, bob, guarded = users.anns_token, users.bobs_token, users.server
    hidden = await server.add_agent("secret-plans", tools=[tool("hidden").tool])
    await server.add_tool(tool("hidden"))
    try:
        await users.until_known("secret-plans")
        seen = {
            who: (await listed(guarded, "agents", who), await listed(guarded, "tools", who))
            for who in (ann, bob)
        }
        card = f"{guarded.url}/a2a/secret-plans/.well-known/agent-card.json"
        answer = await users.bob.get(card)
        async with mcp_client(guarded, bob) as client:
            tools = await client.tools()
    finally:
        await server.remove_agent(hidden)

    assert ["secret-plans" in agents for agents, _ in seen.values()] == [True, False]
    assert ["hidden" in tools for _, tools in seen.values()] == [True, False]
    assert answer.status_code == 404
    assert "secret-plans" not in tools


async def test_each_user_has_his_own_tasks(server: Server, users: Users) -> None:
    async with contextlib.AsyncExitStack() as stack:
        model, actor = await stack.enter_async_context(agent(server))
        await users.until_known(model)
        ann, bob = [
            await stack.enter_async_context(a2a_client(users.server, model, who=token))
            for token in (users.anns_token, users.bobs_token)
        ]
        task = task_in(await read(ann.send_message(saying("Hello")))).id
        with pytest.raises(TaskNotFoundError):
            await bob.get_task(GetTaskRequest(id=task))
        again = await ann.get_task(GetTaskRequest(id=task))

    assert again.id == task
    assert actor.seen[0].user == users.issuer.principal("ann")


async def test_a_call_over_mcp_is_its_users(server: Server, users: Users) -> None:
    async with agent(server) as (model, actor), mcp_client(users.server, users.anns_token) as ann:
        await users.until_known(model)
        await ann.ask(model, "Hello")

    assert actor.seen[0].user == users.issuer.principal("ann")
