"""What a transaction token costs: mints a second on one core, beside bare signatures.

    .venv/bin/python hack/bench/tokens.py [seconds]

The service is the one that runs, behind its own ASGI application and in one process: reading the
form, two signatures to verify (the workload's and the grant's), the rules, one signature, the line
of the audit log. HTTP itself and the read of the bucket `policy` are left out; the latter is a
round trip to NATS, during which others are served. Both are measured in turns, in seconds of CPU.
"""

import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[2]))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from controller.clients.signing_keys import signing_key
from controller.desired.signing_keys import desired_keys
from controller.local.issuer import LocalIssuer
from runtime.contract.trust_config import Role, TokenRules, Workload
from runtime.contract.txn_token import (
    ASSERTION_AUDIENCE,
    GRANT,
    GRANT_TYPE,
    JWT_BEARER,
    TOKEN_EXCHANGE,
    TXN_TOKEN,
    Grant,
    Transaction,
    Work,
    digest,
)
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.workloads import Identity, WorkloadVerifier
from runtime.trust.signing import TokenSigner
from runtime.trust.subjects import JwtSubjects
from runtime.trust.token_endpoint import TokenEndpoint
from runtime.trust.token_service import TokenService

DOMAIN = "example.org"
STACK = ObjectName(namespace="team", name="default")
MATH = Workload(role=Role.AGENT, name=ObjectName(namespace="team", name="math"), durable="math-1")
TURN_SECONDS = 0.25


class Everybody(JwtSubjects):
    """Users who are all enabled: asking for them is somebody else's time."""

    @override
    async def is_enabled(self, stack: ObjectName, issuer: str, sub: str) -> bool:
        return True


@dataclass
class Current:
    rules: TokenRules
    signer: TokenSigner
    clients: WorkloadVerifier
    subjects: JwtSubjects


def service() -> tuple[TokenEndpoint, bytes]:
    """The service, and a request that it grants."""
    now = time.time()
    issuer = LocalIssuer(ASSERTION_AUDIENCE)
    rules = TokenRules(service=f"spiffe://{DOMAIN}/tokens", trust_domain=DOMAIN)
    signer = TokenSigner(desired_keys(None, signing_key, now))
    clients = WorkloadVerifier(IssuerKeys([issuer.trusted()]), ASSERTION_AUDIENCE)
    current = Current(rules, signer, clients, Everybody({}))

    async def workload(stack: ObjectName, identity: Identity) -> Workload:
        del stack, identity
        return MATH

    work = Work("f00d", digest("what is 1 + 2"))
    grant = Grant(
        transaction=Transaction(
            txn="t", sub="https://i#ada", issuer="https://i", stack=str(STACK), work=work
        ),
        work=work,
        scope=("sums",),
        act=(),
        may_act=f"spiffe://{DOMAIN}/ns/team/agent/math",
        req_wl=f"spiffe://{DOMAIN}/ns/team/server/default",
        service=rules.service,
        jti="j",
        issued_at=int(now),
        expires=int(now) + 3600,
    )
    account = ObjectName(namespace="team", name="agent-math")
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": DOMAIN,
        "scope": "sums",
        "subject_token": signer.sign(GRANT_TYPE, grant.claims(), now),
        "subject_token_type": GRANT,
        "requested_token_type": TXN_TOKEN,
        "client_assertion": issuer.token(account, 3600),
        "client_assertion_type": JWT_BEARER,
        "request_details": json.dumps({"work": work.id, "digest": work.digest}),
    }
    return TokenEndpoint(TokenService(lambda: current, workload)), urlencode(form).encode()


async def mints(endpoint: TokenEndpoint, body: bytes, seconds: float) -> float:
    """Tokens a second."""
    content_type = (b"content-type", b"application/x-www-form-urlencoded")
    scope = {"type": "http", "method": "POST", "path": "/token", "headers": [content_type]}
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    began = time.process_time()
    while time.process_time() - began < seconds:
        await endpoint(scope, receive, send)
    took = time.process_time() - began
    assert set(statuses) == {200}, "a request was refused"
    return len(statuses) / took


def signatures(seconds: float) -> float:
    """Bare ES256 signatures a second."""
    key, message = ec.generate_private_key(ec.SECP256R1()), b"x" * 900
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        key.sign(message, ec.ECDSA(hashes.SHA256()))
        count += 1
    return count / (time.process_time() - began)


async def main(seconds: float) -> None:
    logging.getLogger("k8gentai.audit").addHandler(logging.NullHandler())
    endpoint, body = service()
    pairs = [
        (await mints(endpoint, body, TURN_SECONDS), signatures(TURN_SECONDS))
        for _ in range(max(1, round(seconds / TURN_SECONDS / 2)))
    ]
    minted, signed = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(m / s for m, s in pairs)
    print(f"transaction tokens minted   {minted:8.0f} a second on one core")
    print(f"bare ES256 signatures       {signed:8.0f} a second on one core")
    print(f"ratio                       {ratio:8.2f}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
