"""Requests that are wrong, each refused by the field: what the server says on the line."""

import asyncio
import secrets
from typing import Any

import pytest

from runtime.amf import discovery
from runtime.amf.door import MAX_BODY_BYTES
from runtime.amf.flavour import IS_OGX
from runtime.tests.amf.clients import agent, http_client
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

JSON = {"Content-Type": "application/json"}
MESSAGE = {"role": "user", "content": "?"}
CHAT = {"model": "MODEL", "messages": [MESSAGE]}
FUNCTION = {"type": "function", "function": {"name": "a", "parameters": {}}}


async def test_json_that_a_client_calls_a_form_is_told_so(server: Server) -> None:
    """As curl does with -d alone; forms are read there as well."""
    async with http_client(server) as client:
        refused = await client.post(
            "/responses",
            content='{"model": "a", "input": "?"}',
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    assert refused.status_code == 415
    assert "Send Content-Type: application/json" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"input": None}, "input", id="no input"),
        pytest.param({"input": 5}, "input", id="input is a number"),
        pytest.param({"input": []}, "input", id="nothing in the input"),
        pytest.param({"input": [{"role": "user"}]}, "input[0].content", id="an empty message"),
        pytest.param(
            {"input": [MESSAGE, MESSAGE | {"content": 5}]}, "input[1].content", id="its content"
        ),
        pytest.param(
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "5"}]},
            "input[0].call_id",
            id="an output nobody has asked for",
        ),
        pytest.param({"input": [{"type": "nonsense"}]}, "input[0]", id="no such item"),
        pytest.param(
            {"input": [{"type": "message", "role": "king", "content": "?"}]},
            "input[0].role",
            id="a king",
        ),
        pytest.param({"model": 7}, "model", id="model is a number"),
        pytest.param({"stream": "maybe"}, "stream", id="stream is a word"),
        pytest.param({"background": []}, "background", id="background is a list"),
        pytest.param({"store": "never"}, "store", id="store is a word"),
        pytest.param({"temperature": 3}, "temperature", id="too hot"),
        pytest.param({"temperature": "hot"}, "temperature", id="no number"),
        pytest.param({"top_p": 0.5}, "top_p", id="top_p"),
        pytest.param({"max_output_tokens": 1}, "max_output_tokens", id="too few tokens"),
        pytest.param({"max_tool_calls": 3}, "max_tool_calls", id="a limit of calls"),
        pytest.param({"max_tool_calls": "x"}, "max_tool_calls", id="none that is one"),
        pytest.param({"parallel_tool_calls": False}, "parallel_tool_calls", id="one by one"),
        pytest.param({"instructions": {}}, "instructions", id="instructions is an object"),
        pytest.param({"metadata": "x"}, "metadata", id="metadata is a word"),
        pytest.param({"metadata": {"a": 1}}, "metadata.a", id="a value is a number"),
        pytest.param(
            {"metadata": {str(number): "" for number in range(17)}}, "metadata", id="17 pairs"
        ),
        pytest.param({"metadata": {"a" * 65: ""}}, "metadata", id="a long name"),
        pytest.param({"metadata": {"a": "b" * 513}}, "metadata", id="a long value"),
        pytest.param({"include": ["everything"]}, "include[0]", id="no such include"),
        pytest.param({"include": ["file_search_call.results"]}, "include", id="include"),
        pytest.param({"truncation": "disabled"}, "truncation", id="nothing left out"),
        pytest.param({"truncation": "some"}, "truncation", id="no such truncation"),
        pytest.param({"user": "ann"}, "user", id="user"),
        pytest.param({"safety_identifier": "ann"}, "safety_identifier", id="safety_identifier"),
        pytest.param({"prompt_cache_key": "a"}, "prompt_cache_key", id="prompt_cache_key"),
        pytest.param({"service_tier": "flex"}, "service_tier", id="service_tier"),
        pytest.param({"reasoning": {"effort": "high"}}, "reasoning", id="reasoning"),
        pytest.param({"tool_choice": "required"}, "tool_choice", id="tool_choice"),
        pytest.param({"tools": [{"type": "web_search"}]}, "tools[0].type", id="tools"),
        pytest.param(
            {"tools": [{"type": "function", "name": "a b", "parameters": {}}]},
            "tools[0].name",
            id="a function without a name",
        ),
        pytest.param({"tools": [{"type": "abacus"}]}, "tools[0]", id="no such tool"),
        pytest.param({"conversation": 5}, "conversation", id="conversation is a number"),
        pytest.param({"previous_response_id": 5}, "previous_response_id", id="no id"),
        pytest.param({"colour": "blue"}, "colour", id="a field that there is not"),
        pytest.param({"background": True, "store": False}, "store", id="background, not stored"),
    ],
)
async def test_a_response(server: Server, fields: dict[str, Any], param: str) -> None:
    async with agent(server) as (model, actor), http_client(server) as client:
        body = {"model": model, "input": "?"} | fields
        answer = await client.post(
            "/responses", json={name: value for name, value in body.items() if value is not None}
        )

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_value"
    assert error["message"].endswith(".")
    assert actor.seen == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"messages": None}, "messages", id="no messages"),
        pytest.param({"messages": []}, "messages", id="none in it"),
        pytest.param({"messages": [{"role": "user"}]}, "messages[0].content", id="no content"),
        pytest.param({"messages": [MESSAGE | {"role": "king"}]}, "messages[0]", id="a king"),
        pytest.param({"temperature": "hot"}, "temperature", id="no number"),
        pytest.param({"n": 2}, "n", id="two answers"),
        pytest.param({"user": "ann"}, "user", id="user"),
        pytest.param({"colour": "blue"}, "colour", id="a field that there is not"),
    ],
)
async def test_a_chat(server: Server, fields: dict[str, Any], param: str) -> None:
    async with agent(server) as (model, actor), http_client(server) as client:
        body = {"model": f"agents/{model}", "messages": [MESSAGE]} | fields
        answer = await client.post(
            "/chat/completions",
            json={name: value for name, value in body.items() if value is not None},
        )

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert actor.seen == []


