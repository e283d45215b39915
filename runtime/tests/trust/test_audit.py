"""The audit log: one record for each answer of the callout, who, what and why; never a token."""

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from controller.clients.nkeys import xkey_seed
from runtime.contract.trust_config import Issuer, Role
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import Reason
from runtime.identity.workloads import WorkloadVerifier
from runtime.tests.identity.test_workloads import CLAIMS, ISSUER, JWKS, flipped, raw, signed
from runtime.tests.trust.callouts import MATH, SERVER_XKEY, Stack, a_server
from runtime.trust.callout import XKEY_HEADER

AWAY = Issuer(issuer="https://away.example", jwks_url="http://127.0.0.1:1/jwks")
ENTRY = "policy/workloads.team.agent-math"
AGENT = {"schema": 1, "role": "Agent", "name": {"namespace": "team", "name": "math"}}
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
TOKEN = re.compile(r"eyJ[\w-]+|the token")


def good(**other: Any) -> str:
    now = time.time()
    times = {"iat": now - 10, "nbf": now - 10, "exp": now + 600}
    return signed(times | other)


def stack_of(*issuers: Issuer) -> Stack:
    stack = Stack(a_server())
    keys = IssuerKeys((Issuer(issuer=ISSUER, jwks=JWKS), *issuers))
    stack.verifier = WorkloadVerifier(keys, "k8gentai")
    return stack


BY_TOKEN: dict[Reason, Callable[[], str]] = {
    Reason.NO_TOKEN: lambda: "",
    Reason.MALFORMED_TOKEN: lambda: "no JWT",
    Reason.ALGORITHM: lambda: raw({"alg": "none", "kid": "ec"}, CLAIMS),
    Reason.UNKNOWN_ISSUER: lambda: good(iss="https://stranger.example"),
    Reason.UNKNOWN_KEY: lambda: signed(kid="another"),
    Reason.KEYS_UNREACHABLE: lambda: good(iss=AWAY.issuer),
    Reason.SIGNATURE: lambda: flipped(good()),
    Reason.AUDIENCE: lambda: good(aud="another"),
    Reason.NO_SERVICE_ACCOUNT: lambda: good(sub="alice"),
    Reason.EXPIRED: lambda: good(exp=time.time() - 1),
    Reason.CLOCK: lambda: good(nbf=time.time() + 300),
    Reason.UNKNOWN_WORKLOAD: good,
}
"""Refusals by what the client brings, made when it does; the first nine prove nobody."""
ELSEWHERE = {Reason.NO_WORKLOAD, Reason.NO_ACCESS_TOKEN, Reason.NO_USER, Reason.UNKNOWN_STACK}
"""What is said of SVIDs, of users, and by the transaction token service, which have their tests."""
PROVED = {
    Reason.EXPIRED,
    Reason.CLOCK,
    Reason.UNKNOWN_WORKLOAD,
    Reason.POLICY_UNREADABLE,
    Reason.SUSPENDED,
    Reason.OTHER_PROVIDER,
}


async def refused(reason: Reason) -> None:
    """One attempt that is refused for that reason."""
    stack = stack_of(AWAY)
    match reason:
        case Reason.NOT_SEALED:
            plain = stack.server.sign({"nats": {"connect_opts": {"auth_token": good()}}})
            assert await stack.callout.answer(plain.encode(), {XKEY_HEADER: SERVER_XKEY}) is None
        case Reason.MALFORMED_REQUEST:
            assert await stack.sent(good(), aud="another") is None
        case Reason.POLICY_UNREADABLE:
            stack.is_down = True
            assert await stack.sent(good()) is None
        case Reason.SUSPENDED:
            suspended = AGENT | {"durable": "math-1", "suspended": True}
            stack.policy[ENTRY] = json.dumps(suspended).encode()
            assert await stack.sent(good()) is None
        case Reason.OTHER_PROVIDER:
            by_svid = AGENT | {"durable": "math-1", "serviceAccountToken": False}
            stack.policy[ENTRY] = json.dumps(by_svid).encode()
            assert await stack.sent(good()) is None
        case _:
            assert await stack.sent(BY_TOKEN[reason]()) is None


def the_record(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The one line of the audit log; no line of any log has a token in it."""
    assert not TOKEN.search(caplog.text + repr([vars(one) for one in caplog.records]))
    (record,) = [vars(one) for one in caplog.records if one.name == "k8gentai.audit"]
    return record


@pytest.mark.fault(23)
@pytest.mark.parametrize("reason", [one for one in Reason if one not in ELSEWHERE])
async def test_each_refusal_is_one_record(reason: Reason, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    await refused(reason)

    record = the_record(caplog)
    unread = reason in (Reason.NOT_SEALED, Reason.MALFORMED_REQUEST)
    assert (record["what"], record["reason"]) == ("refused", str(reason))
    assert record["stack"] == "team/default"
    assert record["who"] == (str(MATH) if reason in PROVED else None)
    assert record["client"] == (None if unread else "10.0.0.7 agent-math")
    assert record["levelno"] == logging.WARNING


@pytest.mark.parametrize("role", [Role.AGENT, Role.TOOL, Role.SERVER, Role.DISPATCHER])
async def test_each_admission_is_one_record(role: Role, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stack = stack_of()
    entry = AGENT | {"role": role, "durable": "math-1"}
    if role in (Role.SERVER, Role.DISPATCHER):
        entry = AGENT | {"role": role, "name": {"namespace": "team", "name": "default"}}
    stack.policy[ENTRY] = json.dumps(entry).encode()

    assert await stack.sent(good()) is not None

    record = the_record(caplog)
    assert (record["what"], record["reason"], record["who"]) == ("admitted", role, str(MATH))
    assert record["levelno"] == logging.INFO


async def test_an_answer_is_for_the_key_that_the_server_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody who has seen a request seals it anew, and reads the answer."""
    stack = stack_of()
    stack.policy[ENTRY] = json.dumps(AGENT | {"durable": "math-1"}).encode()

    assert await stack.sent(good(), seed=xkey_seed()) is None

    assert the_record(caplog)["reason"] == Reason.MALFORMED_REQUEST
