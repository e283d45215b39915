"""Messages of JSON-RPC that are none: told in our words, by A2A and by MCP."""

import json
from typing import Any

import httpx
import pytest

from runtime.amf.json_rpc import INVALID_REQUEST, PARSE_ERROR, read
from runtime.tests.amf.clients import agent
from runtime.tests.amf.server import Server

CALL: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
JSON = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "a2a-version": "1.0",
}


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        pytest.param(b"{bad", PARSE_ERROR, "no JSON", id="no JSON"),
        pytest.param(b"\xff", PARSE_ERROR, "no JSON", id="no text"),
        pytest.param(b"[" * 100_000, PARSE_ERROR, "no JSON", id="too deep"),
        pytest.param(b"[]", INVALID_REQUEST, "one message", id="a batch"),
        pytest.param(b"5", INVALID_REQUEST, "one message", id="a number"),
        pytest.param(b"{}", INVALID_REQUEST, "jsonrpc", id="nothing in it"),
        pytest.param(b'{"jsonrpc":"1.0"}', INVALID_REQUEST, "jsonrpc", id="another version"),
        pytest.param(b'{"jsonrpc":"2.0"}', INVALID_REQUEST, "method", id="no method"),
        pytest.param(b'{"jsonrpc":"2.0","method":[]}', INVALID_REQUEST, "method", id="a list"),
    ],
)
def test_no_message(body: bytes, code: int, said: str) -> None:
    _, refused = read(body)

    assert refused is not None
    assert refused["error"]["code"] == code
    assert said in refused["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(CALL, id="a call"),
        pytest.param({"jsonrpc": "2.0", "method": "notifications/initialized"}, id="a notice"),
        pytest.param({"jsonrpc": "2.0", "id": 1, "result": {}}, id="an answer"),
    ],
)
def test_a_message(message: dict[str, Any]) -> None:
    assert read(json.dumps(message).encode()) == (message, None)


@pytest.mark.parametrize(("id_", "told"), [(7, 7), ("a", "a"), (True, None), ([], None)])
def test_the_answer_names_the_message(id_: Any, told: Any) -> None:
    _, refused = read(json.dumps({"jsonrpc": "2.0", "id": id_}).encode())

    assert refused is not None
    assert refused["id"] == told


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="session")
async def test_both_protocols_answer_so(server: Server) -> None:
    async with agent(server) as (model, _), httpx.AsyncClient(base_url=server.url) as http:
        answers = {
            path: await http.post(path, content=b'{"jsonrpc":"2.0","method":[]}', headers=JSON)
            for path in ("/mcp", f"/a2a/{model}")
        }

    assert [answer.status_code for answer in answers.values()] == [400, 200]
    for answer in answers.values():
        assert answer.json()["error"]["message"] == "method has to name what to do."


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="session")
async def test_a_call_of_the_old_protocol_is_refused_by_its_field(server: Server) -> None:
    message = {"messageId": "m", "role": "user", "parts": [{"kind": "text"}]}
    call = CALL | {"method": "message/send", "params": {"message": message}}
    async with agent(server) as (model, actor), httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.post(f"/a2a/{model}", json=call)

    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {
            "code": -32602,
            "message": "params.message.parts[0].text is missing.",
        },
    }
    assert actor.seen == []