@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "param"),
    [
        pytest.param(
            "POST",
            "/chat/completions",
            {"json": CHAT | {"tool_choice": "zz"}},
            400,
            "tool_choice",
            id="a choice that there is not",
        ),
        pytest.param(
            "POST",
            "/chat/completions",
            {"json": CHAT | {"tools": [FUNCTION, {"type": "function"}]}},
            400,
            "tools[1]",
            id="a tool that is none",
        ),
        pytest.param(
            "GET", "/chat/completions", {"params": {"limit": -1}}, 400, "limit", id="a query"
        ),
        pytest.param(
            "POST", "/conversations", {"json": {"items": 5}}, 400, "items", id="items that are none"
        ),
        pytest.param("GET", "/files/x1", {}, 400, None, id="an id that is none"),
        pytest.param(
            "GET",
            "/prompts/x1",
            {},
            404 if IS_OGX else 400,  # Llama Stack has a form for the names of prompts
            None,
            id="a prompt that there is not",
        ),
        pytest.param("GET", "/vector_stores/x1", {}, 400, None, id="a store that there is not"),
        pytest.param("GET", "/chat/completions/x1", {}, 501, None, id="what is not kept"),
        pytest.param(
            "POST",
            "/embeddings",
            {"json": {"model": "nobody", "input": "?"}},
            404,
            "model",
            id="a model that there is not",
        ),
    ],
)
async def test_what_the_servers_own_routes_refuse_has_the_same_shape(
    server: Server, method: str, path: str, asked: dict[str, Any], status: int, param: str | None
) -> None:
    """No text of Python's, no names of classes, and the connection goes on."""
    async with agent(server) as (model, _), http_client(server) as client:
        if (body := asked.get("json")) and body.get("model") == "MODEL":
            asked = {"json": body | {"model": model}}
        answer = await client.request(method, path, **asked)
        alive = await client.get("/models")

    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert "{'" not in error["message"]
    assert "validation error" not in error["message"]
    assert alive.status_code == 200


