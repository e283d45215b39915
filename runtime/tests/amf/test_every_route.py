"""Bad input at every route of ours: each mistake has its status, and the field its name."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from runtime.amf.body import body_limit
from runtime.amf.document import is_ours, operations
from runtime.amf.door import MAX_BODY_BYTES
from runtime.tests.amf.clients import agent_without_worker
from runtime.tests.amf.routes import ROUTES, UNKNOWN, Route
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

JSON = {"Content-Type": "application/json"}
WITH_BODY = [route for route in ROUTES if route.body is not None]
AGENT_BYTES = 1000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(server: Server) -> AsyncIterator[Mapping[str, str]]:
    """The ids of what there is; nobody works for the agent."""
    model = await agent_without_worker(server, max_input_bytes=AGENT_BYTES)
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:

        async def made(path: str, name: str, **body: Any) -> str:
            found: str = (await http.post(path, json=body)).raise_for_status().json()[name]
            return found

        ids = UNKNOWN | {"model": model, "agent": model, "model_id": f"agents/{model}"}
        ids["response_id"] = await made(
            "/v1/responses", "id", model=model, input="?", background=True
        )
        ids["conversation_id"] = await made("/v1/conversations", "id")
        ids["agent_id"] = await made("/v1/agents", "agent_id", agent_config={"model": model})
        ids["session_id"] = await made(
            f"/v1/agents/{ids['agent_id']}/session", "session_id", session_name="s"
        )
        yield ids


async def asked(server: Server, route: Route, ids: Mapping[str, str], **sent: Any) -> Any:
    headers = {"Accept": "application/json, text/event-stream"} | sent.pop("headers", {})
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        path = route.path.format(**ids)
        return await http.request(route.method, path, headers=headers, **sent)


def refusal(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    return error


def body_of(route: Route, ids: Mapping[str, str], **fields: Any) -> bytes:
    """A body that is right but for `fields`; JSON has escapes for what no text can have."""
    given = json.dumps(route.body).replace("MODEL", ids["model"])
    return json.dumps(json.loads(given) | fields).encode()


async def test_no_route_is_missing_here(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        document = (await http.get("/openapi.json")).json()

    ours = {where: operation for where, operation in operations(document) if is_ours(operation)}
    with_input = {
        where for where, one in ours.items() if one.get("parameters") or "requestBody" in one
    }
    assert {route.label for route in ROUTES} == with_input
    assert {route.label for route in WITH_BODY} == {
        where for where, one in ours.items() if "requestBody" in one
    }


@pytest.mark.parametrize(
    ("route", "name"),
    [pytest.param(one, name, id=f"{one.label} {name}") for one in ROUTES for name in one.wrong],
)
async def test_a_malformed_field_is_named(
    server: Server, known: Mapping[str, str], route: Route, name: str
) -> None:
    value, param = route.wrong[name]
    if route.body is None:
        answer = await asked(server, route, known, params={name: value})
    else:
        content = body_of(route, known, **{name: value})
        answer = await asked(server, route, known, content=content, headers=JSON)

    error = refusal(answer, 400)
    assert (error["param"], error["code"]) == (param, "invalid_value")


@pytest.mark.parametrize("body", [b'{"model": ', b"[]", b"5", b"\xff\xfe"])
@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.label)
async def test_what_is_no_object_is_refused(
    server: Server, known: Mapping[str, str], route: Route, body: bytes
) -> None:
    answer = await asked(server, route, known, content=body, headers=JSON)

    if route.is_rpc and answer.status_code == 200:
        assert answer.json()["error"]["code"] in {-32600, -32700}
    else:
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.label)
async def test_another_type_is_not_read(
    server: Server, known: Mapping[str, str], route: Route
) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = await asked(server, route, known, content=body_of(route, known), headers=headers)

    assert refusal(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: route.label)
async def test_what_is_too_large_is_not_read(
    server: Server, known: Mapping[str, str], route: Route
) -> None:
    """By what its header says, or as it comes."""
    if route.path == "/a2a/{agent}":
        content = b" " * (body_limit(AGENT_BYTES) + 1)
        answer = await asked(server, route, known, content=content, headers=JSON)
        assert refusal(answer, 413)["code"] == "payload_too_large"
        return
    size = MAX_BODY_BYTES + 1
    head = (
        f"{route.method} {route.path.format(**known)} HTTP/1.1\r\nHost: a\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(head.encode())
        if route.is_rpc:
            writer.write(b" " * size)
        status = await asyncio.wait_for(reader.readline(), 20)
    finally:
        writer.close()

    assert status.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if "{" in route.path], ids=lambda route: route.label
)
async def test_what_is_not_there_is_not_found(
    server: Server, known: Mapping[str, str], route: Route
) -> None:
    """Neither what has the form of an id nor what has none."""
    body = {} if route.body is None else {"content": body_of(route, known), "headers": JSON}
    names = UNKNOWN | {"model": known["model"]}
    unknown = await asked(server, route, names, **body)
    nonsense = await asked(server, route, dict.fromkeys(UNKNOWN, "*"), **body)

    for answer in (unknown, nonsense):
        refusal(answer, 404)
