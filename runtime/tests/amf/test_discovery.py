"""What there is to use, as clients are told; and who is told, where the server knows its users."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from a2a.types import GetTaskRequest
from a2a.utils.errors import TaskNotFoundError
from aiohttp import web

from runtime.contract.agent_config import SideEffects
from runtime.contract.catalogue import FunctionSpec, ToolEntry
from runtime.contract.value import ObjectName
from runtime.tests.amf.a2a.clients import a2a_client, read, saying, task_in
from runtime.tests.amf.clients import agent
from runtime.tests.amf.mcp_server.clients import mcp_client
from runtime.tests.amf.server import Server, free_port, running_server, server_config

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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """A server that knows its users: a token is a name, and bob may not use `secret` agents."""
    folder = tmp_path_factory.mktemp("guarded")
    forbidden = {"principal": "bob", "actions": ["read"], "resource": "regex:model::agents/secret"}
    policy = [
        {"forbid": forbidden},
        {"permit": {"actions": ["create", "read", "update", "delete"]}},
    ]
    config = server_config()
    async with names() as endpoint:
        provider = {"type": "custom", "endpoint": endpoint}
        config["server"]["auth"] = {"provider_config": provider, "access_policy": policy}
        file = folder / "run.yaml"
        file.write_text(yaml.safe_dump(config))
        async with running_server(server.nats, folder, run_config=file) as running:
            yield running


@contextlib.asynccontextmanager
async def names() -> AsyncIterator[str]:
    """Where the server asks whose a token is: it is the name itself."""

    async def whose(request: web.Request) -> web.Response:
        return web.json_response({"principal": (await request.json())["api_key"]})

    app = web.Application()
    app.router.add_post("/", whose)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


PATHS = [
    ("GET", "/a2a"),
    ("GET", "/a2a/x/.well-known/agent-card.json"),
    ("POST", "/a2a/x"),
    ("POST", "/mcp"),
    ("GET", "/v1alpha/k8gentai/agents"),
    ("GET", "/v1alpha/k8gentai/tools"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_path_asks_who_is_there(guarded: Server, method: str, path: str) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, f"{guarded.url}{path}", json={})

    assert answer.status_code == 401


async def test_a_body_is_looked_at_once_it_is_known_whose_it_is(guarded: Server) -> None:
    async with httpx.AsyncClient(base_url=guarded.url, timeout=60) as http:
        asked = [
            await http.post("/v1/conversations", json={"items": 5}, headers=headers)
            for headers in ({}, {"authorization": "Bearer ann"})
        ]

    assert [answer.status_code for answer in asked] == [401, 400]


async def test_who_may_not_use_an_agent_is_not_told_of_it(server: Server, guarded: Server) -> None:
    hidden = await server.add_agent("secret-plans", tools=[tool("hidden").tool])
    await server.add_tool(tool("hidden"))
    try:
        seen = {
            who: (await listed(guarded, "agents", who), await listed(guarded, "tools", who))
            for who in ("ann", "bob")
        }
        async with httpx.AsyncClient(headers={"authorization": "Bearer bob"}) as bob:
            card = f"{guarded.url}/a2a/secret-plans/.well-known/agent-card.json"
            answer = await bob.get(card)
        async with mcp_client(guarded, "bob") as client:
            tools = await client.tools()
    finally:
        await server.remove_agent(hidden)

    assert ["secret-plans" in agents for agents, _ in seen.values()] == [True, False]
    assert ["hidden" in tools for _, tools in seen.values()] == [True, False]
    assert answer.status_code == 404
    assert "secret-plans" not in tools


async def test_each_user_has_his_own_tasks(server: Server, guarded: Server) -> None:
    async with (
        agent(server) as (model, actor),
        a2a_client(guarded, model, who="ann") as ann,
        a2a_client(guarded, model, who="bob") as bob,
    ):
        task = task_in(await read(ann.send_message(saying("Hello")))).id
        with pytest.raises(TaskNotFoundError):
            await bob.get_task(GetTaskRequest(id=task))
        again = await ann.get_task(GetTaskRequest(id=task))

    assert again.id == task
    assert actor.seen[0].user == "ann"


async def test_a_call_over_mcp_is_its_users(server: Server, guarded: Server) -> None:
    async with agent(server) as (model, actor), mcp_client(guarded, "ann") as client:
        await client.ask(model, "Hello")

    assert actor.seen[0].user == "ann"
