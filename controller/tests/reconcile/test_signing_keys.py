"""The keys of the transaction token service, where the trust plane finds them."""

import base64
import json
import os
import secrets
import time
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes_asyncio.client import ApiClient, Configuration

from controller.__main__ import TRUST_SECRET, SecretKeys
from controller.clients.kubernetes import KubernetesCluster
from controller.clients.nkeys import account_seed
from controller.clients.signing_keys import signing_key
from controller.desired.signing_keys import AHEAD_SECONDS, ROTATE_SECONDS
from controller.local.aside import FolderKeys
from controller.reconcile.signing_keys import reconcile_signing_keys
from runtime.contract.signing_keys import SigningKeys

NOW = time.time()


def read(folder: Path) -> SigningKeys:
    return SigningKeys.decode((folder / "signing.json").read_text())


async def test_they_are_made_once_and_rotated(tmp_path: Path) -> None:
    store = FolderKeys(tmp_path)
    await reconcile_signing_keys(store, signing_key, NOW)
    (first,) = read(tmp_path).keys
    await reconcile_signing_keys(store, signing_key, NOW + 60)
    assert read(tmp_path).keys == (first,)

    later = NOW + ROTATE_SECONDS
    await reconcile_signing_keys(store, signing_key, later)
    assert read(tmp_path).keys[0] == first
    assert read(tmp_path).keys[1].signs_from == later + AHEAD_SECONDS


async def test_only_their_owner_may_read_them(tmp_path: Path) -> None:
    await reconcile_signing_keys(FolderKeys(tmp_path), signing_key, NOW)
    assert (tmp_path / "signing.json").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["signing.json"]  # noqa: PTH208 - names are what it is about


async def test_what_cannot_be_read_is_left_and_not_repeated(tmp_path: Path) -> None:
    secret = secrets.token_hex(16)
    (tmp_path / "signing.json").write_text(f'{{"keys": "{secret}"}}')
    with pytest.raises(ValueError, match=r"signing\.json") as refused:
        await reconcile_signing_keys(FolderKeys(tmp_path), signing_key, NOW)
    assert secret not in str(refused.value)
    assert secret in (tmp_path / "signing.json").read_text()


async def test_in_a_cluster_they_stand_beside_the_seeds() -> None:
    """Of an installation from before there were any, the Secret has seeds alone."""
    seed = account_seed()
    data = {"account.seed": base64.b64encode(seed.encode()).decode()}

    async def shown(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": TRUST_SECRET}, "data": data})

    async def changed(request: web.Request) -> web.Response:
        assert request.content_type == "application/merge-patch+json"
        data.update((json.loads(await request.text()))["data"])
        return await shown(request)

    app = web.Application()
    path = f"/api/v1/namespaces/system/secrets/{TRUST_SECRET}"
    app.add_routes([web.get(path, shown), web.patch(path, changed)])
    async with (
        TestServer(app) as server,
        ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as api,
    ):
        store = SecretKeys(KubernetesCluster(api), "system")
        assert await store.read() is None
        await reconcile_signing_keys(store, signing_key, NOW)
        text = await store.read()
    assert text is not None
    assert len(SigningKeys.decode(text).keys) == 1
    assert base64.b64decode(data["account.seed"]).decode() == seed
