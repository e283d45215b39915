"""What a request is refused with: an HTTP status, and a sentence that names the way out.

Source:
    OpenAI API reference, "Errors": the body is `{"error": {message, type, param, code}}`.
"""

from http import HTTPStatus
from typing import Any, Final

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


class Refused(ApiError):
    """What the client asks for is not done, and asking again in the same way will not help."""

    kind = "invalid_request_error"


class BadRequest(Refused):
    """The request asks for something that is not done; `param` names it."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_value"


class Unauthenticated(Refused):
    """The request does not prove who sends it."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_token"

    def __init__(self, message: str, *, is_without: bool = False) -> None:
        """Shape: `is_without` if there was no token at all."""
        super().__init__(message)
        self.is_without = is_without


class Forbidden(Refused):
    """Nobody may do that, or not this user."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(Refused):
    """What the request names does not exist, or is somebody else's."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class UnknownModel(NotFound):
    """There is no agent and no model of that name."""

    code = "model_not_found"


class Conflict(Refused):
    """It cannot be done as things stand; the message says what stands in the way."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class Gone(Refused):
    """It was there, and is not kept any more."""

    status = HTTPStatus.GONE
    code = "events_expired"


class WrongType(Refused):
    """The body is in a format that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class KeyReused(Refused):
    """The `Idempotency-Key` belongs to another request.

    Source:
        draft-ietf-httpapi-idempotency-key-header-07, section 2.7.
    """

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"


class TooLarge(Refused):
    """The input is larger than the agent or its queue takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "payload_too_large"


class Full(ApiError):
    """The queue takes no more work at the moment."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    kind = "rate_limit_error"
    code = "queue_full"


class NotDone(Refused):
    """This server does not do that."""

    status = HTTPStatus.NOT_IMPLEMENTED
    code = "not_implemented"


class ModelFailed(ApiError):
    """A model of the Stack gave no answer to the server itself."""

    status = HTTPStatus.BAD_GATEWAY
    code = "model_failed"


class OutOfReach(ApiError):
    """The queue does not answer; nothing was accepted, asking again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "queue_unavailable"


class IssuerAway(ApiError):
    """The keys of the users' issuer are not known, so nobody can say whose a token is."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "issuer_unavailable"


class Unavailable(ApiError):
    """No worker of the agent can start as things stand; nothing was accepted."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "agent_unavailable"
    retry_seconds = 5

    def __init__(self, message: str) -> None:
        super().__init__(message, param="model", retry_after=self.retry_seconds)


class DatabaseAway(ApiError):
    """The server's database does not answer; agents answer without it."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "database_unavailable"


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


CODES: Final = {
    int(kind.status): kind.code for kind in (BadRequest, Forbidden, NotFound, Conflict, NotDone)
}


def foreign_body(status: int, message: str, *, param: str | None = None) -> dict[str, Any]:
    """The JSON of an answer that somebody else has refused."""
    is_clients = status < HTTPStatus.INTERNAL_SERVER_ERROR
    kind = Refused.kind if is_clients else ApiError.kind
    detail = {"message": message, "type": kind, "param": param, "code": CODES.get(status)}
    return {"error": detail}


RETRY_SECONDS = 2


def out_of_reach(why: str) -> OutOfReach:
    """It cannot be done because of `why`, half a sentence."""
    return OutOfReach(
        f"{why[0].upper()}{why[1:]}; ask again in a while.", retry_after=RETRY_SECONDS
    )
