"""The legacy agents API through a real server and a real queue, route by route."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from runtime.amf.items import Wire
from runtime.contract.keys import conversation_head, legacy_conversation
from runtime.contract.messages import Message, Role
from runtime.contract.subjects import Bucket, Stream
from runtime.tests.amf.clients import agent, random_words
from runtime.tests.amf.events import called, completed, failed, needed, returned, said, started
from runtime.tests.amf.handing_over import goes_on_at
from runtime.tests.amf.plays import Play, echo
from runtime.tests.amf.server import Server, running_server
from runtime.tests.nats import OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

NOBODY = "01234567-89ab-4def-8123-456789abcdef"


async def with_a_tool(play: Play) -> None:
    """Use the tool once and say the sum it gives."""
    arguments = '{"a": 2, "b": 3}'
    await play.perform(
        [started(), called(1, arguments), returned(1, "5"), said("5"), completed("5", 11, 4)]
    )


class Legacy:
    """A client that knows the routes and nothing else."""

    def __init__(self, server: Server, prefix: str = "/v1/agents") -> None:
        self.http = httpx.AsyncClient(base_url=server.url, timeout=30)
        self.prefix = prefix

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return await self.http.request(method, self.prefix + path, json=body, params=query or None)

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def agent(self, model: str, **config: Any) -> str:
        asked = {"agent_config": {"model": model, "instructions": "Be brief."} | config}
        answer = await self.ask("POST", "", asked)
        assert answer.status_code == 200, answer.text
        made: str = answer.json()["agent_id"]
        return made

    async def session(self, agent_id: str, name: str = "first") -> str:
        answer = await self.ask("POST", f"/{agent_id}/session", {"session_name": name})
        assert answer.status_code == 200, answer.text
        made: str = answer.json()["session_id"]
        return f"/{agent_id}/session/{made}"

    async def turn(self, session: str, text: str = "2+3?", **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return await self.ask("POST", f"{session}/turn", {"messages": messages} | body)

    async def events(self, session: str, text: str = "2+3?") -> list[Wire]:
        """The events of a streamed turn, as its frames have them."""
        answer = await self.turn(session, text, stream=True)
        assert answer.headers["content-type"].startswith("text/event-stream")
        frames = answer.text.split("\n\n")[:-1]
        assert all(frame.startswith("data: ") for frame in frames)
        return [json.loads(frame.removeprefix("data: ")) for frame in frames]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def idle(server: Server) -> AsyncIterator[str]:
    """The model of an Agent that nobody works for."""
    await server.nats.agent("idle")
    entry = await server.add_agent("idle")
    yield entry.model
    await server.remove_agent(entry)


@pytest.fixture(params=["/v1/agents", "/v1alpha/agents"])
async def legacy(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Legacy]:
    client = Legacy(server, request.param)
    async with client.http:
        yield client


async def test_a_turn_of_an_agent_and_all_that_is_told_of_it(
    server: Server, legacy: Legacy
) -> None:
    async with agent(server, with_a_tool) as (model, actor):
        agent_id = await legacy.agent(model)
        session = await legacy.session(agent_id)
        events = await legacy.events(session)

    payloads = [event["event"]["payload"] for event in events]
    assert [payload["event_type"] for payload in payloads] == [
        "turn_start",
        *("step_start", "step_progress", "step_complete"),
        *("step_start", "step_complete"),
        *("step_start", "step_progress", "step_complete"),
        "turn_complete",
    ]
    turn = payloads[-1]["turn"]
    assert turn["turn_id"] == payloads[0]["turn_id"]
    assert turn["input_messages"] == [{"role": "user", "content": "2+3?"}]
    assert turn["output_message"] == {
        "role": "assistant",
        "content": "5",
        "stop_reason": "end_of_turn",
        "tool_calls": [],
    }
    kinds = [step["step_type"] for step in turn["steps"]]
    assert kinds == ["inference", "tool_execution", "inference"]
    assert turn["steps"][1]["tool_calls"][0]["arguments"] == {"a": 2, "b": 3}
    assert turn["steps"][1]["tool_responses"][0]["content"] == "5"
    (task,) = actor.seen
    assert task.options.instructions == "Be brief."
    assert task.options.stream
    assert task.id == uuid.UUID(turn["turn_id"]).hex

    told = await legacy.get(session)
    assert told["turns"] == [turn]
    assert told["session_name"] == "first"
    assert await legacy.get(f"{session}/turn/{turn['turn_id']}") == turn
    for step in turn["steps"]:
        path = f"{session}/turn/{turn['turn_id']}/step/{step['step_id']}"
        assert await legacy.get(path) == {"step": step}


async def test_a_whole_turn_and_what_was_said_before(server: Server, legacy: Legacy) -> None:
    first, second = random_words(), random_words()
    async with agent(server) as (model, actor):
        session = await legacy.session(await legacy.agent(f"agents/{model}"))
        one = await legacy.turn(session, first)
        two = await legacy.turn(session, second, stream=False)

    assert one.json()["output_message"]["content"] == first
    assert two.json()["output_message"]["content"] == second
    assert one.json()["completed_at"] >= one.json()["started_at"]
    assert actor.seen[1].history == (
        Message(role=Role.USER, text=first),
        Message(role=Role.ASSISTANT, text=first),
    )
    turns = (await legacy.get(session))["turns"]
    assert [turn["turn_id"] for turn in turns] == [one.json()["turn_id"], two.json()["turn_id"]]
    named = await legacy.get(session, turn_ids=f"{two.json()['turn_id']}")
    assert [turn["turn_id"] for turn in named["turns"]] == [two.json()["turn_id"]]


async def test_sessions_know_nothing_of_each_other(server: Server, legacy: Legacy) -> None:
    async with agent(server) as (model, actor):
        agent_id = await legacy.agent(model)
        for _ in range(2):
            await legacy.turn(await legacy.session(agent_id), random_words())

    assert [task.history for task in actor.seen] == [(), ()]


async def test_agents_and_sessions_are_listed_in_pages(idle: str, legacy: Legacy) -> None:
    agents = [await legacy.agent(idle, name=name) for name in ("a", "b", "c")]
    listed = await legacy.get("")
    start = [one["agent_id"] for one in listed["data"]].index(agents[0])

    page = await legacy.get("", start_index=start, limit=2)

    assert [one["agent_id"] for one in page["data"]] == agents[:2]
    assert page["has_more"] is True
    assert await legacy.get(f"/{agents[0]}") == page["data"][0]
    assert page["data"][0]["agent_config"] == {
        "model": idle,
        "instructions": "Be brief.",
        "name": "a",
    }
    for name in ("x", "y"):
        await legacy.session(agents[0], name)
    sessions = await legacy.get(f"/{agents[0]}/sessions", limit=1)
    assert [one["session_name"] for one in sessions["data"]] == ["x"]
    assert sessions["has_more"] is True


async def test_what_is_deleted_is_gone(server: Server, legacy: Legacy) -> None:
    async with agent(server) as (model, _):
        agent_id = await legacy.agent(model)
        session, other = await legacy.session(agent_id), await legacy.session(agent_id)
        turn = (await legacy.turn(session)).json()["turn_id"]

    assert (await legacy.ask("DELETE", session)).status_code == 204
    assert (await legacy.ask("GET", session)).status_code == 404
    assert (await legacy.ask("GET", f"{session}/turn/{turn}")).status_code == 404
    assert (await legacy.ask("DELETE", session)).status_code == 404
    assert (await legacy.get(other))["turns"] == []
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link:
        head = conversation_head(legacy_conversation(session.rpartition("/")[2]))
        assert await link.store(Bucket.CONVERSATIONS).get(head) is None

    assert (await legacy.ask("DELETE", f"/{agent_id}")).status_code == 204
    for path in ("", "/sessions"):
        assert (await legacy.ask("GET", f"/{agent_id}{path}")).status_code == 404
    assert (await legacy.ask("GET", other)).status_code == 404


async def test_a_turn_that_fails_says_why_and_is_no_part_of_its_session(
    server: Server, legacy: Legacy
) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), said("It"), failed("the model is down")])

    async with agent(server, fail) as (model, actor):
        session = await legacy.session(await legacy.agent(model))
        events = await legacy.events(session)
        whole = await legacy.turn(session)

    assert events[-1] == {"error": {"message": "the model is down"}}
    assert whole.status_code == 424
    assert whole.json()["error"]["message"] == "the model is down"
    assert len(actor.seen) == 2
    assert (await legacy.get(session))["turns"] == []
    turn = events[0]["event"]["payload"]["turn_id"]
    assert (await legacy.ask("GET", f"{session}/turn/{turn}")).status_code == 424


async def test_a_turn_that_waits_for_a_person_says_how_to_agree(
    server: Server, legacy: Legacy
) -> None:
    async def ask(play: Play) -> None:
        await play.begin()
        await play.tell(*play.events([started(), needed(0)]))

    async with agent(server, ask) as (model, actor):
        session = await legacy.session(await legacy.agent(model))
        events = await legacy.events(session)

    approval = f"mcpr_{actor.seen[0].id}_0"
    assert f"k8gentai approve {approval}" in events[-1]["error"]["message"]
    (turn,) = (await legacy.get(session))["turns"]
    assert turn["completed_at"] is None


async def cut_off(client: Legacy, url: str, body: Any, doomed: Server) -> str:
    """Kill the server when the tool of a streamed turn is called; gives the id of the turn."""
    turn = ""
    with contextlib.suppress(httpx.TransportError):
        async with client.http.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                if '"turn_start"' in line:
                    payload = json.loads(line.removeprefix("data: "))["event"]["payload"]
                    turn = payload["turn_id"]
                if '"tool_execution"' in line and doomed.process is not None:
                    doomed.process.kill()
        raise AssertionError("the stream came to its end")
    return turn


async def test_a_turn_goes_on_without_the_server_that_took_it_and_any_other_tells_it(
    server: Server, tmp_path: Path
) -> None:
    """The client's server is killed in the middle; another replica has the turn, whole."""
    go_on = asyncio.Event()

    async def slowly(play: Play) -> None:
        await play.begin()
        *first, last, end = play.events(
            [started(), called(1), returned(1), said("5"), completed("5")]
        )
        await play.tell(*first)
        await go_on.wait()
        await play.finish(last, end)

    async with (
        agent(server, slowly) as (model, _),
        running_server(server.nats, tmp_path) as doomed,
    ):
        there = Legacy(doomed)
        session = await there.session(await there.agent(model))
        body = {"messages": [{"role": "user", "content": "?"}], "stream": True}
        url = f"{there.prefix}{session}/turn"
        turn = await cut_off(there, url, body, doomed)
        go_on.set()

        here = Legacy(server)
        async with asyncio.timeout(10):
            while (told := await here.get(f"{session}/turn/{turn}"))["completed_at"] is None:
                await asyncio.sleep(0.05)
        await there.http.aclose()

    kinds = [step["step_type"] for step in told["steps"]]
    assert kinds == ["inference", "tool_execution", "inference"]
    assert told["output_message"]["content"] == "5"
    assert (await here.get(session))["turns"] == [told]
    await here.http.aclose()


