"""The `Cluster` port on API servers that have nothing but Secrets."""

import base64
import dataclasses
import secrets
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes_asyncio.client import ApiClient, Configuration

from controller.__main__ import ACCOUNT_SEED, TRUST_SECRET, USER_SEED, XKEY_SEED, cluster_site
from controller.clients.kubernetes import KubernetesCluster
from controller.clients.nkeys import account_seed, user_seed, xkey_seed
from controller.desired.trust import SIGNING_KEYS
from controller.settings import Settings
from controller.tests.kubernetes_api import KubernetesApi

SETTINGS = Settings.of(
    {
        "K8GENTAI_NAMESPACE": "system",
        "K8GENTAI_SERVICE_ACCOUNT": "operator",
        "K8GENTAI_IMAGE_PREFIX": "k8gentai",
        "K8GENTAI_IMAGE_TAG": "1",
    }
)
KEY = secrets.token_bytes(32)


async def told(data: Mapping[str, Mapping[str, str]], tokens: Path) -> str:
    """The digest of the team's password, by an operator that has just begun."""

    async def secret(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        metadata = {
            "namespace": request.match_info["namespace"],
            "name": name,
            "uid": secrets.token_hex(4),
        }
        encoded = {
            key: base64.b64encode(text.encode()).decode() for key, text in data[name].items()
        }
        return web.json_response({"metadata": metadata, "data": encoded})

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{namespace}/secrets/{name}", secret)
    async with (
        TestServer(app) as server,
        ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as api,
    ):
        cluster = KubernetesCluster(api)
        await cluster_site(dataclasses.replace(SETTINGS, token_file=tokens), cluster)
        found = await cluster.secret_digests("team", "database")
        assert found is not None
        return found["password"]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(jwt.encode({"iss": "https://issuer", "exp": 2e9}, KEY, "HS256"))
    return path


async def test_a_secret_made_again_has_the_same_digests_after_a_new_start(tokens: Path) -> None:
    seeds, others = (
        {
            ACCOUNT_SEED: account_seed(),
            USER_SEED: user_seed(),
            XKEY_SEED: xkey_seed(),
            SIGNING_KEYS: "{}",
        }
        for _ in range(2)
    )
    database = {"password": "12345"}

    first = await told({TRUST_SECRET: seeds, "database": database}, tokens)

    assert first == await told({TRUST_SECRET: seeds, "database": database}, tokens)
    assert first != await told({TRUST_SECRET: others, "database": database}, tokens)


async def test_a_seed_that_an_older_version_lacked_is_added_to_those_there_are(
    tokens: Path,
) -> None:
    settings = dataclasses.replace(SETTINGS, token_file=tokens)
    async with (
        KubernetesApi().serving() as api,
        ApiClient(Configuration(host=api.url)) as client,
    ):
        cluster = KubernetesCluster(client)
        first = (await cluster_site(settings, cluster)).trust_keys
        (secret,) = api.objects.values()
        del secret["data"][XKEY_SEED]
        second = (await cluster_site(settings, cluster)).trust_keys
        third = (await cluster_site(settings, cluster)).trust_keys

    assert second == third
    assert (second.account, second.user) == (first.account, first.user)
    assert second.xkey != first.xkey
