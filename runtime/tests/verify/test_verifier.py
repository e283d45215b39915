"""What a tool takes; sections are those of the draft, version 10."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from controller.clients.signing_keys import signing_key
from runtime.contract.signing_keys import SigningKeys
from runtime.contract.txn_token import GRANT_TYPE, TYPE
from runtime.tests.verify.conftest import DOMAIN, Service
from runtime.trust.signing import TokenSigner
from runtime.verify import KeysAway, KeySet, Refused, Verifier


@pytest.fixture
def verifier(service: Service) -> Verifier:
    return Verifier(trust_domain=DOMAIN, keys=service.url)


def test_a_good_token_says_who_wants_what(service: Service, verifier: Verifier) -> None:
    token = verifier.verify(service.token(), scope="payments")
    assert (token.sub, token.txn, token.scope) == ("ada", "t1", ("payments", "mail"))
    assert token.act == (
        "spiffe://example.org/ns/team/agent/b",
        "spiffe://example.org/ns/team/agent/a",
    )
    assert token.work.id == "f00d"
    assert service.fetches == 1


async def test_keys_are_fetched_once_beside_other_work(
    service: Service, verifier: Verifier
) -> None:
    assert (await verifier.averify(service.token())).sub == "ada"
    assert (await verifier.averify(service.token())).sub == "ada"
    assert service.fetches == 1


def flipped(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[5] ^= 1
    return f"{signed}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def with_header(token: str, **header: Any) -> str:
    before = jwt.get_unverified_header(token) | header
    encoded = base64.urlsafe_b64encode(json.dumps(before).encode()).decode().rstrip("=")
    return f"{encoded}.{token.partition('.')[2]}"


REFUSED = [
    pytest.param(lambda one: one.token(exp=int(time.time()) - 61), "expired", id="12.2: expired"),
    pytest.param(lambda one: one.token(typ="JWT"), "type", id="9.1: another typ"),
    pytest.param(lambda one: one.token(typ="at+jwt"), "type", id="an access token"),
    pytest.param(lambda one: one.token(typ=GRANT_TYPE), "type", id="a grant"),
    pytest.param(lambda one: one.token(aud="other.org"), "audience", id="12.2: another domain"),
    pytest.param(lambda one: one.token(aud=["other.org"]), "audience", id="others' domains"),
    pytest.param(
        lambda one: flipped(one.token()), "signature", id="12.2: one bit of the signature"
    ),
    pytest.param(lambda one: with_header(one.token(), kid="x"), "key", id="9.1: an unknown kid"),
    pytest.param(lambda one: with_header(one.token(), alg="none"), "algorithm", id="alg none"),
    pytest.param(lambda one: with_header(one.token(), alg="HS256"), "algorithm", id="HS256"),
    pytest.param(lambda one: one.token(sub=7), "malformed", id="a sub that is no text"),
    pytest.param(lambda one: one.token(iat="now"), "claim", id="a time that is no number"),
    pytest.param(lambda one: one.token(tctx=[]), "claim", id="9.2.3: a tctx that is no object"),
    pytest.param(lambda one: one.token(req_wl=["a"]), "claim", id="9.2: req_wl is a string"),
    pytest.param(lambda _: "nonsense", "malformed", id="no JWT"),
    pytest.param(lambda _: "", "malformed", id="empty"),
    *(
        pytest.param(lambda one, name=name: one.token(without=name), "claim", id=f"9.2: no {name}")
        for name in ("iat", "exp", "txn", "sub", "scope", "req_wl", "tctx", "rctx")
    ),
    pytest.param(lambda one: one.token(without="aud"), "claim", id="9.2: no aud"),
]


@pytest.mark.fault(27)
@pytest.mark.parametrize(("make", "reason"), REFUSED)
def test_what_is_refused(service: Service, verifier: Verifier, make: Any, reason: str) -> None:
    token = make(service)
    with pytest.raises(Refused) as refused:
        verifier.verify(token)
    assert refused.value.reason == reason
    assert refused.value.status == 401
    assert refused.value.body["error"] == "invalid_token"
    assert not token or token not in str(refused.value)


def test_a_scope_that_does_not_suffice_is_forbidden(service: Service, verifier: Verifier) -> None:
    """RFC 6750, section 3.1."""
    with pytest.raises(Refused) as refused:
        verifier.verify(service.token(), scope="admin")
    assert (refused.value.status, refused.value.body["error"]) == (403, "insufficient_scope")


@pytest.mark.fault(35)
@pytest.mark.parametrize("off", [30, -30])
def test_half_a_minute_does_not_matter(service: Service, verifier: Verifier, off: float) -> None:
    assert verifier.verify(service.token(), now=time.time() + off).sub == "ada"


@pytest.mark.fault(35)
@pytest.mark.parametrize("off", [300, -300])
def test_five_minutes_are_told_from_an_old_token(
    service: Service, verifier: Verifier, off: float
) -> None:
    with pytest.raises(Refused, match="clock here is") as refused:
        verifier.verify(service.token(), now=time.time() + off)
    assert refused.value.reason == "clock"


def test_without_an_address_only_the_future_tells_of_clocks(service: Service) -> None:
    verifier = Verifier(trust_domain=DOMAIN, keys=service.signer.jwks())
    with pytest.raises(Refused) as refused:
        verifier.verify(service.token(iat=int(time.time()) + 300))
    assert refused.value.reason == "clock"


@pytest.mark.fault(34)
def test_a_new_key_is_fetched_and_an_old_one_goes(service: Service) -> None:
    keys = KeySet(service.url, pause_seconds=0)
    verifier = Verifier(trust_domain=DOMAIN, keys=keys)
    old = service.token()
    verifier.verify(old)
    first, second = service.keys.keys[0], signing_key(time.time())
    service.keys = SigningKeys(keys=(first, second))
    verifier.verify(service.token())
    verifier.verify(old)
    service.keys = SigningKeys(keys=(second,))
    with pytest.raises(Refused):
        verifier.verify(with_header(old, kid="another"))  # makes it look again
    with pytest.raises(Refused) as refused:
        verifier.verify(old)
    assert refused.value.reason == "key"


def test_keys_that_do_not_exist_are_not_asked_for_all_the_time(service: Service) -> None:
    verifier = Verifier(trust_domain=DOMAIN, keys=service.url)
    for number in range(20):
        with pytest.raises(Refused):
            verifier.verify(with_header(service.token(), kid=str(number)))
    assert service.fetches == 1


def test_while_the_service_is_away_known_keys_are_good(service: Service) -> None:
    verifier = Verifier(trust_domain=DOMAIN, keys=KeySet(service.url, pause_seconds=0))
    verifier.verify(service.token())
    service.is_away = True
    verifier.verify(service.token())
    with pytest.raises(Refused) as refused:
        verifier.verify(with_header(service.token(), kid="x"))
    assert refused.value.reason == "key"


def test_a_service_that_was_never_there_is_no_refusal(service: Service) -> None:
    service.is_away = True
    with pytest.raises(KeysAway):
        Verifier(trust_domain=DOMAIN, keys=service.url).verify(service.token())


def test_no_file_is_taken_for_keys() -> None:
    with pytest.raises(ValueError, match="no http"):
        KeySet("file:///etc/passwd")


def test_a_forged_key_set_needs_the_real_key(service: Service, verifier: Verifier) -> None:
    forged = signing_key(0).model_copy(update={"kid": service.keys.keys[0].kid})
    token = TokenSigner(SigningKeys(keys=(forged,))).sign(TYPE, service.claims(), time.time())
    with pytest.raises(Refused) as refused:
        verifier.verify(token)
    assert refused.value.reason == "signature"


def test_it_needs_no_other_package_than_pyjwt() -> None:
    """Of what the platform is made of, nothing is imported beside the two."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import runtime.verify\n"
        "top = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(top - set(sys.stdlib_module_names)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    compiled = {"_cffi_backend", "_openssl"}  # parts of cryptography
    assert set(found.stdout.split()) - compiled == {"cryptography", "jwt", "runtime"}