async def test_a_client_that_goes_away_wants_its_turn_no_more(server: Server) -> None:
    cancelled = asyncio.Event()

    async def until_cancelled(play: Play) -> None:
        await play.begin()
        await play.tell(*play.events([started(), said("It")]))
        while not play.held.record.cancel_requested:
            await asyncio.sleep(0.02)
            found = await play.runs.get(play.task.agent, play.task.id)
            assert found is not None
            play.held = found
        cancelled.set()

    legacy = Legacy(server)
    async with agent(server, until_cancelled) as (model, _), legacy.http:
        session = await legacy.session(await legacy.agent(model))
        body = {"messages": [{"role": "user", "content": "?"}], "stream": True}
        url = f"{legacy.prefix}{session}/turn"
        async with legacy.http.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                if '"step_progress"' in line:
                    break
        async with asyncio.timeout(5):
            await cancelled.wait()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "agent_config"),
        ({"agent_config": {}}, "model"),
        ({"agent_config": {"model": ""}}, "model"),
        ({"agent_config": {"model": "MATH", "toolgroup": []}}, "toolgroup"),
        ({"agent_config": {"model": "MATH", "max_infer_iters": 0}}, "max_infer_iters"),
        (
            {"agent_config": {"model": "MATH", "sampling_params": {"max_tokens": "many"}}},
            "max_tokens",
        ),
        ({"agent_config": {"model": "MATH", "input_shields": ["guard"]}}, "input_shields"),
        ({"agent_config": {"model": "MATH", "client_tools": [{"name": "a b"}]}}, "client_tools"),
        ({"agent_config": {"model": "MATH", "toolgroups": ["builtin::web"]}}, "toolgroups"),
        ([], "body"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused_by_the_field(
    server: Server, idle: str, body: Any, field: str
) -> None:
    legacy = Legacy(server)
    async with legacy.http:
        asked = json.loads(json.dumps(body).replace("MATH", idle))
        refused = await legacy.ask("POST", "", asked)
    assert refused.status_code == 400
    assert field in refused.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "what"),
    [
        ("POST", "/toolgroups", {"toolgroup_id": "a", "provider_id": "b"}, 403, "apply a Tool"),
        ("POST", "/toolgroups", {"toolgroup_id": "a"}, 400, "provider_id"),
        ("DELETE", "/toolgroups/builtin::rag", None, 403, "delete one"),
        ("DELETE", "/toolgroups/nothing", None, 404, "nothing"),
        ("GET", "/toolgroups/nothing", None, 404, "builtin::rag"),
        ("GET", "/tools/nothing", None, 404, "nothing"),
        ("GET", "/tools?toolgroup_id=nothing", None, 404, "nothing"),
        ("POST", "/tool-runtime/invoke", {"tool_name": "nothing", "kwargs": {}}, 404, "nothing"),
        ("POST", "/tool-runtime/invoke", {"tool_name": "knowledge_search"}, 400, "kwargs.query"),
        ("POST", "/vector-dbs", {"vector_db_id": "a"}, 400, "embedding_model"),
        ("POST", "/vector-dbs", {"vector_db_id": "a", "embedding_model": "b"}, 400, "spec.models"),
        ("GET", "/vector-dbs/nothing", None, 404, "nothing"),
        ("DELETE", "/vector-dbs/nothing", None, 404, "nothing"),
        ("POST", "/tool-runtime/rag-tool/insert", {"vector_db_id": "a"}, 400, "documents"),
        (
            "POST",
            "/tool-runtime/rag-tool/insert",
            {"vector_db_id": "a", "documents": [{"document_id": "d", "content": {"uri": "x"}}]},
            400,
            "documents[0].content",
        ),
        (
            "POST",
            "/tool-runtime/rag-tool/query",
            {"content": "?", "vector_db_ids": ["nothing"]},
            404,
            "nothing",
        ),
        ("POST", "/tool-runtime/rag-tool/query", {"content": "?"}, 400, "vector_db_ids"),
    ],
)
async def test_what_tools_and_databases_are_asked_in_vain(
    server: Server, method: str, path: str, body: Any, status: int, what: str
) -> None:
    legacy = Legacy(server, "/v1")
    async with legacy.http:
        refused = await legacy.ask(method, path, body)
    assert refused.status_code == status
    assert what in refused.text


