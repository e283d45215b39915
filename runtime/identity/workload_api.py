"""The SPIFFE Workload API: who a workload is, as the SPIRE agent of its node attests it.

It is gRPC over a Unix socket. Of that, one call with one answer is needed, and all that is said in
it are strings; so httpx with HTTP/2 speaks it, and no framework's gRPC has to be agreed with.

Source:
    SPIFFE Workload API specification, section 4 (endpoint) and `workload.proto`; gRPC over HTTP/2;
    Protocol Buffers, "Encoding".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from runtime.identity.token import NoProof, WorkloadToken, expiry

CALL_SECONDS: Final = 5.0
"""The agent asks the kubelet and the server before it answers a workload for the first time."""

_METHOD: Final = "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID"
_HEADERS: Final = {
    "content-type": "application/grpc",
    "te": "trailers",
    "workload.spiffe.io": "true",  # what a browser cannot be made to send; the agent insists
}
_PREFIX: Final = 5  # one byte for compression, four for the length
_LENGTH_DELIMITED: Final = 2


def fetch_jwt_svid(socket: str, audience: str, spiffe_id: str) -> WorkloadToken:
    """A JWT-SVID of this workload from the agent at `socket`; waits for `CALL_SECONDS` at most.

    The agent keeps SVIDs and gives a new one once half of the old one's life is over.

    Raises:
        NoProof: the agent does not answer, or does not know this process as `spiffe_id`.
    """
    if not Path(socket).is_socket():
        raise NoProof(f"there is no SPIRE agent at {socket}: it is down, or not on this node")
    request = _field(1, audience) + _field(2, spiffe_id)
    transport = httpx.HTTPTransport(uds=socket, http1=False, http2=True)
    try:
        with httpx.Client(transport=transport, timeout=CALL_SECONDS, trust_env=False) as client:
            framed = b"\0" + len(request).to_bytes(_PREFIX - 1) + request
            answer = client.post(_METHOD, headers=_HEADERS, content=framed)
    except httpx.HTTPError as error:
        raise NoProof(f"the SPIRE agent at {socket} does not answer: {error!r}") from error
    if "grpc-status" in answer.headers:  # so soon only if there is no answer
        told = answer.headers.get("grpc-message", "")
        raise NoProof(f"the SPIRE agent has no SVID for {spiffe_id}: {told}")
    try:
        return _svid(answer.content, spiffe_id)
    except (ValueError, IndexError) as error:
        raise NoProof(f"the SPIRE agent's answer cannot be read: {error}") from error


def _svid(body: bytes, spiffe_id: str) -> WorkloadToken:
    length = int.from_bytes(body[1:_PREFIX])
    message = body[_PREFIX : _PREFIX + length]
    for number, value in _fields(message):
        svid = dict(_fields(value)) if number == 1 else {}
        if svid.get(1) == spiffe_id.encode():
            token = svid[2].decode()
            return WorkloadToken(token, expiry(token))
    raise ValueError(f"it has no SVID for {spiffe_id}")


def _field(number: int, text: str) -> bytes:
    data = text.encode()
    return bytes([number << 3 | _LENGTH_DELIMITED]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message whose fields all are strings or messages: number and bytes."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError("it has a field that is neither a string nor a message")
        length, at = _read_varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at
