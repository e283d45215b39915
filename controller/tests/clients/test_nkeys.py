import pytest

from controller.clients.nkeys import account_seed, public_key, user_seed


@pytest.mark.parametrize(
    ("seed", "letters"),
    [
        pytest.param(account_seed(), ("SA", "A"), id="account"),
        pytest.param(user_seed(), ("SU", "U"), id="user"),
    ],
)
def test_a_seed_and_its_public_key_say_of_what_kind_they_are(
    seed: str, letters: tuple[str, str]
) -> None:
    assert (seed[:2], public_key(seed)[0]) == letters
    assert (len(seed), len(public_key(seed))) == (58, 56)
    assert public_key(f"{seed}\n") == public_key(seed)


def test_no_two_seeds_are_alike() -> None:
    assert len({account_seed() for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "bad", ["", "SA", "x" * 58, "ä", pytest.param(public_key(account_seed()), id="public key")]
)
def test_anything_else_is_refused_and_not_repeated(bad: str) -> None:
    with pytest.raises(ValueError, match=r"^this is no seed of an nkey$"):
        public_key(bad)
