"""Everything that a request can be refused with, in the one shape that OpenAI's clients read.

What the server's own routes raise is told by the server in shapes of its own: here a sentence,
there a mapping of Python's as text.
"""

import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtime.amf import sdk, sdk_errors
from runtime.amf.elsewhere import unlisted_model
from runtime.amf.errors import ApiError, BadRequest, NotFound, foreign_body
from runtime.amf.malformed import malformed, malformed_query

log = logging.getLogger(__name__)

NO_CONVERSATION = re.compile(r"(?:400: )?Invalid value for 'conversation(?:_id)?': (.*?)\. ")
NAMED = {"item_id": "item", "conversation_id": "conversation", "response_id": "response"}


def use_one_shape(app: Any) -> None:
    """Let every route of a server refuse so, which need not have begun."""
    handlers = {
        ApiError: refuse,
        HTTPException: refuse_otherwise,
        RequestValidationError: refuse_form,
        ValidationError: refuse_value,
        sdk_errors.ModelNotFound: refuse_model,
        TypeError: refuse_type,
    }
    for kind in (*sdk_errors.EXPECTED, Exception):
        app.add_exception_handler(kind, refuse_other)
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def refuse(_request: Request, error: Exception) -> Response:
    """An error of ours."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body, error.status_code, dict(error.headers or {}))


async def refuse_form(request: Request, error: Exception) -> Response:
    """A request that has not the form of its API."""
    if not isinstance(error, RequestValidationError):
        raise error
    return await refuse(request, malformed(error.errors(), error.body))


async def refuse_value(request: Request, error: Exception) -> Response:
    """The same, found out by the server after its framework has let the request in."""
    if not isinstance(error, ValidationError):
        raise error
    return await refuse(request, malformed_query(error))


async def refuse_type(request: Request, error: Exception) -> Response:
    """The same, found out by a model of the server that did not expect it."""
    if not sdk_errors.is_of_a_model(error):
        raise error
    return await refuse(request, BadRequest(f"The body has not the form of a request: {error}."))


async def refuse_model(request: Request, error: Exception) -> Response:
    """A model that the server does not find, with what there is."""
    if (model := sdk_errors.model_not_found(error)) is None:
        raise error
    models = sdk.models_of(sdk.deps_of(request.app))
    return await refuse(request, await unlisted_model(model, models))


async def refuse_otherwise(request: Request, error: Exception) -> Response:
    """What routes of the server refuse as HTTP errors."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, ValidationError):
        return await refuse_value(request, error.__cause__)
    if (unknown := _unknown(request, str(error.detail))) is not None:
        return await refuse(request, unknown)
    body = foreign_body(error.status_code, _way_out(request, error))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))


async def refuse_other(request: Request, error: Exception) -> Response:
    """What the server's providers refuse or fail at; of some errors nobody can say which it is."""
    status, message = sdk_errors.told_of(error)
    if (unknown := _unknown(request, message)) is not None:
        return await refuse(request, unknown)
    log.info("refused", extra={"path": request.url.path, "error": repr(error)})
    return JSONResponse(foreign_body(status, message), status)


def _unknown(request: Request, message: str) -> NotFound | None:
    """What the server means that it does not find, None if it says something else."""
    if told := NO_CONVERSATION.match(message):
        field = "conversation_id" if "conversation_id" in request.path_params else "conversation"
        return NotFound(f"There is no conversation {told[1]}.", param=field)
    for field, what in NAMED.items():
        name = request.path_params.get(field)
        if name is not None and f"'{name}' not found" in message:
            return NotFound(f"There is no {what} {name}.", param=field)
    return None


def _way_out(request: Request, error: HTTPException) -> str:
    """What an HTTP error says; where nothing is served, how to find what is."""
    where = f"{request.method} {request.url.path}"
    match error.status_code, error.detail:
        case HTTPStatus.NOT_FOUND, "Not Found":
            return f"There is no {where}; /docs shows what there is."
        case HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed":
            allowed = (error.headers or {}).get("Allow", "")
            but = f", but {allowed}" if allowed else ""
            return f"There is no {where}{but}; /docs shows what there is."
    return str(error.detail)
