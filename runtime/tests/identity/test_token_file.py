from pathlib import Path

import jwt
import pytest

from runtime.identity.token import NoProof
from runtime.identity.token_file import TokenFile

SECRET = "a secret that is long enough for an HMAC of SHA-256"


def test_the_token_is_read_again_at_each_use(tmp_path: Path) -> None:
    path = tmp_path / "token"
    file = TokenFile(str(path))
    for expires in (1_800_000_000, 1_800_003_600):
        token = jwt.encode({"exp": expires, "sub": "ümlaut?>"}, SECRET)
        path.write_text(token + "\n")
        assert file.read().token == token
        assert file.read().expires == expires


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no token",
        "a.b.c",
        "a.b",
        jwt.encode({"sub": "x"}, SECRET),
        jwt.encode({"exp": 1}, SECRET).replace(".", "..", 1),
        "x.W10.y",
        "x.eyJleHAiOiBudWxsfQ.y",
        "ä.ö.ü",
    ],
)
def test_what_has_no_end_is_no_proof_and_is_not_repeated(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(NoProof) as raised:
        TokenFile(path).read()
    assert str(raised.value) == f"{path} holds no JWT with an expiry"


def test_a_file_that_is_not_there_yet_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TokenFile(tmp_path / "token").read()
