"""The server of a Stack as a process of ours: `python -m runtime serve stack/<namespace>/<name>`.

`llama stack run` and `ogx run` do the same without what is ours: readiness that knows of the queue,
errors in OpenAI's shape, an access log that can be switched off, and a start that waits for no
model.
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

from runtime import health
from runtime.amf import conversation_items, discovery, erasing, sdk, sdk_errors, sdk_health, server
from runtime.amf.a2a.routes import A2aRoutes
from runtime.amf.authentication import Authentication
from runtime.amf.belongings import Belongings
from runtime.amf.callers import Callers
from runtime.amf.config import AmfConfig
from runtime.amf.database import URL
from runtime.amf.directory import Directory
from runtime.amf.document import document
from runtime.amf.door import Door
from runtime.amf.erasing import forget_conversation
from runtime.amf.errors import DatabaseAway
from runtime.amf.flavour import IS_OGX
from runtime.amf.http_connection import AbortableConnection
from runtime.amf.inference import PROVIDER
from runtime.amf.known import KnownAgents
from runtime.amf.mcp_server.endpoint import McpEndpoint
from runtime.amf.model_list import call_by_bare_names, hide
from runtime.amf.pieces import Pieces
from runtime.amf.pulse import Pulse
from runtime.amf.refusals import use_one_shape
from runtime.amf.responses import AmfResponses
from runtime.amf.shared import SharedDesk
from runtime.amf.start import CannotServe, DatabaseSilent, reach_database, run
from runtime.amf.stopping import LastWord
from runtime.amf.stores import KvStore, SqlStore, making_tables
from runtime.amf.visible import may_call
from runtime.contract.auth_config import ServerAuth
from runtime.garbage import spare_what_is_loaded
from runtime.settings import Settings

type Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

log = logging.getLogger(__name__)

PORT = "8321"
SCRATCH = "K8GENTAI_SCRATCH"
APIS = "K8GENTAI_APIS"
APIS_FOLDER = Path(__file__).parent / "legacy" / "apis"
GRACE_SECONDS = 20  # what is being answered may finish when the server is told to stop
# What a run config that cannot be served makes of the server, however it finds out.
UNFIT = (DatabaseAway, ValueError, KeyError, ImportError, RuntimeError)


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
        # Left to itself, OGX takes a folder ~/.llama of its predecessor's and renames it.
        os.environ.setdefault("OGX_CONFIG_DIR", scratch)
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
            "ws": "none",  # OGX has the Responses API over WebSockets, too; agents have not
            "access_log": False,  # a line a request costs more than the request
            "log_config": None,  # the server has set it up
            "log_level": "warning",
            "timeout_graceful_shutdown": min(GRACE_SECONDS, int(settings.drain_seconds)),
        }
        if workers > 1:
            run("runtime.amf.serve:create_app", factory=True, workers=workers, **options)
        else:
            app = create_app()
            try:
                run(app, **options)
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
    config = run_config(settings)
    declared = config.get("registered_resources", {}).get("models", [])
    if URL in os.environ:
        server.use_stores(KvStore, SqlStore)
    has_vectors = bool(config.get("providers", {}).get("vector_io"))
    if has_vectors:
        server.use_pieces(Pieces())
    try:
        providers = {model["provider_id"] for model in declared}
        app = server.create_server(str(settings.config), providers, is_list_kept=has_vectors)
    except UNFIT as error:
        raise _refusal(error) from error
    app.state.refused = None
    app.state.shared = None
    app.state.callers = _callers(config, app.state)
    use_one_shape(app)
    app.add_middleware(LastWord)
    app.add_middleware(Door)
    if app.state.callers is not None:
        app.add_middleware(Authentication, callers=app.state.callers)
    app.add_middleware(Pulse, heartbeat_seconds=float(_told(config, "heartbeat_seconds")))
    app.router.lifespan_context = _with_agents(app.router.lifespan_context, settings)
    app.openapi = functools.cache(functools.partial(document, app))
    return app


def _told(config: Mapping[str, Any], what: str) -> Any:
    """What the run config says to our provider, which OGX makes when middleware is too late."""
    for provider in config.get("providers", {}).get("responses", ()):
        if what in provider.get("config", ()):
            return provider["config"][what]
    return AmfConfig.model_fields[what].default


def _callers(config: Mapping[str, Any], state: Any) -> Callers | None:
    """Whom the server lets in; None for everybody."""
    told = _told(config, "auth")
    if told is None:
        return None

    def agents() -> KnownAgents | None:
        desk = None if state.shared is None else state.shared.opened
        return None if desk is None else desk.agents

    return Callers(ServerAuth.model_validate(told), agents)


def _refusal(error: Exception) -> CannotServe:
    if isinstance(error, DatabaseAway):
        return DatabaseSilent(error.message)
    what = "the server cannot be made from spec.models and spec.storage of its Stack"
    return CannotServe(f"{what}: {error}")


def _with_agents(lifespan: Lifespan, settings: Settings) -> Lifespan:
    """The server's lifespan with the desk open, and health served, for as long as it serves.

    uvicorn tells nobody why a lifespan did not begin: `app.state.refused` does.
    """

    @contextlib.asynccontextmanager
    async def beside(app: Any) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(_health_served(settings, app))
            try:
                async with _tables_being_made():
                    await stack.enter_async_context(lifespan(app))
                mcp = arrange(app)
            except UNFIT as error:
                app.state.refused = _refusal(error)
                raise app.state.refused from error
            if mcp is not None:
                await stack.enter_async_context(mcp.running())
                await app.state.shared.get()
                spare_what_is_loaded()
            yield

    return beside


def _tables_being_made() -> AbstractAsyncContextManager[None]:
    """OGX makes and changes its tables as it begins; Llama Stack, when they are first used."""
    return making_tables() if IS_OGX and URL in os.environ else contextlib.nullcontext()


def arrange(app: Any) -> McpEndpoint | None:
    """Arrange a server whose providers are there, and let it serve all that is ours.

    Shape:
        Gives the endpoint whose sessions have to run then, None if there are no agents to serve.
    """
    deps = server.arrange(app)
    provider = sdk.responses_of(deps)
    if not isinstance(provider, AmfResponses):
        return None
    callers: Callers | None = app.state.callers
    if URL in os.environ or callers is not None:
        sdk_health.show_health_of(app, PROVIDER, callers.why_not if callers else None)
    if callers is not None:
        callers.why_not()  # so that the issuer has been asked before the first user comes
    sdk_errors.name_fields_of_chats(app)
    call_by_bare_names(app, PROVIDER)
    hide(app, PROVIDER, functools.partial(_is_hidden, provider.shared))
    app.state.shared = provider.shared
    conversation_items.serve(app, provider.shared)
    belongings = Belongings(deps, functools.partial(forget_conversation, provider.shared))
    app.include_router(erasing.router(provider.shared, belongings))
    return _other_apis(app, Directory(provider.shared, sdk.models_of(deps)))


def _is_hidden(shared: SharedDesk, model: str) -> bool:
    """Whether there is an agent, and not for whoever asks."""
    found = None if shared.opened is None else shared.opened.agents.find(model)
    return found is not None and not may_call(found, sdk.caller())


def _other_apis(app: Any, directory: Directory) -> McpEndpoint:
    """Serve agents by A2A and MCP, and what there is of them.

    They are plain routes of the server: its authentication stands before every path, as before that
    of an external API, which would have to be listed in the run config besides.
    """
    # Streams may come to their ends while the server stops, within its grace; these would not.
    AppStatus.enable_automatic_graceful_drain = False
    mcp = McpEndpoint(directory)
    app.include_router(discovery.router(directory))
    app.router.routes.extend([*A2aRoutes(directory).all(), mcp.route()])
    return mcp


@contextlib.asynccontextmanager
async def _health_served(settings: Settings, app: Any) -> AsyncIterator[None]:
    serving = asyncio.create_task(_serve_health(settings, app))
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _serve_health(settings: Settings, app: Any) -> None:
    try:
        why_not = functools.partial(_why_not_ready, app.state)
        await health.server(settings.host, settings.health_port, why_not)()
    except OSError:
        # Another worker process of this server has the port, and is no less ready than this one.
        log.warning("health is not served", extra={"port": settings.health_port})


def _why_not_ready(state: Any) -> str | None:
    """What is missing before agents can be asked, None if nothing is.

    Later on the server stays ready without the queue: it still says what is wrong, and answers for
    models that are no agent.
    """
    shared: SharedDesk | None = state.shared
    desk = None if shared is None else shared.opened
    if desk is None:
        return "the server is starting"
    if not desk.agents.read.is_set():
        return f"the catalogue of {desk.stack} has not been read from the queue yet"
    if not desk.agents.listed.is_set():
        return "the list of models has not all agents yet"
    return None
