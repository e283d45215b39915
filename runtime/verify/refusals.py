"""Why a transaction token is not taken, and what an HTTP client is told of it.

Source:
    RFC 6750, section 3.1 (`invalid_request`, `invalid_token`, `insufficient_scope` and their
    status); RFC 9110, section 11.6.1 (`WWW-Authenticate`).
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Final


class Reason(StrEnum):
    """One word for a log or a test."""

    MISSING = "missing"
    REPEATED = "repeated"
    IN_AUTHORIZATION = "in authorization"
    MALFORMED = "malformed"
    TYPE = "type"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    CLAIM = "claim"
    EXPIRED = "expired"
    CLOCK = "clock"
    REPLAY = "replay"
    SCOPE = "scope"
    ACTOR = "actor"
    WORK = "work"


_STATUS: Final = {
    Reason.REPEATED: HTTPStatus.BAD_REQUEST,
    Reason.IN_AUTHORIZATION: HTTPStatus.BAD_REQUEST,
    Reason.SCOPE: HTTPStatus.FORBIDDEN,
}
_ERROR: Final = {
    HTTPStatus.BAD_REQUEST: "invalid_request",
    HTTPStatus.UNAUTHORIZED: "invalid_token",
    HTTPStatus.FORBIDDEN: "insufficient_scope",
}


class Refused(Exception):
    """The token does not authorise the request; the message is a sentence without the token."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(f"{reason}: {sentence}")
        self.reason = reason

    @property
    def status(self) -> HTTPStatus:
        """400, 401 or 403."""
        return _STATUS.get(self.reason, HTTPStatus.UNAUTHORIZED)

    @property
    def body(self) -> dict[str, str]:
        """An OAuth error body, and the reason as a word of its own."""
        return {
            "error": _ERROR[self.status],
            "error_description": str(self),
            "reason": str(self.reason),
        }


class KeysAway(Exception):
    """The keys cannot be fetched, so nobody can say; asked again later, it may work."""
