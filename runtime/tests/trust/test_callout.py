"""Reading the server's request and writing the answer, without a server."""

import json
from typing import Any

import pytest

from controller.clients.nkeys import account_seed
from runtime.contract.subjects import Account
from runtime.contract.trust_config import USER_SECONDS
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import Identity
from runtime.tests.trust.callouts import (
    MATH,
    NOW,
    SERVER_XKEY,
    USER,
    Stack,
    a_server,
    request,
)
from runtime.trust.callout import Request, admission, bearer, read_request
from runtime.trust.nkeys import Prefix, Signer, signed_claims
from runtime.trust.permissions import Permissions

ALLOWED = Permissions(Account.AGENTS, publish=("a.>",), subscribe=("b.>",))


@pytest.fixture
def server() -> Signer:
    return a_server()


def test_a_request_says_who_asks_for_whom(server: Signer) -> None:
    data = server.sign(request(server)).encode()
    assert read_request(data, NOW) == Request(
        user=USER,
        server=server.public_key,
        xkey=SERVER_XKEY,
        token="the token",
        client="10.0.0.7 agent-math",
    )


def test_a_client_cannot_write_a_second_line_into_the_log(server: Signer) -> None:
    claims = request(server)
    claims["nats"]["connect_opts"]["name"] = "x\nconnection admitted\x1b[2K" + "y" * 500
    client = read_request(server.sign(claims).encode(), NOW).client
    assert client.isprintable()
    assert len(client) == 120


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"aud": "another"}, Reason.MALFORMED_REQUEST),
        ({"iat": NOW - 61}, Reason.CLOCK),
        ({"iat": NOW + 61}, Reason.CLOCK),
        ({"iat": "yesterday"}, Reason.MALFORMED_REQUEST),
        ({"nats": {}}, Reason.MALFORMED_REQUEST),
        ({"nats": None}, Reason.MALFORMED_REQUEST),
    ],
)
def test_a_stale_or_misshapen_request_is_refused(
    server: Signer, other: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        read_request(server.sign(request(server, **other)).encode(), NOW)
    assert refused.value.reason is reason


def test_only_the_server_that_is_named_may_have_signed(server: Signer) -> None:
    claims = request(server)
    claims["nats"]["server_id"]["id"] = "N" + server.public_key[1:][::-1]
    for data in (
        server.sign(claims),
        Signer(account_seed()).sign(request(server)),
        "no JWT",
        "",
    ):
        with pytest.raises(Refused) as refused:
            read_request(data.encode(), NOW)
        assert refused.value.reason is Reason.MALFORMED_REQUEST
    with pytest.raises(Refused):
        read_request(b"\xff\xfe", NOW)


def admitted(expires: float) -> tuple[dict[str, Any], dict[str, Any], Signer]:
    signer = Signer(account_seed())
    asked = Request(user=USER, server="NSERVER", xkey="", token="", client="")
    answer = admission(asked, Identity(MATH, expires), ALLOWED, signer, NOW, digest="0a1b")
    response = signed_claims(answer.decode(), Prefix.ACCOUNT)
    return response, signed_claims(response["nats"]["jwt"], Prefix.ACCOUNT), signer


def test_the_answer_is_for_that_server_and_that_connection_alone() -> None:
    response, user, signer = admitted(NOW + 3600)
    assert (response["sub"], response["aud"]) == (USER, "NSERVER")
    assert response["nats"]["type"] == "authorization_response"
    assert response["iss"] == user["iss"] == signer.public_key
    assert (user["sub"], user["aud"]) == (USER, "AGENTS")
    assert user["nats"]["pub"] == {"allow": ["a.>"]}
    assert user["nats"]["sub"] == {"allow": ["b.>"]}


def test_the_name_is_what_the_server_shows_instead_of_the_token() -> None:
    _, user, _ = admitted(NOW + 3600)
    assert user["name"] == "team/agent-math 0a1b"
    assert bearer(user["name"]) == (MATH, "0a1b")


@pytest.mark.parametrize("name", ["", "trust", "team/agent-math", "a b", "a/b/c/d", "a/b c d"])
def test_a_name_that_is_none_of_ours_bears_nothing(name: str) -> None:
    assert bearer(name) is None


def test_a_connection_ends_with_its_token_or_after_ten_minutes_with_jitter() -> None:
    assert admitted(NOW + 60)[1]["exp"] == NOW + 60
    ends = {admitted(NOW + 3600)[1]["exp"] - NOW for _ in range(40)}
    assert max(ends) <= USER_SECONDS
    assert min(ends) >= 0.9 * USER_SECONDS - 1
    assert len(ends) > 10


def test_an_empty_list_is_never_signed() -> None:
    signer = Signer(account_seed())
    asked = Request(user=USER, server="N", xkey="", token="", client="")
    for allowed in (
        Permissions(Account.AGENTS, publish=(), subscribe=("b",)),
        Permissions(Account.AGENTS, publish=("a",), subscribe=()),
    ):
        with pytest.raises(ValueError, match="would allow them all"):
            admission(asked, Identity(MATH, NOW + 60), allowed, signer, NOW, digest="0a1b")


ENTRY = "policy/workloads.team.agent-math"
AGENT = {"schema": 1, "role": "Agent", "name": {"namespace": "team", "name": "math"}}


async def test_the_operator_needs_no_policy_entry(server: Signer) -> None:
    stack = Stack(server)
    stack.is_down = True
    answer = await stack.answer(stack.operator)
    assert answer is not None
    user = signed_claims(
        signed_claims(answer.decode(), Prefix.ACCOUNT)["nats"]["jwt"], Prefix.ACCOUNT
    )
    assert user["aud"] == "WORK"
    assert "$JS.API.>" in user["nats"]["pub"]["allow"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        pytest.param(None, Reason.UNKNOWN_WORKLOAD, id="no entry"),
        pytest.param(b"{", Reason.POLICY_UNREADABLE, id="no JSON"),
        pytest.param(b"{}", Reason.POLICY_UNREADABLE, id="no workload"),
        pytest.param(AGENT, Reason.POLICY_UNREADABLE, id="an agent without its durable"),
        pytest.param(AGENT | {"role": "Root"}, Reason.POLICY_UNREADABLE, id="an unknown role"),
        pytest.param(
            AGENT | {"role": "Operator"}, Reason.UNKNOWN_WORKLOAD, id="an entry that promotes"
        ),
        pytest.param(
            AGENT | {"durable": "d", "suspended": True}, Reason.SUSPENDED, id="a suspended agent"
        ),
        pytest.param(
            AGENT | {"durable": "d", "name": {"namespace": "team", "name": ">"}},
            Reason.POLICY_UNREADABLE,
            id="a name that is a wildcard",
        ),
    ],
)
async def test_what_is_no_good_entry_lets_nobody_in(
    server: Signer,
    caplog: pytest.LogCaptureFixture,
    entry: dict[str, Any] | bytes | None,
    reason: Reason,
) -> None:
    stack = Stack(server)
    if entry is not None:
        stack.policy[ENTRY] = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    assert await stack.answer(MATH) is None
    (line,) = caplog.records
    assert (vars(line)["who"], vars(line)["reason"]) == ("team/agent-math", str(reason))


@pytest.mark.fault(24)
async def test_a_policy_that_cannot_be_read_lets_nobody_in(server: Signer) -> None:
    stack = Stack(server)
    stack.policy[ENTRY] = json.dumps(AGENT | {"durable": "math-1"}).encode()
    assert await stack.answer(MATH) is not None
    stack.is_down = True
    assert await stack.answer(MATH) is None
