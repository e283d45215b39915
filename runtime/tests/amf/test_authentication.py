"""Nobody is let in whom nothing proves, by any way in; and nobody gets further than he may."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import jwt
import openai
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from runtime.contract.auth_config import SERVER_AUDIENCE
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent
from runtime.tests.amf.routes import ROUTES, UNKNOWN, Route
from runtime.tests.amf.server import Server
from runtime.tests.amf.users import Users, client
from runtime.tests.nats import AUDIENCE as QUEUE_AUDIENCE
from runtime.tests.nats import OPERATOR, OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

type Forged = Callable[[Users], str]
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


async def runs(users: Users) -> int:
    async with users.server.nats.link_as(OPERATOR_WORKLOAD) as link:
        return len(await link.store(Bucket.RUNS).keys(">"))


def workload(users: Users, name: str, audience: str = SERVER_AUDIENCE) -> str:
    """A workload's own token, of the namespace of the Stack."""
    account = ObjectName(namespace="team", name=name)
    return users.server.nats.issuer.token(account, 600, audience)


def written(users: Users, key: Any, algorithm: str, **header: Any) -> str:
    """A token with all claims of a good one."""
    head = {"kid": users.issuer.kid, **header}
    return jwt.encode(users.issuer.claims("ann"), key, algorithm=algorithm, headers=head)


def public_key_as_secret(users: Users) -> str:
    # PyJWT itself refuses a PEM as a secret; whoever forges has no such scruples.
    return str(ECAlgorithm.to_jwk(users.issuer.key.public_key(), as_dict=True)["x"])


FORGED: dict[str, Forged] = {
    "nothing": lambda _: "",
    "no JWT": lambda _: "none",
    "expired": lambda u: u.issuer.token("ann", exp=int(time.time()) - 1),
    "not yet": lambda u: u.issuer.token("ann", nbf=int(time.time()) + 300),
    "another audience": lambda u: u.issuer.token("ann", aud=["account"]),
    "another issuer": lambda u: u.issuer.token("ann", iss="https://other.example"),
    "its issuer's, by another key": lambda u: written(u, OTHER_KEY, "ES256"),
    "unknown key": lambda u: written(u, OTHER_KEY, "ES256", kid="unknown"),
    "alg none": lambda u: written(u, None, "none"),
    "HS256 with the public key": lambda u: written(u, public_key_as_secret(u), "HS256"),
    "an ID token": lambda u: u.issuer.token("ann", typ="ID", at_hash="x"),
    "a refresh token": lambda u: u.issuer.token("ann", typ="Refresh"),
    "a workload's for the queue": lambda u: workload(u, f"agent-{u.model}", QUEUE_AUDIENCE),
    "a user's who says to be a workload": lambda u: u.issuer.token(
        f"system:serviceaccount:team:agent-{u.model}", aud=[SERVER_AUDIENCE]
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_a_bad_token_opens_nothing(users: Users, forged: Forged) -> None:
    before = await runs(users)
    async with client(users.server, forged(users)) as http:
        answers = [
            await http.post("/responses", json={"model": users.model, "input": "?"}),
            await http.get("/models"),
        ]

    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (401, "invalid_token")
        assert users.issuer.url in error["message"]
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer realm="k8gentai"')
        assert ('error="invalid_token"' in challenge) == bool(forged(users))
    assert await runs(users) == before


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.label)
async def test_no_way_in_is_open(users: Users, route: Route) -> None:
    async with httpx.AsyncClient(base_url=users.server.url) as http:
        answer = await http.request(route.method, route.path.format(**UNKNOWN), json=route.body)
    assert answer.status_code == 401


async def test_what_tells_nothing_is_open(users: Users) -> None:
    paths = ("/v1/health", "/v1/version", "/openapi.json", "/docs", "/v1/providers", "/nowhere")
    async with httpx.AsyncClient(base_url=users.server.url) as http:
        told = {path: (await http.get(path)).status_code for path in paths}
    assert [path for path, status in told.items() if status != 401] == ["/v1/health", "/v1/version"]
    assert told["/v1/health"] == told["/v1/version"] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        [("Authorization", "Bearer")],
    ],
    ids=str,
)
async def test_a_token_is_sent_once_and_as_a_bearer_token(
    users: Users, headers: list[tuple[str, str]]
) -> None:
    async with httpx.AsyncClient(base_url=users.server.url) as http:
        answer = await http.get("/v1/models", headers=headers)
    assert answer.status_code == 401


async def test_a_client_of_openais_shows_what_to_do(users: Users) -> None:
    base_url = f"{users.server.url}/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as stranger:
        with pytest.raises(openai.AuthenticationError, match="Send an access token of http"):
            await stranger.models.list()
    async with openai.AsyncOpenAI(base_url=base_url, api_key=users.anns_token) as ann:
        answer = await ann.responses.create(model=users.model, input="Hello")
    assert answer.status == "completed"


async def test_who_is_let_in_is_told_how_others_log_in(users: Users) -> None:
    root = httpx.URL(users.server.url)
    document = (await users.ann.get(root.join("/openapi.json"))).json()
    cards = (await users.ann.get(root.join("/a2a"))).json()["agents"]

    where = f"{users.issuer.url}/.well-known/openid-configuration"
    assert document["components"]["securitySchemes"]["user"]["openIdConnectUrl"] == where
    schemes = [one["securitySchemes"]["user"]["openIdConnectSecurityScheme"] for one in cards]
    assert {one["openIdConnectUrl"] for one in schemes} == {where}


