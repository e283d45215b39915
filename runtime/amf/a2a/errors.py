"""What a request is refused with over A2A.

Source:
    A2A protocol specification 1.0, "Error Handling".
"""

from http import HTTPStatus
from typing import Final

from a2a.utils.errors import (
    A2AError,
    InternalError,
    InvalidParamsError,
    UnsupportedOperationError,
)

from runtime.amf.errors import ApiError

KINDS: Final[dict[int, type[A2AError]]] = {
    HTTPStatus.BAD_REQUEST: InvalidParamsError,
    HTTPStatus.NOT_FOUND: InvalidParamsError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidParamsError,
    HTTPStatus.FORBIDDEN: UnsupportedOperationError,
    HTTPStatus.CONFLICT: UnsupportedOperationError,
}
# Those that a client, or what stands between, acts upon without reading the body.
SHOWN: Final = frozenset(
    {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def as_a2a(error: ApiError) -> A2AError:
    """The same in A2A's words: the sentence, and the code and field as data."""
    kind = KINDS.get(error.status_code, InternalError)
    facts = {"code": error.code, "field": error.param}
    return kind(error.message, {name: fact for name, fact in facts.items() if fact})
