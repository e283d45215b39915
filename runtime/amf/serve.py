"""The server of a Stack as a process of ours: `python -m runtime serve stack/<namespace>/<name>`.

`llama stack run` and `ogx run` do the same without what is ours: readiness that knows of the queue,
errors in OpenAI's shape, an access log that can be switched off, and a start that waits for no
model.
"""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn
import yaml
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sse_starlette.sse import AppStatus
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.amf import discovery, sdk
from runtime.amf.a2a.routes import A2aRoutes
from runtime.amf.config import AmfConfig
from runtime.amf.directory import Directory
from runtime.amf.door import Door
from runtime.amf.errors import ApiError, NotDone, foreign_body
from runtime.amf.http_connection import AbortableConnection
from runtime.amf.malformed import malformed, malformed_query
from runtime.amf.pulse import Pulse
from runtime.amf.responses import AmfResponses
from runtime.amf.shared import SharedDesk
from runtime.garbage import spare_what_is_loaded
from runtime.health import server
from runtime.settings import Settings

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

log = logging.getLogger(__name__)

PORT = "8321"
SCRATCH = "K8GENTAI_SCRATCH"
GRACE_SECONDS = 20  # what is being answered may finish when the server is told to stop
# What a run config that cannot be served makes of the server, however it finds out.
UNFIT = (ValueError, KeyError, ImportError, RuntimeError)


class CannotServe(ValueError):
    """The Stack asks for something that this server cannot be; the message is one sentence."""


def serve(settings: Settings) -> None:
    """Serve on K8GENTAI_PORT until SIGTERM.

    Shape:
        The run config may use `${env.K8GENTAI_SCRATCH}`: an empty folder that this process takes
        with it.

    Raises:
        CannotServe: the run config cannot be served.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    with tempfile.TemporaryDirectory(prefix="k8gentai-") as scratch:
        os.environ[SCRATCH] = scratch
        # Left to itself, OGX takes a folder ~/.llama of its predecessor's and renames it.
        os.environ.setdefault("OGX_CONFIG_DIR", scratch)
        config = run_config(settings)
        workers = config.get("server", {}).get("workers", 1)
        options: dict[str, Any] = {
            "host": config.get("server", {}).get("host") or settings.host,
            "port": port(os.environ),
            "loop": "uvloop",
            "http": AbortableConnection,
            "lifespan": "on",
            "ws": "none",  # OGX has the Responses API over WebSockets, too; agents have not
            "access_log": False,  # a line a request costs more than the request
            "log_config": None,  # the server has set it up
            "log_level": "warning",
            "timeout_graceful_shutdown": GRACE_SECONDS,
        }
        if workers > 1:
            uvicorn.run("runtime.amf.serve:create_app", factory=True, workers=workers, **options)
        else:
            _run(create_app(), options)


def _run(app: Any, options: Mapping[str, Any]) -> None:
    try:
        uvicorn.run(app, **options)
    except SystemExit:
        if app.state.refused is not None:
            raise app.state.refused from None
        raise


def port(environment: Mapping[str, str]) -> int:
    """The port to serve on.

    Raises:
        CannotServe: it is no number.
    """
    number = environment.get("K8GENTAI_PORT", PORT)
    if not number.isdigit():
        raise CannotServe(f"K8GENTAI_PORT is {number!r}; it has to be a number")
    return int(number)


def _stopped(_number: int, _frame: object) -> None:
    """Nothing: uvicorn raises the signal that stopped it once more when it has stopped."""


def run_config(settings: Settings) -> dict[str, Any]:
    """The run config, as it stands in the file.

    Raises:
        CannotServe: it is none.
    """
    try:
        config = yaml.safe_load(settings.config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise CannotServe(f"the run config {settings.config} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CannotServe(f"the run config {settings.config} is no mapping")
    return config


def create_app() -> Any:
    """The server as an ASGI application, from the settings in the environment.

    Raises:
        CannotServe: the run config cannot be served.
    """
    settings = Settings.of()
    config = run_config(settings)
    declared = config.get("registered_resources", {}).get("models", [])
    try:
        providers = {model["provider_id"] for model in declared}
        app = sdk.create_server(str(settings.config), providers)
    except UNFIT as error:
        raise _refusal(error) from error
    app.state.refused = None
    app.add_exception_handler(ApiError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_form)
    app.add_exception_handler(HTTPException, refuse_otherwise)
    app.add_middleware(Door)
    if (heartbeat := _heartbeat_seconds(config)) is not None:
        app.add_middleware(Pulse, heartbeat_seconds=heartbeat)
    app.router.lifespan_context = _with_desk(app.router.lifespan_context, settings)
    return app


def _heartbeat_seconds(config: Mapping[str, Any]) -> float | None:
    """Of our provider, which OGX makes when middleware is too late; None if it is not asked for."""
    for provider in config.get("providers", {}).get("responses", ()):
        if provider["provider_type"] == "inline::amf":
            default = AmfConfig.model_fields["heartbeat_seconds"].default
            return float(provider["config"].get("heartbeat_seconds", default))
    return None


def _refusal(error: Exception) -> CannotServe:
    what = "the server cannot be made from spec.models and spec.storage of its Stack"
    return CannotServe(f"{what}: {error}")


async def refuse(_request: Request, error: Exception) -> Response:
    """An error of ours in the shape that OpenAI's clients read."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body, error.status_code, dict(error.headers or {}))