async def test_a_run_is_of_its_user_by_issuer_and_subject(server: Server, users: Users) -> None:
    async with agent(server) as (model, actor):
        await users.until_known(model)
        await users.ann.post("/responses", json={"model": model, "input": "?"})
        await users.ann.post(
            "/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": ""}]},
        )
    assert {task.user for task in actor.seen} == {f"{users.issuer.url}#ann"}


async def test_files_are_ones_own_whatever_two_users_share(users: Users) -> None:
    file = {"file": ("notes.txt", secrets.token_bytes(8))}
    made = (await users.ann.post("/files", files=file, data={"purpose": "assistants"})).json()["id"]

    theirs = [await users.bob.get(f"/files/{made}"), await users.bob.delete(f"/files/{made}")]

    assert [answer.status_code for answer in theirs] == [404, 404]
    assert (await users.bob.get("/files")).json()["data"] == []
    assert (await users.ann.get(f"/files/{made}")).status_code == 200


@pytest_asyncio.fixture(loop_scope="session")
async def worker(users: Users) -> AsyncIterator[httpx.AsyncClient]:
    """The worker of the agent that both may ask, as it asks its models."""
    async with client(users.server, workload(users, f"agent-{users.model}")) as http:
        yield http


async def test_an_agent_asks_models_and_nothing_else(
    users: Users, worker: httpx.AsyncClient
) -> None:
    before = await runs(users)
    chat = {"model": "small/stand-in", "messages": [{"role": "user", "content": "?"}]}
    asked = await worker.post("/chat/completions", json=chat)
    models = await worker.get("/models")
    root = httpx.URL(users.server.url)
    refused = [
        await worker.post("/responses", json={"model": users.model, "input": "?"}),
        await worker.post("/chat/completions", json=chat | {"model": f"agents/{users.model}"}),
        await worker.post(root.join(f"/a2a/{users.model}"), json={}),
        await worker.post(root.join("/mcp"), json={}),
        await worker.get(root.join("/v1alpha/k8gentai/agents")),
        await worker.delete(root.join("/v1alpha/k8gentai/users/me")),
        await worker.get("/files"),
        await worker.get("/agents"),
    ]

    assert models.status_code == 200
    assert asked.status_code >= 500  # nobody is behind that model, and that is what it hears
    assert [answer.status_code for answer in refused] == [403] * 8
    assert await runs(users) == before


@pytest.mark.parametrize("name", ["agent-nobody", "tool-add", "server-default"])
async def test_a_workload_that_is_no_agent_of_the_stack_is_refused(users: Users, name: str) -> None:
    async with client(users.server, workload(users, name)) as http:
        answer = await http.get("/models")
    assert answer.status_code == 403
    assert f"team/{name} is no workload of an Agent" in answer.json()["error"]["message"]
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


async def test_the_operator_may_look_and_no_more(users: Users) -> None:
    token = users.server.nats.issuer.token(OPERATOR, 600, SERVER_AUDIENCE)
    async with client(users.server, token) as http:
        seen = [(await http.get(path)).status_code for path in ("/models", "/providers")]
        refused = [
            await http.post("/responses", json={"model": users.model, "input": "?"}),
            await http.post("/models", json={}),
            await http.get("/responses"),
        ]
    assert seen == [200, 200]
    assert [answer.status_code for answer in refused] == [403] * 3


@pytest.mark.fault(34)
async def test_a_new_key_of_the_issuer_is_taken_at_once_and_the_old_one_beside_it(
    users: Users,
) -> None:
    old = users.issuer.token("ann")
    users.issuer.rotate()
    for token in (users.issuer.token("ann"), old):
        async with client(users.server, token) as http:
            assert (await http.get("/models")).status_code == 200


@pytest.mark.fault(24)
async def test_an_issuer_that_is_away_lets_in_whom_it_has_vouched_for(users: Users) -> None:
    published, users.issuer.published = users.issuer.published, None
    stranger = written(users, OTHER_KEY, "ES256", kid=secrets.token_hex(4))
    try:
        async with client(users.server, stranger) as http, asyncio.timeout(30):
            # It is not asked again within a few seconds of the last time.
            while (refused := await http.get("/models")).status_code != 503:
                await asyncio.sleep(0.2)
        known = await users.ann.get("/models")
        told = (await users.ann.get("/providers")).json()["data"]
    finally:
        users.issuer.published = published

    assert refused.json()["error"]["code"] == "issuer_unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    assert known.status_code == 200
    (health,) = [one["health"] for one in told if one["provider_id"] == "agents"]
    assert health["status"] == "Error"
    assert "spec.auth.issuer" in health["message"]


async def test_no_token_is_written_down(users: Users) -> None:
    """Neither into the log of the server nor into what it keeps; refusals are in the log."""
    token = users.anns_token
    async with client(users.server, token) as ann:
        await ann.post("/responses", json={"model": users.model, "input": "?"})
        await ann.post("/conversations", json={})
    async with client(users.server, token[:-9]) as stranger:
        await stranger.get("/models")

    signature = token.rpartition(".")[2][:40].encode()
    kept = [file.read_bytes() for file in users.server.folder.rglob("*") if file.is_file()]
    assert not [file for file in kept if signature in file]
    assert "request refused" in users.server.log
