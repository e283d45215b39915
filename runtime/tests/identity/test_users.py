"""Which tokens are of users: signature, issuer and the like are `test_workloads.py`'s, too."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from runtime.contract.trust_config import Issuer
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import Reason, Refused
from runtime.identity.users import UserVerifier

ISSUER = "https://keycloak.example/realms/agents"
NOW = 1_800_000_000.0
KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = {"keys": [ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "one"}]}
ALICE = "fd2ab9a4-8f6c-4c5b-9b1d-6f5a7a4d8a11"
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ["k8gentai", "account"],
    "sub": ALICE,
    "typ": "Bearer",
    "iat": NOW - 10,
    "exp": NOW + 300,
}


def signed(*, kind: str | None = "JWT", without: str = "", **other: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | other).items() if name != without}
    headers = {"kid": "one", "typ": kind}
    return jwt.encode(claims, KEY, algorithm="ES256", headers=headers)


@pytest.fixture
def verifier() -> UserVerifier:
    return UserVerifier(IssuerKeys((Issuer(issuer=ISSUER, jwks=JWKS),)), "k8gentai")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(), id="Keycloak's"),
        pytest.param(signed(nonce="n"), id="Keycloak's with a nonce, as its older versions had"),
        pytest.param(signed(kind="at+jwt", without="typ"), id="RFC 9068"),
        pytest.param(signed(kind="application/at+jwt", without="typ"), id="RFC 9068 in full"),
        pytest.param(signed(without="typ", scope="openid"), id="only a scope"),
        pytest.param(signed(kind=None, without="typ", scp="openid"), id="Entra ID's"),
    ],
)
async def test_an_access_token_proves_its_user(verifier: UserVerifier, token: str) -> None:
    user = await verifier.user(token, NOW)
    assert user.principal == f"{ISSUER}#{ALICE}"
    assert (user.subject, user.issuer, user.expires) == (ALICE, ISSUER, NOW + 300)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(signed(typ="ID", at_hash="x"), Reason.NO_ACCESS_TOKEN, id="an ID token"),
        pytest.param(signed(typ="Refresh"), Reason.NO_ACCESS_TOKEN, id="a refresh token"),
        pytest.param(signed(without="typ"), Reason.NO_ACCESS_TOKEN, id="of no kind"),
        pytest.param(
            signed(without="typ", scope="openid", at_hash="x"),
            Reason.NO_ACCESS_TOKEN,
            id="an ID token of another issuer",
        ),
        pytest.param(
            signed(without="typ", scope="openid", nonce="x"),
            Reason.NO_ACCESS_TOKEN,
            id="the answer to somebody's log-in",
        ),
        pytest.param(signed(kind="txntoken+jwt"), Reason.NO_ACCESS_TOKEN, id="a transaction token"),
        pytest.param(signed(kind="logout+jwt"), Reason.NO_ACCESS_TOKEN, id="a logout token"),
        pytest.param(signed(sub=""), Reason.NO_USER, id="nobody"),
        pytest.param(signed(sub="a\nb"), Reason.NO_USER, id="two lines for a log"),
        pytest.param(signed(sub="x" * 256), Reason.NO_USER, id="a long name"),
        pytest.param(signed(aud=["account"]), Reason.AUDIENCE, id="audience"),
        pytest.param(signed(exp=NOW), Reason.EXPIRED, id="expired"),
        pytest.param(signed(padding="x" * 16384), Reason.MALFORMED_TOKEN, id="huge"),
    ],
)
async def test_anything_else_is_refused(verifier: UserVerifier, token: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        await verifier.user(token, NOW)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "sums openid"}, {"sums", "openid"}),
        ({"scp": ["sums", 5]}, {"sums"}),
        ({"scope": 5}, set()),
        ({}, set()),
    ],
    ids=["scope", "scp", "no text", "neither"],
)
async def test_a_token_says_what_it_is_good_for(
    verifier: UserVerifier, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert (await verifier.user(signed(**claims), NOW)).scopes == scopes
