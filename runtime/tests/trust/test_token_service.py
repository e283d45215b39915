"""The transaction token service as it runs: over HTTP, with the policy in a real NATS."""

import asyncio
import logging
import re
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from controller.clients.signing_keys import signing_key
from runtime.contract.keys import ask_key, asked_task, effect_key
from runtime.contract.signing_keys import SigningKeys
from runtime.contract.trust_config import Role, Workload
from runtime.contract.txn_token import GRANT, TXN_TOKEN, Work, digest
from runtime.contract.value import ObjectName
from runtime.identity.exchange import NotGranted, ServiceAway, TokenClient
from runtime.identity.source import proof_source
from runtime.tests.trust.token_requests import client_of, post, user_token
from runtime.tests.trust.token_scene import ADD, TASK, Scene

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

FORGED = ec.generate_private_key(ec.SECP256R1())
SPEAK = ObjectName(namespace="team", name="speak")


def call_of(caller: Workload, task: str) -> Work:
    return Work(effect_key(ADD, caller.name, task, 7, 0), digest(["add", {"a": 1}]))


@pytest.mark.fault(30)
async def test_a_user_two_agents_and_a_tool(scene: Scene) -> None:
    first = await scene.token()
    assert first.token.sub == scene.users.principal("ada")
    ask = Work(ask_key(scene.other.name, scene.math.name, TASK.id, 7, 0), digest("say"))
    soon = time.time() + 60
    math, other = scene.client(scene.math), scene.client(scene.other)
    asked = await math.agent_grant(first, scene.other.name, ask, soon)
    work = Work(asked_task(ask.id), ask.digest)
    second = await other.trade(asked, work)
    assert second.token.act == (
        "spiffe://example.org/ns/team/agent/other",
        "spiffe://example.org/ns/team/agent/math",
    )
    with pytest.raises(NotGranted, match="does not name team/add"):
        await other.tool_grant(second, ADD, call_of(scene.other, work.id), soon)

    call = call_of(scene.math, TASK.id)
    third = await scene.client(scene.add).trade(await math.tool_grant(first, ADD, call, soon), call)
    assert third.token.act == ("spiffe://example.org/ns/team/agent/math",)
    assert third.token.req_wl == "spiffe://example.org/ns/team/tool/add"
    assert third.token.transaction == second.token.transaction == first.token.transaction


async def test_the_answer_is_that_of_the_draft(scene: Scene) -> None:
    """Sections 11.4 and 9.1; RFC 8693, section 2.2.1."""
    response = await post(
        scene.url,
        scene.running.assertion(scene.math),
        {"work": TASK.id, "digest": TASK.digest},
        subject_token=await scene.grant(),
        subject_token_type=GRANT,
        requested_token_type=TXN_TOKEN,
        scope="sums",
    )
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    token = answer.pop("access_token")
    assert 115 < answer.pop("expires_in") <= 120
    assert answer == {"issued_token_type": TXN_TOKEN, "token_type": "N_A", "scope": "sums"}
    assert jwt.get_unverified_header(token)["typ"] == "txntoken+jwt"
    async with httpx.AsyncClient(trust_env=False) as client:
        keys = jwt.PyJWKSet.from_dict((await client.get(f"{scene.url}/jwks")).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="example.org")
    assert claims["sub"] == scene.users.principal("ada")


@pytest.mark.fault(28)
@pytest.mark.fault(29)
async def test_what_belongs_to_others_is_refused(scene: Scene) -> None:
    grant, held = await scene.grant(), await scene.token()
    with pytest.raises(NotGranted, match="another workload"):
        await scene.client(scene.other).trade(grant, TASK)
    with pytest.raises(NotGranted, match="another task"):
        await scene.client(scene.math).trade(grant, Work("beef", TASK.digest))
    call = call_of(scene.math, TASK.id)
    with pytest.raises(NotGranted, match="minted for another workload"):
        await scene.client(scene.other).tool_grant(held, ADD, call, time.time() + 60)


@pytest.mark.fault(26)
async def test_who_is_suspended_gets_no_token(scene: Scene) -> None:
    """What waits for it is not thrown away: it may go on some day."""
    grant, client = await scene.grant(), scene.client(scene.math)
    await scene.running.put_policy(scene.math.model_copy(update={"suspended": True}))
    try:
        with pytest.raises(ServiceAway, match=r"invalid_client: .*suspended"):
            await client.trade(grant, TASK)
    finally:
        await scene.running.put_policy(scene.math)

    assert (await client.trade(grant, TASK)).token.sub == scene.users.principal("ada")


