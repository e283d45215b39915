"""What is refused over A2A, and how: a real server."""

from typing import Any

import httpx
import pytest

from runtime.amf.a2a.errors import as_a2a
from runtime.amf.errors import ApiError, BadRequest, Conflict, Full, NotFound, TooLarge
from runtime.tests.amf.clients import agent, agent_without_worker
from runtime.tests.amf.server import Server

WITH_SERVER = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
HEADERS = {"A2A-Version": "1.0"}


def message(text: str = "Hello", **others: Any) -> dict[str, Any]:
    return {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]} | others


def call(method: str, params: Any = None, **others: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | others


async def answer(server: Server, model: str, **sent: Any) -> httpx.Response:
    headers = HEADERS | sent.pop("headers", {})
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.post(f"{server.url}/a2a/{model}", headers=headers, **sent)


async def said(server: Server, model: str, **sent: Any) -> Any:
    """The error of an answer by JSON-RPC."""
    response = await answer(server, model, **sent)
    assert response.status_code == 200
    return response.json()["error"]


class TestCalls:
    pytestmark = WITH_SERVER

    @pytest.mark.parametrize(
        ("body", "code", "words"),
        [
            pytest.param(b"{", -32700, "", id="no JSON"),
            pytest.param(b"[]", -32600, "", id="no object"),
            pytest.param({"id": 1, "method": "GetTask"}, -32600, "jsonrpc", id="no JSON-RPC"),
            pytest.param(call("tasks/think"), -32601, "Method not found", id="no such method"),
            pytest.param(call("SendMessage", {}), -32602, "message", id="no message"),
            pytest.param(
                call("SendMessage", {"message": message(parts=[])}), -32602, "parts", id="no parts"
            ),
            pytest.param(
                call("SendMessage", {"message": message(contextId="a b")}),
                -32602,
                "message.contextId",
                id="a context with a blank",
            ),
            pytest.param(
                call("SendMessage", {"message": message(parts=[{"url": "http://x/y.png"}])}),
                -32005,
                "message.parts[0]",
                id="a file",
            ),
            pytest.param(call("GetTask", {"id": "f" * 32}), -32001, "no task", id="no such task"),
            pytest.param(call("ListTasks", {"pageSize": 0}), -32602, "page size", id="no page"),
            pytest.param(call("ListTasks", {"pageToken": "x"}), -32602, "pageToken", id="any page"),
            pytest.param(
                call("CreateTaskPushNotificationConfig", {"taskId": "t", "url": "http://x"}),
                -32003,
                "Push notifications",
                id="push notifications",
            ),
            pytest.param(call("GetExtendedAgentCard", {}), -32007, "card", id="another card"),
        ],
    )
    async def test_each_mistake_has_its_code(
        self, server: Server, body: Any, code: int, words: str
    ) -> None:
        sent = {"content": body, "headers": {"content-type": "application/json"}}
        async with agent(server) as (model, _):
            error = await said(
                server, model, **(sent if isinstance(body, bytes) else {"json": body})
            )

        assert error["code"] == code
        assert words in str(error)

    async def test_another_version_is_refused(self, server: Server) -> None:
        async with agent(server) as (model, _):
            body = call("GetTask", {"id": "f" * 32})
            error = await said(server, model, json=body, headers={"A2A-Version": "9.0"})

        assert error["code"] == -32009

    async def test_an_unknown_agent_is_not_found(self, server: Server) -> None:
        response = await answer(server, "nobody", json=call("SendMessage", {"message": message()}))
        async with httpx.AsyncClient() as http:
            card = await http.get(f"{server.url}/a2a/nobody/.well-known/agent-card.json")

        assert (response.status_code, card.status_code) == (404, 404)
        assert response.json()["error"]["code"] == "model_not_found"

    async def test_another_content_type_is_not_read(self, server: Server) -> None:
        async with agent(server) as (model, _):
            response = await answer(
                server, model, content=b"Hello", headers={"content-type": "text/plain"}
            )

        assert response.status_code == 415

    @pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
    async def test_an_input_over_the_agents_limit_is_too_large(
        self, server: Server, method: str
    ) -> None:
        async with agent(server, max_input_bytes=10) as (model, actor):
            body = call(method, {"message": message("01234567890")})
            response = await answer(server, model, json=body)

        assert response.status_code == 413
        assert "spec.execution.maxInputBytes" in response.json()["error"]["message"]
        assert actor.seen == []

    async def test_a_body_that_no_input_can_have_is_not_even_read(self, server: Server) -> None:
        async with agent(server, max_input_bytes=10) as (model, _):
            response = await answer(server, model, json=call("GetTask", {"id": "x" * 100_000}))

        assert response.status_code == 413
        assert response.json()["error"]["code"] == "payload_too_large"

    async def test_a_suspended_agent_takes_nothing(self, server: Server) -> None:
        model = await agent_without_worker(server, accepting=False)
        error = await said(server, model, json=call("SendMessage", {"message": message()}))

        assert error["code"] == -32004
        assert "spec.suspend" in error["message"]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (BadRequest("No.", param="input"), "InvalidParamsError"),
        (NotFound("No."), "InvalidParamsError"),
        (TooLarge("No."), "InvalidParamsError"),
        (Conflict("No."), "UnsupportedOperationError"),
        (Full("No.", retry_after=2), "InternalError"),
    ],
)
def test_what_refuses_a_request_has_a_kind_in_a2a_too(error: ApiError, name: str) -> None:
    told = as_a2a(error)

    assert (type(told).__name__, told.message) == (name, "No.")
    assert told.data == {"code": error.code} | ({"field": error.param} if error.param else {})
