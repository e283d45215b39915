"""Key sets that are fetched: over real TLS, from a server that rotates, fails and lies."""

import asyncio
from pathlib import Path

import pytest

from controller.local.issuer import LocalIssuer
from runtime.contract.trust_config import Issuer
from runtime.identity import keys as keys_module
from runtime.identity.keys import IssuerKeys, key_by_kid
from runtime.identity.tokens import Reason, Refused
from runtime.tests.https import HttpsServer

NAME = "https://issuer.example"
PATH = "/openid/v1/jwks"


def issuer(server: HttpsServer, token_file: Path | None = None) -> Issuer:
    return Issuer(
        issuer=NAME,
        jwks_url=server.url + PATH,
        ca_file=str(server.ca_file),
        token_file=str(token_file) if token_file else None,
    )


def kid_of(local: LocalIssuer) -> str:
    return str(local.jwks()["keys"][0]["kid"])


async def reason(keys: IssuerKeys, kid: str, name: str = NAME) -> Reason:
    with pytest.raises(Refused) as refused:
        await keys.key(name, kid)
    return refused.value.reason


async def test_a_set_is_fetched_once_with_ca_and_token(
    https_server: HttpsServer, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("the pod's token\n")
    local = LocalIssuer("k8gentai")
    https_server.answers[PATH] = local.jwks()
    keys = IssuerKeys([issuer(https_server, token_file)])
    for _ in range(3):
        assert (await keys.key(NAME, kid_of(local))).key_id == kid_of(local)
    assert https_server.seen == [(PATH, "Bearer the pod's token")]


@pytest.mark.fault(34)
async def test_a_rotated_key_is_fetched_when_it_first_appears(https_server: HttpsServer) -> None:
    old, new = LocalIssuer("k8gentai"), LocalIssuer("k8gentai")
    https_server.answers[PATH] = old.jwks()
    keys = IssuerKeys([issuer(https_server)], pause_seconds=0)
    await keys.key(NAME, kid_of(old))
    https_server.answers[PATH] = new.jwks()
    assert (await keys.key(NAME, kid_of(new))).key_id == kid_of(new)
    assert await reason(keys, kid_of(old)) is Reason.UNKNOWN_KEY


@pytest.mark.fault(34)
async def test_a_key_that_was_taken_back_is_refused_once_the_set_is_stale(
    https_server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = LocalIssuer("k8gentai"), LocalIssuer("k8gentai")
    https_server.answers[PATH] = old.jwks()
    keys = IssuerKeys([issuer(https_server)], pause_seconds=0)
    await keys.key(NAME, kid_of(old))
    https_server.answers[PATH] = new.jwks()
    await keys.key(NAME, kid_of(old))
    monkeypatch.setattr(keys_module, "FRESH_SECONDS", 0.0)
    assert await reason(keys, kid_of(old)) is Reason.UNKNOWN_KEY


async def test_unknown_keys_do_not_make_us_hammer_the_issuer(https_server: HttpsServer) -> None:
    https_server.answers[PATH] = LocalIssuer("k8gentai").jwks()
    keys = IssuerKeys([issuer(https_server)])
    for number in range(20):
        assert await reason(keys, f"guess-{number}") is Reason.UNKNOWN_KEY
    assert len(https_server.seen) == 1


@pytest.mark.fault(24)
async def test_what_was_fetched_outlives_an_issuer_that_is_away(
    https_server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = LocalIssuer("k8gentai")
    https_server.answers[PATH] = local.jwks()
    keys = IssuerKeys([issuer(https_server)], pause_seconds=0)
    await keys.key(NAME, kid_of(local))
    del https_server.answers[PATH]
    monkeypatch.setattr(keys_module, "FRESH_SECONDS", 0.0)
    assert (await keys.key(NAME, kid_of(local))).key_id == kid_of(local)
    monkeypatch.setattr(keys_module, "KEPT_SECONDS", 0.0)
    assert await reason(keys, kid_of(local)) is Reason.KEYS_UNREACHABLE


@pytest.mark.parametrize("answer", [None, b"", b"not json", [], {}, {"keys": 5}], ids=repr)
async def test_an_issuer_that_answers_garbage_opens_no_door(
    https_server: HttpsServer, answer: object
) -> None:
    https_server.answers[PATH] = answer
    keys = IssuerKeys([issuer(https_server)])
    assert await reason(keys, "any") is Reason.KEYS_UNREACHABLE


async def test_a_server_with_another_certificate_is_not_believed(
    https_server: HttpsServer,
) -> None:
    https_server.answers[PATH] = LocalIssuer("k8gentai").jwks()
    stranger = issuer(https_server).model_copy(update={"ca_file": None})
    assert await reason(IssuerKeys([stranger]), "any") is Reason.KEYS_UNREACHABLE
    assert https_server.seen == []


async def test_an_issuer_without_any_keys_opens_no_door() -> None:
    nobody = "http://127.0.0.1:9"
    keys = IssuerKeys([Issuer(issuer=nobody)])
    assert await reason(keys, "any", nobody) is Reason.KEYS_UNREACHABLE
    assert await reason(keys, "any", "https://other.example") is Reason.UNKNOWN_ISSUER


async def test_an_issuer_says_itself_where_its_keys_are(https_server: HttpsServer) -> None:
    local, name = LocalIssuer("k8gentai"), f"{https_server.url}/realms/agents"
    discovery = "/realms/agents/.well-known/openid-configuration"
    https_server.answers |= {
        discovery: {"issuer": name, "jwks_uri": f"{https_server.url}{PATH}"},
        PATH: local.jwks(),
    }
    keys = IssuerKeys([Issuer(issuer=name, ca_file=str(https_server.ca_file))])
    assert (await keys.key(name, kid_of(local))).key_id == kid_of(local)
    assert [path for path, _ in https_server.seen] == [discovery, PATH]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param({"issuer": "https://other.example"}, "other.example", id="another issuer"),
        pytest.param({"jwks_uri": "http://keys.example/"}, "https://", id="keys without TLS"),
        pytest.param({"jwks_uri": None}, "https://", id="no keys"),
    ],
)
async def test_an_issuer_that_says_something_else_opens_no_door(
    https_server: HttpsServer, told: dict[str, object], said: str
) -> None:
    name = https_server.url
    about = {"issuer": name, "jwks_uri": f"{name}{PATH}"} | told
    https_server.answers["/.well-known/openid-configuration"] = about
    https_server.answers[PATH] = LocalIssuer("k8gentai").jwks()
    keys = IssuerKeys([Issuer(issuer=name, ca_file=str(https_server.ca_file))])
    assert await reason(keys, "any", name) is Reason.KEYS_UNREACHABLE
    assert said in (keys.look(name) or "")


@pytest.mark.fault(24)
async def test_nobody_waits_for_an_issuer_that_is_away_and_back_again(
    https_server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = LocalIssuer("k8gentai")
    https_server.answers[PATH] = local.jwks()
    keys = IssuerKeys([issuer(https_server)], pause_seconds=0)
    await keys.key(NAME, kid_of(local))
    assert keys.look(NAME) is None
    monkeypatch.setattr(keys_module, "FRESH_SECONDS", 0.0)
    del https_server.answers[PATH]
    await keys.key(NAME, kid_of(local))
    assert "404" in (keys.look(NAME) or "")
    https_server.answers[PATH] = local.jwks()
    async with asyncio.timeout(5):
        while keys.look(NAME) is not None:
            await asyncio.sleep(0.01)


def test_of_a_mixed_set_the_usable_keys_count() -> None:
    local = LocalIssuer("k8gentai")
    own = local.jwks()["keys"]
    to_encrypt = own[0] | {"kid": "enc", "use": "enc"}
    mixed = {"keys": [{"kty": "?"}, 5, None, *own, to_encrypt, {"kty": "oct", "k": "eA"}]}
    assert list(key_by_kid(mixed)) == [kid_of(local)]