@pytest.mark.fault(29)
async def test_who_may_not_ask_gets_nothing(scene: Scene) -> None:
    elsewhere = user_token(scene.users, aud="x")
    cases = [
        (scene.math, {}, 400, "invalid_request"),
        (scene.server, {"audience": "elsewhere.example"}, 400, "invalid_target"),
        (scene.server, {"scope": "admin"}, 400, "invalid_scope"),
        (
            scene.server,
            {"subject_token": scene.users.token("ada", scope=None)},
            400,
            "invalid_scope",
        ),
        (scene.server, {"subject_token": user_token(scene.users, exp=1)}, 400, "invalid_request"),
        (scene.server, {"subject_token": elsewhere}, 400, "invalid_request"),
        (scene.server, {"subject_token": forged(scene)}, 400, "invalid_request"),
        (scene.server, {"subject_token": "nonsense"}, 400, "invalid_request"),
        (scene.server, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (scene.server, {"client_assertion": "nonsense"}, 401, "invalid_client"),
        # The token that opens the queue opens nothing here.
        (
            scene.server,
            {"client_assertion": queue_token(scene)},
            401,
            "invalid_client",
        ),
        (Workload(role=Role.AGENT, name=SPEAK, durable="x"), {}, 401, "invalid_client"),
        (
            scene.server,
            {"request_details": '{"stack": "team/gone", "agent": "team/math"}'},
            503,
            "temporarily_unavailable",
        ),
    ]
    for workload, fields, status, error in cases:
        response = await scene.asked(workload, **fields)
        assert (response.status_code, response.json()["error"]) == (status, error), fields
        assert "access_token" not in response.json()
        assert response.headers["cache-control"] == "no-store"


def forged(scene: Scene) -> str:
    claims, header = scene.users.claims("eve", scope="sums"), {"kid": scene.users.kid}
    return jwt.encode(claims, FORGED, algorithm="ES256", headers=header)


def queue_token(scene: Scene) -> str:
    return proof_source(scene.running.queue(scene.server)).read().token


async def test_what_is_no_form_is_told_so(scene: Scene) -> None:
    """RFC 6749, sections 3.2 and 5.2; RFC 9110, section 15.5.6."""
    async with httpx.AsyncClient(trust_env=False, base_url=scene.url) as client:
        answers = [
            await client.post("/token", json={}),
            await client.post("/token", content=b"x" * 70000, headers={"content-type": FORM}),
            await client.post("/token", content=b"a=1&a=2", headers={"content-type": FORM}),
        ]
        assert [(one.status_code, one.json()["error"]) for one in answers] == [
            (400, "invalid_request")
        ] * 3
        got = await client.get("/token")
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        assert (await client.get("/else")).status_code == 404


FORM = "application/x-www-form-urlencoded"


@pytest.mark.fault(26)
async def test_who_is_taken_away_gets_nothing_any_more(scene: Scene) -> None:
    gone = await scene.running.agent("gone")
    server = scene.client(scene.server)
    user = user_token(scene.users)
    grant = await server.task_grant(user, scene.running.stack, gone.name, TASK)
    client = scene.client(gone)
    await client.trade(grant, TASK)
    await scene.running.delete_policy(gone)
    with pytest.raises(ServiceAway, match="unknown workload"):
        await client.trade(grant, TASK)


async def test_a_line_of_the_audit_log_for_each_answer_and_no_token(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Section 15.2."""
    with caplog.at_level(logging.INFO, "k8gentai.audit"):
        held = await scene.token()
        with pytest.raises(NotGranted):
            await scene.client(scene.other).trade(held.jwt, TASK)
        with pytest.raises(NotGranted):
            await scene.client(scene.other).trade(await scene.grant(), TASK)
    lines = [vars(record) for record in caplog.records if record.name == "k8gentai.audit"]
    assert [(line["what"], line["who"]) for line in lines] == [
        ("minted", "spiffe://example.org/ns/team/stack/default"),
        ("minted", "spiffe://example.org/ns/team/agent/math"),
        ("refused", "team/agent-other"),
        ("minted", "spiffe://example.org/ns/team/stack/default"),
        ("refused", "spiffe://example.org/ns/team/agent/other"),
    ]
    assert lines[1]["txn"] == held.token.txn
    assert lines[1]["work"] == TASK.id
    assert lines[4]["reason"] == "invalid_request: the grant is for another workload"
    assert lines[4]["txn"] == lines[3]["txn"]
    assert not re.search(r"eyJ[\w-]+\.", str(lines))


@pytest.mark.fault(34)
async def test_two_replicas_go_on_while_keys_rotate(scene: Scene) -> None:
    """Both read the same keys; each knows what the other one signs."""
    file = scene.running.folder / "signing.json"
    before = file.read_bytes()
    first, newer = SigningKeys.decode(before).keys[0], signing_key(time.time())
    async with scene.replica() as url:
        math = client_of(scene.running, scene.math, url)
        old = await scene.grant()
        assert kid_of((await math.trade(old, TASK)).jwt) == first.kid
        file.write_bytes(SigningKeys(keys=(first, newer)).encode())
        # The one has the new key before the other, or after it: nothing is refused meanwhile.
        async with asyncio.timeout(10):
            while kid_of(await scene.grant()) != newer.kid:
                await math.trade(old, TASK)
            while kid_of((await math.trade(old, TASK)).jwt) != newer.kid:
                pass
        new = await scene.grant()
        await math.trade(new, TASK)

        file.write_bytes(SigningKeys(keys=(newer,)).encode())  # the overlap is over
        async with asyncio.timeout(10):
            while await is_traded(math, old):
                pass
        assert await is_traded(math, new)
        math.close()


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def is_traded(client: TokenClient, grant: str) -> bool:
    try:
        await client.trade(grant, TASK)
    except NotGranted as error:
        assert "none of ours" in str(error)  # noqa: PT017 - that it is this one
        return False
    return True


async def test_a_service_that_is_away_is_no_refusal(scene: Scene) -> None:
    await scene.running.stop_trust()
    grant = "a.eyJzY29wZSI6ICJzdW1zIn0.c"
    client = scene.client(scene.math)
    with pytest.raises(ServiceAway):
        await client.trade(grant, TASK)
    await scene.running.start_trust()
    with pytest.raises(NotGranted):
        await client.trade(grant, TASK)
