"""The client of the Workload API against frames of HTTP/2; the real agent answers it in `e2e`."""

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from runtime.identity import workload_api
from runtime.identity.token import NoProof
from runtime.identity.workload_api import fetch_jwt_svid
from runtime.tests.identity.workload_api_server import WorkloadApiServer

MATH = "spiffe://example.org/ns/team/agent/math"
POET = "spiffe://example.org/ns/team/agent/poet"
SECRET = "a secret that is long enough for an HMAC of SHA-256"
SVID = jwt.encode({"sub": MATH, "exp": 1_800_000_000, "pad": "x" * 300}, SECRET)


def text(number: int, value: bytes) -> bytes:
    """A field of a message, as Protocol Buffers encode it; for lengths below 16384."""
    length = len(value)
    size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + size + value


def svid(spiffe_id: str, token: str = SVID) -> bytes:
    hint = text(3, b"internal")
    return text(1, text(1, spiffe_id.encode()) + text(2, token.encode()) + hint)


@pytest.fixture
def server() -> WorkloadApiServer:
    return WorkloadApiServer()


@pytest.fixture
def socket(server: WorkloadApiServer, tmp_path: Path) -> Iterator[str]:
    with server.listening(tmp_path / "agent.sock") as path:
        yield path


def test_the_svid_for_ones_own_id_is_taken_and_no_other(
    server: WorkloadApiServer, socket: str
) -> None:
    server.answer = svid(POET, "another") + text(9, b"of the future") + svid(MATH)

    held = fetch_jwt_svid(socket, "k8gentai", MATH)

    assert (held.token, held.expires) == (SVID, 1_800_000_000)


def test_it_asks_as_grpc_does_for_one_audience_and_one_id(
    server: WorkloadApiServer, socket: str
) -> None:
    server.answer = svid(MATH)

    fetch_jwt_svid(socket, "k8gentai", MATH)

    ((headers, body),) = server.asked
    assert headers[":path"] == "/SpiffeWorkloadAPI/FetchJWTSVID"
    assert headers["workload.spiffe.io"] == "true"
    assert (headers["content-type"], headers["te"]) == ("application/grpc", "trailers")
    request = text(1, b"k8gentai") + text(2, MATH.encode())
    assert body == b"\0" + len(request).to_bytes(4) + request


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(None, "no identity issued", id="refused"),
        pytest.param(b"", f"it has no SVID for {MATH}", id="nothing"),
        pytest.param(svid(POET), f"it has no SVID for {MATH}", id="another workload's"),
        pytest.param(svid(MATH, "no JWT"), "cannot be read", id="no JWT"),
        pytest.param(svid(MATH)[:40], "cannot be read", id="cut off"),
        pytest.param(b"\x08\x01", "neither a string nor a message", id="a number"),
        pytest.param(b"\xff\xff", "cannot be read", id="no message"),
    ],
)
def test_any_other_answer_is_no_proof(
    server: WorkloadApiServer, socket: str, answer: bytes | None, told: str
) -> None:
    server.answer = answer

    with pytest.raises(NoProof, match=told):
        fetch_jwt_svid(socket, "k8gentai", MATH)


def test_an_agent_that_is_not_there_is_no_proof(tmp_path: Path) -> None:
    with pytest.raises(NoProof, match="there is no SPIRE agent"):
        fetch_jwt_svid(str(tmp_path / "agent.sock"), "k8gentai", MATH)


def test_an_agent_that_says_nothing_is_not_waited_for(
    server: WorkloadApiServer, socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload_api, "CALL_SECONDS", 0.1)
    server.silent = True

    with pytest.raises(NoProof, match="does not answer"):
        fetch_jwt_svid(socket, "k8gentai", MATH)
