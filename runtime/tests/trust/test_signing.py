"""Keys of grants and transaction tokens, and their rotation."""

import time

import jwt
import pytest

from controller.clients.signing_keys import signing_key
from controller.desired.signing_keys import (
    AHEAD_SECONDS,
    OVERLAP_SECONDS,
    ROTATE_SECONDS,
    desired_keys,
)
from runtime.contract.signing_keys import SigningKey, SigningKeys
from runtime.contract.txn_token import GRANT_TYPE, TYPE
from runtime.trust.signing import NotOurs, TokenSigner

NOW = time.time()


@pytest.fixture
def keys() -> SigningKeys:
    return desired_keys(None, signing_key, NOW)


def test_the_first_key_signs_at_once(keys: SigningKeys) -> None:
    signer = TokenSigner(SigningKeys.decode(keys.encode()))
    token = signer.sign(TYPE, {"sub": "ada"}, NOW)
    assert jwt.get_unverified_header(token) == {
        "typ": "txntoken+jwt",
        "alg": "ES256",
        "kid": keys.keys[0].kid,
    }
    assert signer.claims(TYPE, token) == {"sub": "ada"}


def test_nothing_private_is_published(keys: SigningKeys) -> None:
    (shown,) = TokenSigner(keys).jwks()["keys"]
    assert shown.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}


@pytest.mark.fault(34)
def test_keys_overlap_so_that_nothing_valid_is_refused(keys: SigningKeys) -> None:
    """Draft, section 13.11: published before it signs, and until all that it signed has ended."""
    old = TokenSigner(keys).sign(GRANT_TYPE, {"sub": "ada"}, NOW)
    assert desired_keys(keys, signing_key, NOW + ROTATE_SECONDS - 1) is keys

    due = NOW + ROTATE_SECONDS
    two = desired_keys(keys, signing_key, due)
    assert len(two.keys) == 2
    assert two.current(due + AHEAD_SECONDS - 1).kid == keys.keys[0].kid
    assert two.current(due + AHEAD_SECONDS).kid == two.keys[1].kid
    assert desired_keys(two, signing_key, due + 1) is two

    replica = TokenSigner(two)
    assert replica.claims(GRANT_TYPE, old) == {"sub": "ada"}
    new = replica.sign(GRANT_TYPE, {"sub": "bob"}, due + AHEAD_SECONDS)
    over = due + AHEAD_SECONDS + OVERLAP_SECONDS
    assert desired_keys(two, signing_key, over - 1) is two
    one = TokenSigner(desired_keys(two, signing_key, over))
    assert one.claims(GRANT_TYPE, new) == {"sub": "bob"}
    with pytest.raises(NotOurs):
        one.claims(GRANT_TYPE, old)


def test_an_installation_that_slept_for_long_keeps_a_key(keys: SigningKeys) -> None:
    late = NOW + 10 * ROTATE_SECONDS
    two = desired_keys(keys, signing_key, late)
    assert two.keys[0] == keys.keys[0]
    assert two.current(late) == keys.keys[0]


@pytest.mark.parametrize(
    "private",
    [{}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "EC", "crv": "P-256", "x": "?", "y": "?"}],
)
def test_what_is_no_key_says_so_without_repeating_it(private: dict[str, str]) -> None:
    keys = SigningKeys(keys=(SigningKey(kid="k", private=private, signs_from=0),))
    with pytest.raises(ValueError, match="signing key") as refused:
        TokenSigner(keys)
    assert "c2VjcmV0" not in str(refused.value)


def test_a_grant_is_no_transaction_token(keys: SigningKeys) -> None:
    """RFC 8725, section 3.11."""
    signer = TokenSigner(keys)
    with pytest.raises(NotOurs):
        signer.claims(TYPE, signer.sign(GRANT_TYPE, {}, NOW))


def test_another_installation_signs_in_vain(keys: SigningKeys) -> None:
    other = desired_keys(None, signing_key, NOW)
    stolen_name = SigningKeys(keys=(other.keys[0].model_copy(update={"kid": keys.keys[0].kid}),))
    with pytest.raises(NotOurs):
        TokenSigner(keys).claims(TYPE, TokenSigner(stolen_name).sign(TYPE, {}, NOW))
