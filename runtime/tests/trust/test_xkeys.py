import pytest

from controller.clients.nkeys import account_seed, public_key, public_xkey, user_seed, xkey_seed
from runtime.trust.nkeys import NotSigned
from runtime.trust.xkeys import NotSealed, Xkey

OURS, THEIRS, OTHERS = xkey_seed(), xkey_seed(), xkey_seed()


def test_what_is_sealed_only_its_recipient_opens() -> None:
    sealed = Xkey(THEIRS).seal(b"a token", public_xkey(OURS))

    assert b"a token" not in sealed
    assert Xkey(OURS).open(sealed, public_xkey(THEIRS)) == b"a token"
    with pytest.raises(NotSealed):
        Xkey(OTHERS).open(sealed, public_xkey(THEIRS))


def test_the_same_is_never_sealed_twice_alike() -> None:
    assert len({Xkey(THEIRS).seal(b"a token", public_xkey(OURS)) for _ in range(20)}) == 20


SEALED = Xkey(THEIRS).seal(b"a token", public_xkey(OURS))


@pytest.mark.parametrize(
    ("sealed", "sender"),
    [
        pytest.param(SEALED, public_xkey(OTHERS), id="by somebody else"),
        pytest.param(SEALED[:-1] + bytes([SEALED[-1] ^ 1]), public_xkey(THEIRS), id="changed"),
        pytest.param(SEALED[:20], public_xkey(THEIRS), id="cut off"),
        pytest.param(SEALED.replace(b"xkv1", b"xkv2"), public_xkey(THEIRS), id="a later version"),
        pytest.param(b"eyJhbGciOi", public_xkey(THEIRS), id="plain"),
        pytest.param(b"", public_xkey(THEIRS), id="empty"),
        pytest.param(SEALED, "", id="by nobody"),
        pytest.param(SEALED, "X", id="by no key"),
        pytest.param(SEALED, public_key(account_seed()), id="by a key of another kind"),
    ],
)
def test_what_cannot_be_opened_is_not_sealed(sealed: bytes, sender: str) -> None:
    with pytest.raises(NotSealed):
        Xkey(OURS).open(sealed, sender)


def test_nothing_is_sealed_for_nobody() -> None:
    with pytest.raises(NotSigned):
        Xkey(OURS).seal(b"a token", public_key(account_seed()))


CHANGED = OURS[:9] + ("B" if OURS[9] == "A" else "A") + OURS[10:]


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param("", id="nothing"),
        pytest.param("SX", id="its beginning"),
        pytest.param(CHANGED, id="changed"),
        pytest.param(OURS[:-2], id="cut off"),
        pytest.param(account_seed(), id="of an account"),
        pytest.param(user_seed(), id="of a user"),
        pytest.param("ü", id="no base32"),
    ],
)
def test_what_is_no_seed_is_not_repeated(seed: str) -> None:
    for read in (Xkey, public_xkey):
        with pytest.raises(ValueError, match=r"^this is no seed of an xkey$"):
            read(seed)