@pytest.mark.parametrize("path", ["/responses", "/chat/completions", "/conversations"])
async def test_a_body_that_is_no_json(server: Server, path: str) -> None:
    async with http_client(server) as client:
        broken = await client.post(path, content=b'{"model": ', headers=JSON)
        listed = await client.post(path, content=b"[]", headers=JSON)
        xml = await client.post(path, content=b"<a/>", headers={"Content-Type": "text/xml"})

    assert broken.status_code == listed.status_code == 400
    assert "no JSON from line 1, column 11 on" in broken.json()["error"]["message"]
    assert "an object of JSON" in listed.json()["error"]["message"]
    assert xml.status_code == 415
    assert "application/json" in xml.json()["error"]["message"]
    assert xml.json()["error"]["code"] == "unsupported_media_type"


async def test_a_body_that_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    """Neither one whose header says so, nor one that comes in pieces without end."""
    head = f"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON['Content-Type']}\r\n"

    async def refused(rest: bytes, piece: bytes, pieces: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(head.encode() + rest)
            for _ in range(pieces):
                writer.write(piece)
                await writer.drain()
            return await asyncio.wait_for(reader.readline(), 10)
        finally:
            writer.close()

    size = 1024 * 1024
    piece = b"%x\r\n%b\r\n" % (size, b"x" * size)
    told = await refused(f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode(), b"", 0)
    found = await refused(b"Transfer-Encoding: chunked\r\n\r\n", piece, MAX_BODY_BYTES // size + 1)

    assert told.startswith(b"HTTP/1.1 413")
    assert found.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status", "param"),
    [
        pytest.param("GET", "/responses/resp_{}", 404, "response_id", id="a response"),
        pytest.param("DELETE", "/responses/resp_{}", 404, "response_id", id="to delete"),
        pytest.param("POST", "/responses/resp_{}/cancel", 404, "response_id", id="to cancel"),
        pytest.param("GET", "/responses/resp_{}/input_items", 404, "response_id", id="its input"),
        pytest.param("GET", "/responses/*", 404, "response_id", id="all of them"),
        pytest.param("POST", "/responses/mine/cancel", 404, "response_id", id="of another form"),
        pytest.param("GET", "/conversations/conv_{0}", 404, "conversation_id", id="a conversation"),
        pytest.param("GET", "/conversations/mine", 404, "conversation_id", id="no id of one"),
        pytest.param("GET", "/nowhere", 404, None, id="a path"),
        pytest.param("PUT", "/responses", 405, None, id="a method"),
    ],
)
async def test_what_is_not_there_is_said_in_the_same_shape(
    server: Server, method: str, path: str, status: int, param: str | None
) -> None:
    async with http_client(server) as client:
        answer = await client.request(
            method, path.format(secrets.token_hex(24 if "conv_" in path else 16))
        )

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"].startswith("There is no ")
    assert error["message"].endswith("/docs shows what there is.") == (param is None)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        pytest.param("/v1alpha/agents", "limit, start_index", id="legacy agents"),
        pytest.param("/v1/tools", "toolgroup_id", id="legacy tools"),
        pytest.param(f"{discovery.PREFIX}/agents", "namespace", id="agents"),
    ],
)
async def test_a_parameter_that_a_list_has_not(server: Server, path: str, known: str) -> None:
    async with http_client(server) as client:
        answer = await client.get(f"{server.url}{path}", params={"name_space": "team"})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "name_space"
    assert error["message"] == f"name_space is no parameter here; there is {known}. Leave it out."