async def refuse_form(_request: Request, error: Exception) -> Response:
    """A request that has not the form of its API, in the same shape."""
    if not isinstance(error, RequestValidationError):
        raise error
    refused = malformed(error.errors(), error.body)
    return JSONResponse(refused.body, refused.status_code)


async def refuse_otherwise(request: Request, error: Exception) -> Response:
    """What the server's own routes refuse, in the same shape."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, ValidationError):
        return await refuse(request, malformed_query(error.__cause__))
    body = foreign_body(error.status_code, str(error.detail))
    return JSONResponse(body, error.status_code, dict(error.headers or {}))


def _with_desk(lifespan: Lifespan, settings: Settings) -> Lifespan:
    """The server's lifespan with the desk open, and health served, for as long as it serves.

    uvicorn tells nobody why a lifespan did not begin: `app.state.refused` does.
    """

    @contextlib.asynccontextmanager
    async def beside(app: Any) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(lifespan(app))
                provider = sdk.started(app)
            except UNFIT as error:
                app.state.refused = _refusal(error)
                raise app.state.refused from error
            if isinstance(provider, AmfResponses):
                directory = Directory(provider.shared, sdk.listed_models(app))
                await stack.enter_async_context(_other_apis(app, directory))
                await stack.enter_async_context(_opened(provider.shared, settings))
            yield

    return beside


@contextlib.asynccontextmanager
async def _other_apis(app: Any, directory: Directory) -> AsyncIterator[None]:
    """Serve agents by A2A and MCP, and what there is of them, for as long as the body runs.

    They are plain routes of the server: its authentication stands before every path, as before that
    of an external API, which would have to be listed in the run config besides.
    """
    # Streams may come to their ends while the server stops, within its grace; these would not.
    AppStatus.enable_automatic_graceful_drain = False
    app.include_router(discovery.router(directory))
    app.router.routes.extend(A2aRoutes(directory).all())
    if sdk.SERVER == "OGX":
        app.router.routes.append(Route("/mcp", _no_mcp, methods=["GET", "POST", "DELETE"]))
        yield
        return
    from runtime.amf.mcp_server.endpoint import McpEndpoint  # noqa: PLC0415 - it is made with mcp 1

    mcp = McpEndpoint(directory)
    app.router.routes.append(mcp.route())
    async with mcp.running():
        yield


async def _no_mcp(_request: Request) -> Response:
    raise NotDone(
        "OGX comes with mcp 2, and agents are offered as tools with mcp 1; ask them by "
        "/v1/responses or A2A, or over MCP in a Stack whose spec.server.flavour is LlamaStack."
    )


@contextlib.asynccontextmanager
async def _opened(shared: SharedDesk, settings: Settings) -> AsyncIterator[None]:
    health = asyncio.create_task(_serve_health(settings, shared))
    try:
        await shared.get()
        spare_what_is_loaded()
        yield
    finally:
        health.cancel()
        await asyncio.gather(health, return_exceptions=True)


async def _serve_health(settings: Settings, shared: SharedDesk) -> None:
    try:
        await server(settings.host, settings.health_port, lambda: why_not_ready(shared))()
    except OSError:
        # Another worker process of this server has the port, and is no less ready than this one.
        log.warning("health is not served", extra={"port": settings.health_port})


def why_not_ready(shared: SharedDesk) -> str | None:
    """What is missing before agents can be asked, None if nothing is.

    Later on the server stays ready without the queue: it still says what is wrong, and answers for
    models that are no agent.
    """
    desk = shared.opened
    if desk is None:
        return "the server is starting"
    if not desk.agents.read.is_set():
        return f"the catalogue of {desk.stack} has not been read from the queue yet"
    return None
