from pathlib import Path

import pytest

from runtime.contract.trust_config import TrustConfig
from runtime.contract.value import ObjectName
from runtime.tests.https import HttpsServer
from runtime.trust.sources import ConfigMapSource, FileSource, Unreadable, api_server

CONFIG = TrustConfig(
    issuers=(),
    operator=ObjectName(namespace="k8gentai-system", name="k8gentai-operator"),
    account_seed_file="/keys/account.seed",
    user_seed_file="/keys/user.seed",
    xkey_seed_file="/keys/xkey.seed",
)
PATH = "/api/v1/namespaces/k8gentai-system/configmaps/k8gentai-trust"


def source(server: HttpsServer, account: Path) -> ConfigMapSource:
    return ConfigMapSource(
        "k8gentai-system", "k8gentai-trust", "trust.json", api=server.url, account=account
    )


async def test_a_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(CONFIG.encode())
    file = FileSource(path)
    assert await file.read() == CONFIG
    changed = CONFIG.model_copy(update={"audience": "another"})
    path.write_bytes(changed.encode())
    assert await file.read() == changed


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"issuers": 5}', b'{"schema": 99}'])
async def test_a_file_that_is_none_says_which(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trust.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"trust\.json cannot be read"):
        await FileSource(path).read()


async def test_a_config_map_is_read_with_the_token_as_it_is_then(
    https_server: HttpsServer, tmp_path: Path
) -> None:
    https_server.answers[PATH] = {"data": {"trust.json": CONFIG.encode().decode()}}
    account = source(https_server, tmp_path)
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        assert await account.read() == CONFIG
    assert https_server.seen == [(PATH, "Bearer first"), (PATH, "Bearer second")]


@pytest.mark.parametrize(
    "answer",
    [None, b"no json", [], {}, {"data": None}, {"data": {}}, {"data": {"trust.json": "{"}}],
    ids=repr,
)
async def test_a_config_map_that_is_none_is_unreadable(
    https_server: HttpsServer, tmp_path: Path, answer: object
) -> None:
    (tmp_path / "token").write_text("token")
    https_server.answers[PATH] = answer
    with pytest.raises(Unreadable, match="k8gentai-trust cannot be read"):
        await source(https_server, tmp_path).read()


async def test_a_pod_without_its_token_says_so(https_server: HttpsServer, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="token"):
        await source(https_server, tmp_path).read()


def test_the_api_server_is_where_the_pod_was_told() -> None:
    told = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert api_server(told) == "https://10.0.0.1:443"
    assert api_server(told | {"KUBERNETES_SERVICE_HOST": "fd00::1"}) == "https://[fd00::1]:443"
    with pytest.raises(KeyError):
        api_server({})
