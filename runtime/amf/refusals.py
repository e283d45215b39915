"""Everything that a request can be refused with, in the one shape that OpenAI's clients read.

What the server's own routes raise is told by the server in shapes of its own: here a sentence,
there a mapping of Python's as text.
"""

import logging
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

NO_CONVERSATION = "Invalid value for 'conversation_id'"  # how the server begins to say it


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
    if str(error.detail).startswith(NO_CONVERSATION):
        field = "conversation_id" if "conversation_id" in request.path_params else "conversation"
        return await refuse(request, NotFound(str(error.detail), param=field))
    body = foreign_body(error.status_code, str(error.detail))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))


async def refuse_other(request: Request, error: Exception) -> Response:
    """What the server's providers refuse or fail at; of some errors nobody can say which it is."""
    status, message = sdk_errors.told_of(error)
    log.info("refused", extra={"path": request.url.path, "error": repr(error)})
    return JSONResponse(foreign_body(status, message), status)
