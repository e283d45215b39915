import stat
import threading
import time
from pathlib import Path

import jwt
import pytest

from controller.local.issuer import LocalIssuer
from runtime.contract.value import ObjectName

MATH = ObjectName(namespace="team", name="agent-math")


def test_a_token_has_the_claims_of_a_projected_one() -> None:
    issuer = LocalIssuer("k8gentai")
    trusted = issuer.trusted()
    assert trusted.jwks is not None
    key = jwt.PyJWKSet.from_dict(trusted.jwks).keys[0]
    claims = jwt.decode(
        issuer.token(MATH, 600),
        key,
        algorithms=["EdDSA"],
        audience="k8gentai",
        issuer=trusted.issuer,
    )
    assert claims["sub"] == "system:serviceaccount:team:agent-math"
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["iat"] - time.time()) < 5


def test_the_published_key_is_public() -> None:
    (key,) = LocalIssuer("k8gentai").jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}


def test_each_issuer_signs_with_a_key_of_its_own() -> None:
    one, other = LocalIssuer("k8gentai"), LocalIssuer("k8gentai")
    key = jwt.PyJWKSet.from_dict(other.jwks()).keys[0]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(one.token(MATH, 600), key, algorithms=["EdDSA"], audience="k8gentai")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("an older one that everybody could read")
    path.chmod(0o644)
    LocalIssuer("k8gentai").write_token(path, MATH, 600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["token"]


def test_a_reader_never_sees_half_a_token(tmp_path: Path) -> None:
    issuer, path, done = LocalIssuer("k8gentai"), tmp_path / "token", threading.Event()
    issuer.write_token(path, MATH, 600)

    def write() -> None:
        for _ in range(200):
            issuer.write_token(path, MATH, 600)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    lengths = set()
    while not done.is_set():
        lengths.add(len(path.read_text()))
    writer.join()
    assert lengths == {len(issuer.token(MATH, 600))}


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        LocalIssuer("k8gentai").write_token(tmp_path / "no" / "token", MATH, 600)
    (tmp_path / "token").mkdir()
    with pytest.raises(OSError, match="directory"):
        LocalIssuer("k8gentai").write_token(tmp_path / "token", MATH, 600)
    assert [one.name for one in tmp_path.iterdir()] == ["token"]
