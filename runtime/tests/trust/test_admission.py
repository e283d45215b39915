"""Who is let in by a real server that asks a real trust plane, for how long, and what is told."""

import asyncio
import base64
import json
import logging
import re
import signal
import time
from contextlib import AsyncExitStack

import jwt
import nats.errors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from controller.local.issuer import ISSUER, LocalIssuer
from runtime.contract.keys import run_key
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.tests.nats import AUDIENCE, RunningStack, prove, service_account
from runtime.transport.jetstream import connect
from runtime.trust.callout import SUBJECT
from runtime.trust.xkeys import Xkey

pytestmark = pytest.mark.integration

A = ObjectName(namespace="team", name="a")
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+")


def claims(
    subject: str = "system:serviceaccount:team:agent-a", **other: object
) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "sub": subject,
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    } | other


def signed_with(running: RunningStack, kid: str, payload: dict[str, object]) -> str:
    """A token of the Stack's own issuer, with whatever claims."""
    return jwt.encode(payload, running.issuer._key, algorithm="EdDSA", headers={"kid": kid})


def with_public_key_as_secret(jwks: dict[str, list[dict[str, str]]], kid: str) -> str:
    """The classic confusion: the public key, known to all, as the secret of an HMAC."""
    secret = base64.urlsafe_b64decode(jwks["keys"][0]["x"] + "=")
    return jwt.encode(claims(), secret, algorithm="HS256", headers={"kid": kid})