async def test_the_search_is_a_toolgroup_that_is_listed(server: Server) -> None:
    legacy = Legacy(server, "/v1")
    async with legacy.http:
        (group,) = (await legacy.get("/toolgroups"))["data"]
        (tool,) = (await legacy.get("/tools", toolgroup_id="builtin::rag"))["data"]
        lines = await legacy.http.get(
            "/v1/tool-runtime/list-tools", headers={"Accept": "application/jsonl"}
        )
        assert await legacy.get("/vector-dbs") == {"data": []}
    assert group["identifier"] == "builtin::rag"
    assert tool["name"] == "knowledge_search"
    assert [json.loads(line) for line in lines.text.splitlines()] == [tool]


async def test_a_model_that_is_not_there_is_not_found(server: Server) -> None:
    legacy = Legacy(server)
    async with legacy.http:
        refused = await legacy.ask("POST", "", {"agent_config": {"model": "nobody"}})
    assert refused.status_code == 404
    assert "There is no model nobody" in refused.json()["error"]["message"]
    assert refused.json()["error"]["param"] == "model"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "?"}]}, "role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "user", "content": {"type": "image"}}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "5", "call_id": "1"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "?"}], "strean": True}, "strean"),
        ({"messages": [{"role": "user", "content": "?"}], "stream": "perhaps"}, "stream"),
    ],
)
async def test_a_turn_that_cannot_be_is_refused_by_the_field(
    server: Server, body: Any, field: str
) -> None:
    legacy = Legacy(server)
    async with agent(server) as (model, actor), legacy.http:
        session = await legacy.session(await legacy.agent(model))
        refused = await legacy.ask("POST", f"{session}/turn", body)
        assert (await legacy.get(session))["turns"] == []
    assert refused.status_code == 400
    assert field in refused.text
    assert actor.seen == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/{NOBODY}"),
        ("GET", "/no-id"),
        ("DELETE", f"/{NOBODY}"),
        ("POST", f"/{NOBODY}/session"),
        ("GET", f"/{NOBODY}/sessions"),
        ("GET", f"/AGENT/session/{NOBODY}"),
        ("DELETE", f"/AGENT/session/{NOBODY}"),
        ("POST", f"/AGENT/session/{NOBODY}/turn"),
        ("GET", f"SESSION/turn/{NOBODY}"),
        ("GET", f"SESSION/turn/{NOBODY}/step/{NOBODY}"),
        ("POST", f"SESSION/turn/{NOBODY}/resume"),
    ],
)
async def test_what_is_not_there_is_not_found(
    server: Server, idle: str, method: str, path: str
) -> None:
    legacy = Legacy(server)
    async with legacy.http:
        agent_id = await legacy.agent(idle)
        session = await legacy.session(agent_id)
        body = {
            "session": {"session_name": "s"},
            "turn": {"messages": [{"role": "user", "content": "?"}]},
            "resume": {"tool_responses": [{"call_id": "1", "tool_name": "add", "content": "5"}]},
        }.get(path.rpartition("/")[2])
        path = path.replace("AGENT", agent_id).replace("SESSION", session)
        refused = await legacy.ask(method, path, body)
    assert refused.status_code == 404
    assert "There is no " in refused.json()["error"]["message"]


