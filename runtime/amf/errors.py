"""What a request is refused with: an HTTP status, and a sentence that names the way out.

Source:
    OpenAI API reference, "Errors": the body is `{"error": {message, type, param, code}}`.
"""

from http import HTTPStatus
from typing import Any

from fastapi import HTTPException


class ApiError(HTTPException):
    """A request that gets no answer; the message is a sentence for the client.

    Units:
        `retry_after` in seconds; the clients' libraries wait so long before they ask again.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "server_error"
    code: str | None = None

    def __init__(
        self, message: str, *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(self.status, message, headers)
        self.message = message
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        detail = {"message": self.message, "type": self.kind, "param": self.param}
        return {"error": detail | {"code": self.code}}


class BadRequest(ApiError):
    """The request asks for something that is not done; `param` names it."""

    status = HTTPStatus.BAD_REQUEST
    kind = "invalid_request_error"
    code = "invalid_value"


class NotFound(ApiError):
    """What the request names does not exist, or is somebody else's."""

    status = HTTPStatus.NOT_FOUND
    kind = "invalid_request_error"
    code = "not_found"


class UnknownModel(NotFound):
    """There is no agent and no model of that name."""

    code = "model_not_found"


class Conflict(ApiError):
    """It cannot be done as things stand; the message says what stands in the way."""

    status = HTTPStatus.CONFLICT
    kind = "invalid_request_error"
    code = "conflict"


class TooLarge(ApiError):
    """The input is larger than the agent or its queue takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    kind = "invalid_request_error"
    code = "payload_too_large"


class Full(ApiError):
    """The queue takes no more work at the moment."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    kind = "rate_limit_error"
    code = "queue_full"


class NotDone(ApiError):
    """This server does not do that."""

    status = HTTPStatus.NOT_IMPLEMENTED
    kind = "invalid_request_error"
    code = "not_implemented"


class OutOfReach(ApiError):
    """The queue does not answer; nothing was accepted, asking again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "queue_unavailable"


class Stopping(ApiError):
    """This server stops before it knows the answer; another one, or a later one, does."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code: str = "server_stopping"
    retry_seconds = 5

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=self.retry_seconds)


class Overdue(ApiError):
    """The run has shown no end long after its deadline."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "no_answer"
