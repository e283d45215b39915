"""The middleware before an application that counts how often it was reached."""

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from runtime.tests.verify.conftest import DOMAIN, Service
from runtime.verify import TOKEN, Replays, TxnToken, TxnTokenMiddleware, Verifier


@dataclass
class App:
    """The tool behind it."""

    seen: list[TxnToken | None] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        self.seen.append(scope.get(TOKEN))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def tool() -> App:
    return App()


@pytest.fixture
def verifier(service: Service) -> Verifier:
    return Verifier(trust_domain=DOMAIN, keys=service.url)


async def asked(app: Any, *headers: tuple[str, str], path: str = "/") -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tool") as client:
        return await client.post(path, headers=list(headers))


async def test_the_tool_gets_the_token(service: Service, verifier: Verifier, tool: App) -> None:
    app = TxnTokenMiddleware(tool, verifier, scope="payments")
    answer = await asked(app, ("Txn-Token", service.token()))
    assert answer.status_code == 204
    (token,) = tool.seen
    assert token is not None
    assert token.sub == "ada"


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("headers", "status", "error", "reason"),
    [
        pytest.param([], 401, "invalid_token", "missing", id="none"),
        pytest.param(["Txn-Token"] * 2, 400, "invalid_request", "repeated", id="two"),
        pytest.param(["two in one"], 400, "invalid_request", "repeated", id="two in one"),
        pytest.param(
            ["Authorization"], 400, "invalid_request", "in authorization", id="Authorization"
        ),
        pytest.param(["other"], 401, "invalid_token", "missing", id="another Authorization"),
        pytest.param(["expired"], 401, "invalid_token", "expired", id="expired"),
        pytest.param(["access token"], 401, "invalid_token", "type", id="an access token"),
    ],
)
async def test_who_comes_without_a_good_token_does_not_reach_it(
    service: Service,
    verifier: Verifier,
    tool: App,
    headers: list[str],
    status: int,
    error: str,
    reason: str,
) -> None:
    token = service.token()
    values = {
        "Txn-Token": ("Txn-Token", token),
        "two in one": ("Txn-Token", f"{token}, {token}"),
        "Authorization": ("Authorization", f"Bearer {token}"),
        "other": ("Authorization", "Basic YTpi"),
        "expired": ("Txn-Token", service.token(exp=int(time.time()) - 100)),
        "access token": ("Txn-Token", service.token(typ="at+jwt")),
    }
    answer = await asked(
        TxnTokenMiddleware(tool, verifier), *(values[header] for header in headers)
    )
    assert answer.status_code == status
    assert (answer.json()["error"], answer.json()["reason"]) == (error, reason)
    assert answer.headers["www-authenticate"] == 'Txn-Token realm="example.org"'
    assert token not in answer.text
    assert tool.seen == []


async def test_too_little_scope_is_forbidden(
    service: Service, verifier: Verifier, tool: App
) -> None:
    app = TxnTokenMiddleware(tool, verifier, scope="admin")
    answer = await asked(app, ("Txn-Token", service.token()))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert tool.seen == []


@pytest.mark.fault(28)
async def test_a_replay_is_refused_and_a_redelivery_is_not(
    service: Service, verifier: Verifier, tool: App
) -> None:
    app = TxnTokenMiddleware(tool, verifier, replays=Replays())
    header = ("Txn-Token", service.token())
    key = ("Idempotency-Key", '"call-1"')
    assert (await asked(app, header, key)).status_code == 204
    again = await asked(app, header, key)
    assert (again.status_code, again.json()["reason"]) == (401, "replay")
    assert len(tool.seen) == 1
    # Delivered again, a call comes with a new token: the tool knows it by its key.
    fresh = ("Txn-Token", service.token(jti="j2"))
    assert (await asked(app, fresh, key)).status_code == 204
    # Without a key it is the work that the token was minted for.
    assert (await asked(app, ("Txn-Token", service.token(jti="j3")))).status_code == 204
    assert len(tool.seen) == 3


async def test_what_needs_no_token_needs_none(
    service: Service, verifier: Verifier, tool: App
) -> None:
    app = TxnTokenMiddleware(tool, verifier, needs=lambda scope: scope["path"] != "/health")
    assert (await asked(app, path="/health")).status_code == 204
    assert tool.seen == [None]
    bad = ("Txn-Token", service.token(aud="other.org"))
    assert (await asked(app, bad, path="/health")).status_code == 401
    assert (await asked(app, path="/")).status_code == 401


async def test_a_service_out_of_reach_is_no_refusal(
    service: Service, verifier: Verifier, tool: App
) -> None:
    service.is_away = True
    answer = await asked(TxnTokenMiddleware(tool, verifier), ("Txn-Token", service.token()))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "retry-after" in answer.headers
    assert tool.seen == []


async def test_a_websocket_is_closed_before_it_is_open(verifier: Verifier, tool: App) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    app = TxnTokenMiddleware(tool, verifier)
    await app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    await app({"type": "lifespan"}, receive, send)
    assert tool.seen == [None]


def test_what_has_ended_is_forgotten() -> None:
    replays = Replays(most=2)
    assert replays.is_new("t", "1", now=0, until=10)
    assert not replays.is_new("t", "1", now=10, until=10)
    assert replays.is_new("t", "1", now=11, until=20)
    assert replays.is_new("t", "2", now=11, until=20)
    assert replays.is_new("t", "3", now=11, until=20)
    assert replays.is_new("t", "1", now=11, until=20)  # crowded out