async def test_a_turn_that_waits_for_nothing_is_not_resumed(server: Server) -> None:
    legacy = Legacy(server)
    async with agent(server) as (model, _), legacy.http:
        session = await legacy.session(await legacy.agent(model))
        turn = (await legacy.turn(session)).json()["turn_id"]
        answers = [{"call_id": "1", "tool_name": "add", "content": "5"}]
        refused = await legacy.ask(
            "POST", f"{session}/turn/{turn}/resume", {"tool_responses": answers}
        )
    assert refused.status_code == 400
    assert "waits for no answers of tools" in refused.json()["error"]["message"]


async def test_who_loses_a_turn_that_he_resumed_resumes_it_again(people: Server) -> None:
    legacy, go_on = Legacy(people), asyncio.Event()
    add = {"name": "add", "description": "Add.", "parameters": {}}
    async with agent(people, goes_on_at(go_on)) as (model, _), legacy.http:
        session = await legacy.session(await legacy.agent(model, client_tools=[add]))
        turn = (await legacy.turn(session)).json()
        (call,) = turn["output_message"]["tool_calls"]
        given = {"call_id": call["call_id"], "tool_name": "add", "content": "5"}
        path = f"{session}/turn/{turn['turn_id']}/resume"
        body = {"tool_responses": [given], "stream": True}
        async with legacy.http.stream("POST", legacy.prefix + path, json=body) as answer:
            async for line in answer.aiter_lines():
                if "It " in line:
                    break
        again = asyncio.create_task(legacy.ask("POST", path, body))
        await asyncio.sleep(0.3)  # for a cancellation that would come, wrongly
        go_on.set()
        told = (await again).text

    assert '"turn_complete"' in told
    assert "It is" in told


async def test_a_turn_that_finds_the_queue_full_was_never_there(server: Server, idle: str) -> None:
    legacy = Legacy(server)
    async with legacy.http, server.nats.connect_as(OPERATOR_WORKLOAD) as client:
        session = await legacy.session(await legacy.agent(idle))
        stream = server.nats.subjects.stream(Stream.TASKS)
        info = await client.jsm().stream_info(stream)
        await client.jsm().update_stream(info.config, max_msgs=info.state.messages + 1)
        try:
            fills = {"model": idle, "input": "?", "background": True}
            assert (await legacy.http.post("/v1/responses", json=fills)).status_code == 200
            refused = await legacy.turn(session)
        finally:
            await client.jsm().update_stream(info.config, max_msgs=-1)
        turns = (await legacy.get(session))["turns"]

    assert refused.status_code == 429
    assert turns == []


async def test_a_turn_too_large_for_its_agent_is_refused(server: Server) -> None:
    legacy = Legacy(server)
    async with agent(server, echo, max_input_bytes=1000) as (model, actor), legacy.http:
        session = await legacy.session(await legacy.agent(model))
        refused = await legacy.turn(session, "x" * 1001)
    assert refused.status_code == 413
    assert actor.seen == []
