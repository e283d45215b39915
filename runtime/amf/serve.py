"""The server of a Stack as a process of ours: `python -m runtime serve stack/<namespace>/<name>`.

`llama stack run` does the same without what is ours: readiness that knows of the queue, errors in
OpenAI's shape, an access log that can be switched off, and a start that waits for no model.
"""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import yaml
from sse_starlette.sse import AppStatus

from runtime.amf import discovery, sdk, sdk_errors, sdk_health
from runtime.amf.a2a.routes import A2aRoutes
from runtime.amf.database import URL
from runtime.amf.directory import Directory
from runtime.amf.document import document
from runtime.amf.door import Door
from runtime.amf.errors import DatabaseAway
from runtime.amf.http_connection import AbortableConnection
from runtime.amf.inference import PROVIDER
from runtime.amf.mcp_server.endpoint import McpEndpoint
from runtime.amf.pieces import Pieces
from runtime.amf.pulse import Pulse
from runtime.amf.refusals import use_one_shape
from runtime.amf.responses import AmfResponses
from runtime.amf.shared import SharedDesk
from runtime.amf.start import CannotServe, DatabaseSilent, reach_database, run
from runtime.amf.stopping import LastWord
from runtime.amf.stores import KvStore, SqlStore
from runtime.garbage import spare_what_is_loaded
from runtime.health import server
from runtime.settings import Settings

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

log = logging.getLogger(__name__)

PORT = "8321"
SCRATCH = "K8GENTAI_SCRATCH"
APIS = "K8GENTAI_APIS"
APIS_FOLDER = Path(__file__).parent / "legacy" / "apis"
GRACE_SECONDS = 20  # what is being answered may finish when the server is told to stop


def serve(settings: Settings) -> None:
    """Serve on K8GENTAI_PORT until SIGTERM.

    Shape:
        The run config may use `${env.K8GENTAI_SCRATCH}`: an empty folder that this process takes
        with it; and `${env.K8GENTAI_APIS}`: the folder of our external APIs.

    Raises:
        CannotServe: the run config cannot be served.
        DatabaseSilent: the database has not answered for long.
    """
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="k8gentai-") as scratch:
        os.environ[SCRATCH] = scratch
        os.environ[APIS] = str(APIS_FOLDER)
        reach_database(settings, Path(scratch))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stopped)
        config = run_config(settings)
        workers = config.get("server", {}).get("workers", 1)
        options: dict[str, Any] = {
            "host": config.get("server", {}).get("host") or settings.host,
            "port": port(os.environ),
            "loop": "uvloop",
            "http": AbortableConnection,
            "lifespan": "on",
            "access_log": False,  # a line a request costs more than the request
            "log_config": None,  # the server has set it up
            "log_level": "warning",
            "timeout_graceful_shutdown": min(GRACE_SECONDS, int(settings.drain_seconds)),
        }
        if workers > 1:
            run("runtime.amf.serve:create_app", factory=True, workers=workers, **options)
        else:
            run(create_app(), **options)


def port(environment: Mapping[str, str]) -> int:
    """The port to serve on.

    Raises:
        CannotServe: it is no number.
    """
    number = environment.get("K8GENTAI_PORT", PORT)
    if not number.isdigit():
        raise CannotServe(f"K8GENTAI_PORT is {number!r}; it has to be a number")
    return int(number)


def _leave(_number: int, _frame: object) -> None:
    """Nothing is held yet."""
    sys.exit(0)


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
        DatabaseSilent: the database has gone while the server was made.
    """
    settings = Settings.of()
    os.environ.setdefault("LLAMA_STACK_LOG_FORMAT", "json")
    config = run_config(settings)
    declared = config.get("registered_resources", {}).get("models", [])
    if URL in os.environ:
        sdk.use_stores(KvStore, SqlStore)
    has_vectors = bool(config.get("providers", {}).get("vector_io"))
    if has_vectors:
        sdk.use_pieces(Pieces())
    try:
        providers = {model["provider_id"] for model in declared}
        app = sdk.create_server(str(settings.config), providers, is_list_kept=has_vectors)
    except DatabaseAway as error:
        raise DatabaseSilent(error.message) from error
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        what = "the server cannot be made from spec.models and spec.storage of its Stack"
        raise CannotServe(f"{what}: {error}") from error
    if URL in os.environ:
        sdk_health.show_health_of(app, PROVIDER)
    deps = sdk.deps_of(app)
    use_one_shape(app, sdk.models_of(deps))
    sdk_errors.name_fields_of_chats(app)
    sdk.call_by_bare_names(app, PROVIDER)
    app.add_middleware(LastWord)
    app.add_middleware(Door)
    provider = sdk.responses_of(deps)
    if isinstance(provider, AmfResponses):
        app.add_middleware(Pulse, heartbeat_seconds=provider.heartbeat_seconds)
        serving = _with_desk(app.router.lifespan_context, provider.shared, settings)
        directory = Directory(provider.shared, sdk.models_of(deps))
        app.router.lifespan_context = with_other_apis(app, directory, serving)
    app.openapi = functools.cache(functools.partial(document, app))
    return app


def with_other_apis(app: Any, directory: Directory, lifespan: Lifespan) -> Lifespan:
    """Serve agents by A2A and MCP, and what there is of them; gives the lifespan with that.

    They are plain routes of the server: its authentication stands before every path, as before that
    of an external API, which would have to be listed in the run config besides.
    """
    # Streams may come to their ends while the server stops, within its grace; these would not.
    AppStatus.enable_automatic_graceful_drain = False
    mcp = McpEndpoint(directory)
    app.include_router(discovery.router(directory))
    app.router.routes.extend([*A2aRoutes(directory).all(), mcp.route()])

    @contextlib.asynccontextmanager
    async def with_sessions(app: Any) -> AsyncIterator[None]:
        async with lifespan(app), mcp.running():
            yield

    return with_sessions


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
    if not desk.agents.listed.is_set():
        return "the list of models has not all agents yet"
    return None
