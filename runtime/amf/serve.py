"""The server of a Stack as a process of ours: `python -m runtime serve stack/<namespace>/<name>`.

`llama stack run` does the same without what is ours: readiness that knows of the queue, errors in
OpenAI's shape, an access log that can be switched off, and a start that waits for no model.
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
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from runtime.amf import sdk
from runtime.amf.errors import ApiError
from runtime.amf.responses import AmfResponses
from runtime.amf.shared import SharedDesk
from runtime.amf.stopping import LastWord
from runtime.garbage import spare_what_is_loaded
from runtime.health import server
from runtime.settings import Settings

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

log = logging.getLogger(__name__)

PORT = "8321"
SCRATCH = "K8GENTAI_SCRATCH"
GRACE_SECONDS = 20  # what is being answered may finish when the server is told to stop


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
        config = run_config(settings)
        workers = config.get("server", {}).get("workers", 1)
        options: dict[str, Any] = {
            "host": config.get("server", {}).get("host") or settings.host,
            "port": port(os.environ),
            "loop": "uvloop",
            "http": "httptools",
            "lifespan": "on",
            "access_log": False,  # a line a request costs more than the request
            "log_config": None,  # the server has set it up
            "log_level": "warning",
            "timeout_graceful_shutdown": min(GRACE_SECONDS, int(settings.drain_seconds)),
        }
        if workers > 1:
            uvicorn.run("runtime.amf.serve:create_app", factory=True, workers=workers, **options)
        else:
            uvicorn.run(create_app(), **options)


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
    os.environ.setdefault("LLAMA_STACK_LOG_FORMAT", "json")
    declared = run_config(settings).get("registered_resources", {}).get("models", [])
    try:
        providers = {model["provider_id"] for model in declared}
        app = sdk.create_server(str(settings.config), providers)
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        what = "the server cannot be made from spec.models and spec.storage of its Stack"
        raise CannotServe(f"{what}: {error}") from error
    app.add_exception_handler(ApiError, refuse)
    app.add_middleware(LastWord)
    provider = sdk.responses_provider(app)
    if isinstance(provider, AmfResponses):
        app.router.lifespan_context = _with_desk(
            app.router.lifespan_context, provider.shared, settings
        )
    return app


async def refuse(_request: Request, error: Exception) -> Response:
    """An error of ours in the shape that OpenAI's clients read."""
    if not isinstance(error, ApiError):
        raise error
    return JSONResponse(error.body, error.status_code, dict(error.headers or {}))


def _with_desk(lifespan: Lifespan, shared: SharedDesk, settings: Settings) -> Lifespan:
    """The server's lifespan with the desk open, and health served, for as long as it serves."""

    @contextlib.asynccontextmanager
    async def beside(app: Any) -> AsyncIterator[None]:
        health = asyncio.create_task(_serve_health(settings, shared))
        try:
            async with lifespan(app):
                await shared.get()
                spare_what_is_loaded()
                yield
        finally:
            health.cancel()
            await asyncio.gather(health, return_exceptions=True)

    return beside


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
