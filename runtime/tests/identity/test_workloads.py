import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import CLOCK_SECONDS, Reason, Refused
from runtime.identity.workloads import WorkloadVerifier

ISSUER = "https://issuer.example"
NOW = 1_800_000_000.0
KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = Ed25519PrivateKey.generate()
JWKS = {
    "keys": [
        ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "ec"},
        RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True) | {"kid": "rsa", "alg": "RS256"},
        OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True) | {"kid": "ed"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw", "kid": "oct"},
        {"kty": "of the future", "kid": "odd"},
        "no key",
    ]
}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": ["k8gentai"],
    "sub": "system:serviceaccount:team:agent-math",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 600,
}


@pytest.fixture
def verifier() -> WorkloadVerifier:
    return WorkloadVerifier(IssuerKeys((Issuer(issuer=ISSUER, jwks=JWKS),)), "k8gentai")


def signed(
    claims: dict[str, Any] | None = None,
    *,
    key: Any = KEY,
    algorithm: str = "ES256",
    kid: str | None = "ec",
    without: str = "",
    **other: Any,
) -> str:
    payload = {
        name: value for name, value in (CLAIMS | (claims or {}) | other).items() if name != without
    }
    headers = {"kid": kid} if kid is not None else {}
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


def raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def flipped(token: str) -> str:
    signed_part, _, signature = token.rpartition(".")
    raw_signature = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw_signature[0] ^= 1
    return f"{signed_part}.{base64.urlsafe_b64encode(raw_signature).decode().rstrip('=')}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(), id="ES256"),
        pytest.param(signed(key=RSA_KEY, algorithm="RS256", kid="rsa"), id="RS256"),
        pytest.param(signed(key=ED_KEY, algorithm="EdDSA", kid="ed"), id="EdDSA"),
        pytest.param(signed(aud="k8gentai"), id="an audience that is no list"),
        pytest.param(signed(aud=["other", "k8gentai"]), id="one audience of several"),
        pytest.param(signed(without="nbf"), id="no nbf"),
        pytest.param(signed(iat=NOW + 30, nbf=NOW + 30), id="the issuer's clock is 30 s ahead"),
    ],
)
async def test_a_good_token_proves_its_service_account(
    verifier: WorkloadVerifier, token: str
) -> None:
    identity = await verifier.identity(token, NOW)
    assert identity.service_account == ObjectName(namespace="team", name="agent-math")
    assert identity.expires == NOW + 600


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", Reason.NO_TOKEN, id="nothing"),
        pytest.param("abc", Reason.MALFORMED_TOKEN, id="no JWT"),
        pytest.param("a.b.c", Reason.MALFORMED_TOKEN, id="three parts of nothing"),
        pytest.param(raw({"alg": "ES256"}, {}) + ".x", Reason.MALFORMED_TOKEN, id="four parts"),
        pytest.param(signed(key="", algorithm="none"), Reason.ALGORITHM, id="alg none"),
        pytest.param(raw({"alg": "None", "kid": "ec"}, CLAIMS), Reason.ALGORITHM, id="alg None"),
        pytest.param(
            signed(key=JWKS["keys"][0]["x"], algorithm="HS256"),  # type: ignore[index]  # a list of mixed things
            Reason.ALGORITHM,
            id="HS256 with the public key",
        ),
        pytest.param(
            signed(key="secret-secret-secret-secret-secret-sec", algorithm="HS256", kid="oct"),
            Reason.ALGORITHM,
            id="HS256 with a symmetric key of the set",
        ),
        pytest.param(
            signed(key=RSA_KEY, algorithm="RS256", kid="ec"),
            Reason.ALGORITHM,
            id="another algorithm than the key's",
        ),
        pytest.param(
            signed(key=RSA_KEY, algorithm="RS512", kid="rsa"),
            Reason.ALGORITHM,
            id="another algorithm than the key names",
        ),
        pytest.param(signed(iss="https://other.example"), Reason.UNKNOWN_ISSUER, id="issuer"),
        pytest.param(signed(without="iss"), Reason.UNKNOWN_ISSUER, id="no issuer"),
        pytest.param(signed(kid="nobody"), Reason.UNKNOWN_KEY, id="unknown kid"),
        pytest.param(signed(kid="odd"), Reason.UNKNOWN_KEY, id="a key of an unknown kind"),
        pytest.param(signed(kid=None), Reason.UNKNOWN_KEY, id="no kid"),
        pytest.param(flipped(signed()), Reason.SIGNATURE, id="one bit of the signature"),
        pytest.param(
            signed(key=ec.generate_private_key(ec.SECP256R1())), Reason.SIGNATURE, id="signer"
        ),
        pytest.param(signed(aud=["other"]), Reason.AUDIENCE, id="audience"),
        pytest.param(signed(without="aud"), Reason.AUDIENCE, id="no audience"),
        pytest.param(signed(without="exp"), Reason.MALFORMED_TOKEN, id="no expiry"),
        pytest.param(signed(without="sub"), Reason.MALFORMED_TOKEN, id="no subject"),
        pytest.param(signed(exp=NOW), Reason.EXPIRED, id="just expired"),
        pytest.param(signed(exp=NOW - 300), Reason.EXPIRED, id="expired"),
        pytest.param(signed(exp=float("inf")), Reason.EXPIRED, id="an end that never comes"),
        pytest.param(signed(exp=float("nan")), Reason.EXPIRED, id="an end that is no number"),
        pytest.param(signed(exp={}), Reason.MALFORMED_TOKEN, id="an end of the wrong type"),
        pytest.param(signed(nbf=NOW + 300), Reason.CLOCK, id="not yet"),
        pytest.param(signed(iat=NOW + CLOCK_SECONDS + 1), Reason.CLOCK, id="made in the future"),
        pytest.param(signed(sub="alice"), Reason.NO_SERVICE_ACCOUNT, id="a user"),
        pytest.param(
            signed(sub="system:serviceaccount:team:a.b"),
            Reason.NO_SERVICE_ACCOUNT,
            id="a name with a dot",
        ),
        pytest.param(
            signed(sub="system:serviceaccount:team:>"),
            Reason.NO_SERVICE_ACCOUNT,
            id="a name with a wildcard",
        ),
        pytest.param(
            signed(sub="system:serviceaccount:team:a:b"),
            Reason.NO_SERVICE_ACCOUNT,
            id="a part too many",
        ),
        pytest.param(
            signed(sub="system:serviceaccount:team"), Reason.NO_SERVICE_ACCOUNT, id="no name"
        ),
    ],
)
async def test_anything_else_is_refused(
    verifier: WorkloadVerifier, token: str, reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        await verifier.identity(token, NOW)
    assert refused.value.reason is reason


async def test_a_refusal_names_whom_the_signature_proves(verifier: WorkloadVerifier) -> None:
    with pytest.raises(Refused) as expired:
        await verifier.identity(signed(exp=NOW - 1), NOW)
    assert expired.value.who == "team/agent-math"
    with pytest.raises(Refused) as forged:
        await verifier.identity(flipped(signed(exp=NOW - 1)), NOW)
    assert forged.value.who is None


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    ("off", "reason"),
    [(30, None), (-30, None), (300, Reason.CLOCK), (-300, Reason.EXPIRED)],
    ids=str,
)
async def test_a_clock_may_be_off_by_half_a_minute(
    verifier: WorkloadVerifier, off: float, reason: Reason | None
) -> None:
    issued = NOW + off
    token = signed(iat=issued, nbf=issued, exp=issued + 300)
    if reason is None:
        assert (await verifier.identity(token, NOW)).expires == issued + 300
    else:
        with pytest.raises(Refused) as refused:
            await verifier.identity(token, NOW)
        assert refused.value.reason is reason


async def test_now_is_the_clocks_when_not_given(verifier: WorkloadVerifier) -> None:
    now = time.time()
    identity = await verifier.identity(signed(iat=now, nbf=now, exp=now + 5))
    assert identity.expires == now + 5
    with pytest.raises(Refused):
        await verifier.identity(signed(iat=now - 9, nbf=now - 9, exp=now - 1))
