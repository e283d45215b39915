import base64
import json

import pytest

from controller.clients.nkeys import account_seed, public_key, user_seed
from runtime.trust.nkeys import NotSigned, Prefix, Signer, signed_claims


def test_what_is_signed_can_be_read_back() -> None:
    signer = Signer(account_seed())
    claims = signed_claims(signer.sign({"sub": "x", "nats": {"type": "user"}}), Prefix.ACCOUNT)
    assert claims["iss"] == signer.public_key
    assert claims["sub"] == "x"
    assert claims["nats"] == {"type": "user"}
    assert len(claims["jti"]) == 52


def test_the_public_key_is_that_of_the_seed() -> None:
    seed = user_seed()
    assert Signer(f"{seed}\n").public_key == public_key(seed)
    assert public_key(seed).startswith("U")
    assert public_key(account_seed()).startswith("A")


def changed(jwt: str, part: int, text: str) -> str:
    parts = jwt.split(".")
    parts[part] = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return ".".join(parts)


SIGNED = Signer(account_seed()).sign({"sub": "x"})
OTHER = Signer(account_seed()).public_key
MISTYPED = ("B" if OTHER[-1] == "A" else "A").join([OTHER[:-1], ""])


@pytest.mark.parametrize(
    "jwt",
    [
        pytest.param("", id="nothing"),
        pytest.param("a.b.c", id="no JSON"),
        pytest.param("a.b", id="two parts"),
        pytest.param("ä.ö.ü", id="no ASCII"),
        pytest.param(changed(SIGNED, 0, '{"typ":"JWT","alg":"none"}'), id="alg none"),
        pytest.param(changed(SIGNED, 0, "[]"), id="a header that is no object"),
        pytest.param(changed(SIGNED, 1, "[]"), id="claims that are no object"),
        pytest.param(changed(SIGNED, 1, "{}"), id="no issuer"),
        pytest.param(changed(SIGNED, 1, '{"iss": 5}'), id="an issuer that is no key"),
        pytest.param(changed(SIGNED, 1, json.dumps({"iss": OTHER})), id="another's signature"),
        pytest.param(changed(SIGNED, 1, json.dumps({"iss": MISTYPED})), id="a mistyped key"),
        pytest.param(changed(SIGNED, 2, "x"), id="no signature"),
        pytest.param(Signer(user_seed()).sign({}), id="a key of another kind"),
    ],
)
def test_nothing_else_is_taken_for_signed(jwt: str) -> None:
    with pytest.raises(NotSigned):
        signed_claims(jwt, Prefix.ACCOUNT)


@pytest.mark.parametrize(
    "seed",
    ["", "SA", "SAAA", "not base 32!", pytest.param(account_seed()[:-10], id="cut short")],
)
def test_a_bad_seed_is_refused_and_not_repeated(seed: str) -> None:
    with pytest.raises(ValueError, match="no seed of an nkey") as refused:
        Signer(seed)
    assert len(seed) < 5 or seed not in str(refused.value)
