"""The server's own application: how it is made, and what is arranged in it once it has begun.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/server/server.py` and `core/stack.py`. The former makes
    the providers with the application, the latter in its lifespan.
"""

import functools
import os
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.amf.flavour import IS_OGX, VARIABLES, server_module
from runtime.amf.sdk import OWN, Api, deps_of
from runtime.amf.sdk_models import answer_with_both_shapes, list_whole
from runtime.amf.server_items import keep_in_order


def create_server(run_config: str, declared: Iterable[str], *, is_list_kept: bool) -> Any:
    """The server as an ASGI application (FastAPI), made from the run config at this path.

    Shape:
        is_list_kept  whether `stores.metadata`, where models are listed beside vector stores,
                      outlives the process.
        declared  the providers whose models stand in the run config. The server would ask each of
                  them for its models now, three times and for ten minutes each if it does not
                  answer, and would not start before; what stands in the run config is enough.

    Raises:
        ValueError, KeyError, ImportError, RuntimeError: the run config cannot be served. OGX finds
            most of that when its lifespan begins.
    """
    os.environ[f"{VARIABLES}_CONFIG"] = run_config
    os.environ.setdefault(f"{VARIABLES}_LOG_FORMAT", "json")
    # Clients of every version may ask; all but those of its own it would turn away with 426.
    os.environ.setdefault(f"{VARIABLES}_DISABLE_VERSION_CHECK", "1")
    answer_with_both_shapes()
    _take_as_listed(frozenset(declared))
    if is_list_kept:
        _forget_models()
    return server_module("core.server.server").create_app()


def _take_as_listed(providers: frozenset[str]) -> None:
    table = server_module("core.routing_tables.models").ModelsRoutingTable
    build = table.__init__

    @functools.wraps(build)
    def built(made: Any, *arguments: Any) -> None:
        build(made, *arguments)
        made.listed_providers = set(providers)

    table.__init__ = built


def _forget_models() -> None:
    """Let the server's list begin without the models of an earlier start: others may be to come."""
    core = server_module("core.stack")
    create = core.create_dist_registry

    async def without_models(reference: Any, name: str) -> Any:
        registry, store = await create(reference, name)
        for one in await registry.get_all():
            if one.type == "model":
                await registry.delete(one.type, one.identifier)
        return registry, store

    core.create_dist_registry = without_models


def arrange(app: Any) -> Mapping[Any, Any]:
    """Arrange a server whose lifespan has begun; gives what its providers know of each other."""
    deps = deps_of(app)
    # It would write down every chat of every agent with its model, for ever.
    deps[Api.inference].store = None
    list_whole(deps[Api.models])
    conversations = deps[Api.conversations]
    conversations.sql_store.policy = OWN
    keep_in_order(conversations)
    if IS_OGX:
        deps[Api.prompts].sql_store.policy = OWN
    # Routes are tried one after the other, in the order of a set: a quarter of a request's time.
    app.router.routes.sort(key=_place)
    return deps


FIRST = ("/v1/responses", "/v1/chat/completions", "/v1/agents")
"""A route of each router that comes first. The legacy API serves `GET /v1/tools` in a shape that
clients of every version read; the server's own, which it stands before, is for the newest alone."""


def _place(route: Any) -> int:
    router = getattr(route, "original_router", None)
    paths = [getattr(inner, "path", "") for inner in (router.routes if router else [route])]
    return next((place for place, path in enumerate(FIRST) if path in paths), len(FIRST))


def use_pieces(pieces: Any) -> None:
    """Let vector stores cut files into chunks by these pieces, whichever tokens were meant."""
    vector_store = server_module("providers.utils.memory.vector_store")
    vector_store._get_encoding = lambda _name: pieces  # noqa: SLF001 - there is no other place


def use_stores(kv: type, sql: type) -> None:
    """Let the backends `kv_postgres` and `sql_postgres` be these classes."""
    server_module("core.storage.kvstore.postgres").PostgresKVStoreImpl = kv
    server_module("core.storage.sqlstore.sqlalchemy_sqlstore").SqlAlchemySqlStoreImpl = sql