async def told(running: RunningStack, **options: str) -> list[bytes]:
    """All that the server says to a client that connects with these options, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
    await reader.readline()  # INFO, the same for everybody
    hello = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1}
    writer.write(f"CONNECT {json.dumps(hello | options)}\r\nPING\r\n".encode())
    lines = [line async for line in reader]
    writer.close()
    return lines


@pytest.mark.fault(23)
async def test_whoever_proves_nothing_stays_out_and_learns_nothing(
    nats_stack: RunningStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    healthy, deleted = await nats_stack.agent("a"), await nats_stack.agent("gone")
    await nats_stack.delete_policy(deleted)
    kid = nats_stack.issuer.jwks()["keys"][0]["kid"]
    stranger = LocalIssuer(AUDIENCE)
    a_token = nats_stack.issuer.token(service_account(healthy), 600)
    forged = jwt.encode(
        claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": kid}
    )
    attempts = {
        "no token": {},
        "expired": {"auth_token": signed_with(nats_stack, kid, claims(exp=int(time.time()) - 5))},
        "audience": {"auth_token": signed_with(nats_stack, kid, claims(aud=["another"]))},
        "unknown issuer": {
            "auth_token": signed_with(nats_stack, kid, claims(iss="https://other.example"))
        },
        "unknown key": {"auth_token": stranger.token(service_account(healthy), 600)},
        "signature": {"auth_token": forged},
        "algorithm": {"auth_token": jwt.encode(claims(), "", "none", headers={"kid": kid})},
        "algorithm ": {"auth_token": with_public_key_as_secret(nats_stack.issuer.jwks(), kid)},
        "unknown workload": {"auth_token": nats_stack.issuer.token(service_account(deleted), 600)},
        "no token ": {"user": "agent-a", "pass": a_token},
    }
    caplog.clear()

    telling = [asyncio.create_task(told(nats_stack, **one)) for one in attempts.values()]
    began = time.monotonic()
    async with nats_stack.connect_as(healthy) as client:
        await client.request(nats_stack.subjects.direct_get(Bucket.RUNS, run_key(A, "t1")))
    assert time.monotonic() - began < 1
    answers = await asyncio.gather(*telling)

    for lines in answers:
        assert [line for line in lines if line != b"PING\r\n"] == [
            b"-ERR 'Authorization Violation'\r\n"
        ]
    audited = [one for one in caplog.records if one.name == "k8gentai.audit"]
    refused = [one for one in audited if one.what == "refused"]  # type: ignore[attr-defined]  # an extra of the audit line
    reasons = sorted(one.reason for one in refused)  # type: ignore[attr-defined]  # an extra of the audit line
    assert reasons == sorted(name.strip() for name in attempts)
    assert len(audited) == len(attempts) + 1
    assert not TOKEN.search(caplog.text + repr([vars(one) for one in caplog.records]))


async def test_what_the_server_asks_is_sealed(nats_stack: RunningStack) -> None:
    """Whoever hears the requests, or carries them, reads no token in them."""
    seed = (nats_stack.folder / "user.seed").read_text()
    heard = await nats_stack.connect(nkeys_seed_str=seed)
    requests = await heard.subscribe(SUBJECT)
    await heard.flush()
    token = nats_stack.issuer.token(service_account(await nats_stack.agent("a")), 600)
    client = await nats_stack.connect(token=token, inbox_prefix="_INBOX_a.x")
    await client.close()

    request = await requests.next_msg(timeout=5)
    await heard.close()

    assert request.data.startswith(b"xkv1")
    assert not TOKEN.search(repr(request.data))
    xkey = (request.headers or {})["Nats-Server-Xkey"]
    opened = Xkey((nats_stack.folder / "xkey.seed").read_text()).open(request.data, xkey)
    assert TOKEN.search(opened.decode())


async def test_a_new_connection_is_let_in_while_the_old_one_is_held(
    nats_stack: RunningStack,
) -> None:
    agent = await nats_stack.agent("a")
    subjects = nats_stack.subjects
    async with nats_stack.connect_as(agent) as old, nats_stack.connect_as(agent) as new:
        for client in (old, new):
            await client.request(subjects.direct_get(Bucket.RUNS, run_key(A, "t1")), timeout=2)
        heard = await new.subscribe(subjects.wake(A, "w"))
        await new.flush()
        assert old.is_connected
        await heard.unsubscribe()


@pytest.mark.fault(25)
async def test_a_connection_ends_with_its_token(nats_stack: RunningStack) -> None:
    agent = await nats_stack.agent("a")
    client, closed = Client(), asyncio.Event()

    async def on_closed() -> None:
        closed.set()

    began = time.monotonic()
    await client.connect(
        nats_stack.url,
        token=nats_stack.issuer.token(service_account(agent), 2),
        allow_reconnect=False,
        closed_cb=on_closed,
    )
    assert client.is_connected
    await asyncio.wait_for(closed.wait(), 10)
    assert "user authentication expired" in str(client.last_error)
    assert time.monotonic() - began < 3


@pytest.mark.fault(24)
async def test_without_a_trust_plane_nobody_new_comes_in_and_nobody_goes(
    nats_stack: RunningStack,
) -> None:
    agent = await nats_stack.agent("a")
    get = nats_stack.subjects.direct_get(Bucket.RUNS, run_key(A, "t1"))
    queue = nats_stack.queue(agent)
    async with nats_stack.connect_as(agent) as held, AsyncExitStack() as later:
        await nats_stack.stop_trust()
        link = await later.enter_async_context(connect(queue, prove(queue), name="agent-a"))
        with pytest.raises(nats.errors.AuthorizationError):
            await nats_stack.connect(token=nats_stack.issuer.token(service_account(agent), 600))
        await asyncio.sleep(0.5)  # by now the server has pinged the link, which is no yes
        assert not link.is_open
        assert (await held.request(get, timeout=2)).headers
        await nats_stack.start_trust()
        await link.connection.current(timeout=10)
        async with nats_stack.connect_as(agent) as client:
            assert (await client.request(get, timeout=2)).headers


async def test_the_trust_plane_comes_back_to_a_server_that_was_killed(
    nats_stack: RunningStack,
) -> None:
    agent = await nats_stack.agent("a")
    await nats_stack.server.stop(signal.SIGKILL)
    await nats_stack.server.start()
    async with asyncio.timeout(10):
        while True:
            try:
                async with nats_stack.connect_as(agent):
                    break
            except (nats.errors.Error, OSError):
                await asyncio.sleep(0.1)
