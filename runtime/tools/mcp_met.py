"""What was met where an MCP server should be, in words.

The SDK tells a path that is none, a port where nobody listens and a session that was forgotten by
one and the same error, and waits without end for an answer that it cannot read.

Source:
    Model Context Protocol 2025-06-18, "Transports", streamable HTTP.
"""

from http import HTTPStatus
from typing import Final

import httpx

from runtime.tools.unreachable import first_line, no_connection

ENDPOINT: Final = "see whether spec.mcp names the path of its endpoint, as in …/mcp"
OTHER: Final = "cannot be used: what answers there does not speak MCP"
READABLE: Final = ("application/json", "text/event-stream")
WRONG_PATH: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE}
)
CLOSED_DOORS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Met:
    """What the last message to a server has met; each message that is answered replaces it."""

    def __init__(self) -> None:
        self._why: str | None = None

    def nobody(self, error: httpx.TransportError) -> None:
        """No connection came about."""
        self._why = f"cannot be reached: {no_connection(error)}"

    def answer(self, response: httpx.Response) -> None:
        """This is how an answer begins."""
        self._why = _unusable(response)

    def nonsense(self) -> None:
        """What was answered is no message of the protocol."""
        self._why = self._why or f"{OTHER}; {ENDPOINT}"

    def why_not(self, error: BaseException) -> str:
        """Why the server cannot be used, as half a sentence about it; `error` is what came of it.

        Shape:
            Without a capital and a full stop: `cannot be reached: nobody listens there`.
        """
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return self._why or f"cannot be used: {_what_happened(error)}"


def _unusable(response: httpx.Response) -> str | None:
    status = response.status_code
    kind = response.headers.get("content-type", "nothing").partition(";")[0]
    if response.is_redirect:
        target = response.headers.get("location", "")
        return f"cannot be used: it sends elsewhere ({status}), to {target}; name that in spec.mcp"
    if status in WRONG_PATH:
        return f"cannot be used: it answers {_phrase(status)}; {ENDPOINT}"
    if status in CLOSED_DOORS:
        return f"cannot be used: it answers {_phrase(status)}; it has to take calls without a login"
    if response.is_error:
        return f"cannot be used: it answers {_phrase(status)}; its own log says why"
    if status == HTTPStatus.OK and kind not in READABLE:
        return f"{OTHER}, but {kind}; {ENDPOINT}"
    return None


def _what_happened(error: BaseException) -> str:
    match error:
        case TimeoutError():
            return "it takes connections, and does not answer in time"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "it takes connections, and ends them without an answer"
        case _:
            return first_line(error)


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
