"""What comes from the server's packages: only this module and those beside it import them.

The server is llama-stack 0.7.3. Its successor has the same names in other packages; a second
flavour is a second branch of the imports here and nothing elsewhere.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_stack.core import stack as core_stack
from llama_stack.core.access_control.datatypes import AccessRule, Action
from llama_stack.core.access_control.datatypes import Scope as AccessScope
from llama_stack.core.datatypes import User
from llama_stack.core.request_headers import get_authenticated_user
from llama_stack.core.routing_tables.models import ModelsRoutingTable
from llama_stack.core.storage.datatypes import SqlStoreReference
from llama_stack.core.storage.kvstore import postgres as kv_postgres
from llama_stack.core.storage.sqlstore import sqlalchemy_sqlstore
from llama_stack.core.storage.sqlstore.authorized_sqlstore import AuthorizedSqlStore
from llama_stack.core.storage.sqlstore.sqlstore import sqlstore_impl
from llama_stack.core.store.registry import create_dist_registry
from llama_stack.providers.inline.responses.builtin import get_provider_impl as build_builtin
from llama_stack.providers.inline.responses.builtin.config import BuiltinResponsesImplConfig
from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
    AddItemsRequest,
    Api,
    ConversationItemNotFoundError,
    ConversationNotFoundError,
    CreateResponseRequest,
    DeleteItemRequest,
    InlineProviderSpec,
    ListItemsRequest,
    ListOpenAIFileResponse,
    ModelType,
    OpenAIChatCompletion,
    OpenAIChatCompletionChunk,
    OpenAICompletion,
    OpenAIEmbeddingsRequestWithExtraBody,
    OpenAIFileDeleteResponse,
    OpenAIFileObject,
    OpenAIFileObjectNotFoundError,
    OpenAIResponseObjectStream,
    ProviderSpec,
    RegisterModelRequest,
    UnregisterModelRequest,
)
from llama_stack_api.internal.sqlstore import (  # type: ignore[import-untyped]  # as above
    ColumnDefinition,
    ColumnType,
)
from llama_stack_api.router_utils import (  # type: ignore[import-untyped]  # it has no py.typed
    standard_responses,
)
from pydantic import SerializerFunctionWrapHandler, model_serializer

from runtime.amf import item_ids
from runtime.amf.chat import without_nulls
from runtime.amf.errors import ModelFailed
from runtime.amf.items import Wire

STANDARD_RESPONSES: Mapping[int | str, dict[str, Any]] = standard_responses
ANONYMOUS = "anonymous"
ITEMS = 100_000  # of one conversation; the server reads them all anyway
# What the builtin provider needs. One that is missing in the run config is named when it is built.
BUILTIN_NEEDS = (
    Api.inference,
    Api.vector_io,
    Api.tool_runtime,
    Api.tool_groups,
    Api.conversations,
    Api.prompts,
    Api.files,
    Api.connectors,
)
BUILTIN_USES = (*BUILTIN_NEEDS, Api.safety, Api.models)
# By default the server also lets in who shares a team, role, project or namespace with the owner.
OWN = [
    AccessRule(permit=AccessScope(actions=list(Action)), when=[condition])
    for condition in ("user is owner", "resource is unowned")
]

UNLISTED: Mapping[str, Any] = {
    "OpenAIChatCompletion": OpenAIChatCompletion,
    "OpenAIChatCompletionChunk": OpenAIChatCompletionChunk,
    "OpenAICompletion": OpenAICompletion,
    "OpenAIResponseObjectStream": OpenAIResponseObjectStream,
}
"""Types that routes of the server answer, and that its document names and does not describe."""

ServerSqlStore = sqlalchemy_sqlstore.SqlAlchemySqlStoreImpl
READ, DELETE = Action.READ, Action.DELETE


def user_name() -> str:
    """Who asks: the principal that the server has authenticated, else `anonymous`.

    Only what the authentication made is believed: without it, a client's header
    `x-llamastack-provider-data` could put anything in its place.
    """
    user = get_authenticated_user()
    return user.principal if isinstance(user, User) and user.principal else ANONYMOUS


def provider_spec(
    api: str, kind: str, *, module: str, config: type, uses: Iterable[Any] = ()
) -> ProviderSpec:
    """What the server has to know of one of our providers."""
    return InlineProviderSpec(
        api=Api(api),
        provider_type=f"inline::{kind}",
        module=module,
        config_class=f"{config.__module__}.{config.__qualname__}",
        optional_api_dependencies=list(uses),
        is_external=True,
    )


def api_spec(
    api: str, kind: str, *, module: str, config: type, uses: Iterable[str]
) -> ProviderSpec:
    """What the server has to know of the provider of an external API of ours.

    The server has made the name of the API known before it asks.
    """
    return InlineProviderSpec(
        api=Api(api),
        provider_type=f"inline::{kind}",
        module=module,
        config_class=f"{config.__module__}.{config.__qualname__}",
        api_dependencies=[Api(one) for one in uses],
    )


async def builtin_responses(config: Mapping[str, Any], deps: Mapping[Any, Any]) -> Any:
    """The server's own provider of the Responses API; each user has his own responses there.

    Raises:
        ValueError: the run config has no provider for an API that it needs.
    """
    missing = [api.value for api in BUILTIN_NEEDS if api not in deps]
    if missing:
        raise ValueError(f"the builtin responses need providers for {', '.join(missing)}")
    return await build_builtin(BuiltinResponsesImplConfig(**config), dict(deps), OWN)


class ServerItems:
    """The items that the server keeps of conversations."""

    def __init__(self, deps: Mapping[Any, Any]) -> None:
        self._conversations = deps[Api.conversations]

    async def read(self, conversation: str) -> list[Any]:
        """All of them, oldest first, as far as their times tell.

        Raises:
            ConversationNotFoundError: of the server; it answers 404.
        """
        request = ListItemsRequest(conversation_id=conversation, order="asc", limit=ITEMS)
        items: list[Any] = (await self._conversations.list_items(request)).data
        return items

    async def add(self, conversation: str, items: list[dict[str, Any]]) -> None:
        """Add a few; one whose id is there is written over."""
        with item_ids.kept():
            await self._conversations.add_items(conversation, AddItemsRequest(items=items))

    async def remove(self, conversation: str, items: Iterable[str]) -> None:
        """Take items away by their ids; one that is not there is no error."""
        for item in items:
            request = DeleteItemRequest(conversation_id=conversation, item_id=item)
            with contextlib.suppress(ConversationItemNotFoundError, ConversationNotFoundError):
                await self._conversations.openai_delete_conversation_item(request)


class ServerModels:
    """The models in the server's list."""

    def __init__(self, table: Any) -> None:
        self._table = table

    async def names(self) -> list[str]:
        """How clients call them: `<provider>/<model>`."""
        return [model.identifier for model in (await self._table.list_models()).data]

    async def of(self, provider: str) -> dict[str, Wire]:
        """The models of one provider, by the provider's own names, with what is told of them."""
        models = (await self._table.list_models()).data
        return {m.provider_resource_id: m.metadata for m in models if m.provider_id == provider}

    async def add(self, provider: str, name: str, about: Wire) -> None:
        """Put a model into the list."""
        request = RegisterModelRequest(
            model_id=name,
            provider_model_id=name,
            provider_id=provider,
            model_type=ModelType.llm,
            metadata=about,
        )
        await self._table.register_model(request)

    async def change(self, provider: str, name: str, about: Wire) -> None:
        """Tell something else of a model, which is in the list all the while.

        The table itself would have it taken out and put in again, and lists none in between.
        """
        found = await self._table.get_object_by_identifier("model", f"{provider}/{name}")
        await self._table.dist_registry.update(found.model_copy(update={"metadata": about}))

    async def remove(self, provider: str, name: str) -> None:
        """Take a model out of the list."""
        await self._table.unregister_model(UnregisterModelRequest(model_id=f"{provider}/{name}"))


class Embeddings:
    """The models in the server's list that make vectors of texts."""

    def __init__(self, deps: Mapping[Any, Any]) -> None:
        self._inference = deps[Api.inference]
        self._table = deps[Api.models]

    async def dimensions(self) -> dict[str, int]:
        """How many numbers their vectors have, by the names of the models."""
        models = (await self._table.list_models()).data
        return {
            model.identifier: int(model.metadata["embedding_dimension"])
            for model in models
            if model.model_type == ModelType.embedding
        }

    async def vectors(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text.

        Raises:
            ModelFailed: the model gave none.
        """
        request = OpenAIEmbeddingsRequestWithExtraBody(model=model, input=list(texts))
        try:
            answer = await self._inference.openai_embeddings(request)
        except Exception as error:
            raise ModelFailed(f"The model {model} gave no vectors: {error}") from error
        return [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]


def server_models(deps: Mapping[Any, Any]) -> ServerModels | None:
    """The server's list of models, if it serves any."""
    table = deps.get(Api.models)
    return None if table is None else ServerModels(table)


def response_request(body: Wire) -> Any:
    """A request of the Responses API.

    Raises:
        ValueError: it is none; the message names the fields.
    """
    return CreateResponseRequest.model_validate(body)


def call_by_bare_names(server: Any, provider: str) -> None:
    """Let the models of one provider be named without it, in every API that looks into the list."""
    table = server.stack.impls[Api.inference].routing_table
    find = table.get_object_by_identifier

    async def found(kind: str, identifier: str) -> Any:
        one = await find(kind, identifier)
        if one is None and kind == "model" and "/" not in identifier:
            return await find(kind, f"{provider}/{identifier}")
        return one

    table.get_object_by_identifier = found


def use_pieces(pieces: Any) -> None:
    """Let vector stores cut files into chunks by these pieces, whichever tokens were meant."""
    from llama_stack.providers.utils.memory import vector_store  # noqa: PLC0415 - heavy

    vector_store._get_encoding = lambda _name: pieces  # noqa: SLF001 - there is no other place


def use_stores(kv: type, sql: type) -> None:
    """Let the backends `kv_postgres` and `sql_postgres` be these classes."""
    kv_postgres.PostgresKVStoreImpl = kv
    sqlalchemy_sqlstore.SqlAlchemySqlStoreImpl = sql


def owned_tables(backend: str, policy: Any) -> Any:
    """Tables in a backend of the run config, each row of which belongs to who has written it."""
    reference = SqlStoreReference(table_name="", backend=backend)
    return AuthorizedSqlStore(sqlstore_impl(reference), policy)


def columns(key: str, **types: type) -> Wire:
    """The columns of a table: the one of this key, which is text, and the others by their types."""
    kinds = {str: ColumnType.TEXT, int: ColumnType.INTEGER}
    first = ColumnDefinition(type=ColumnType.STRING, primary_key=True)
    return {key: first} | {name: kinds[kind] for name, kind in types.items()}


def file_object(about: Wire) -> Any:
    """What the Files API tells of a file."""
    return OpenAIFileObject.model_validate(about)


def file_list(about: list[Wire], *, has_more: bool) -> Any:
    """A page of the Files API."""
    ids = [one["id"] for one in about] or [""]
    return ListOpenAIFileResponse(
        data=[file_object(one) for one in about],
        has_more=has_more,
        first_id=ids[0],
        last_id=ids[-1],
    )


def file_deleted(file: str) -> Any:
    """The Files API has forgotten a file."""
    return OpenAIFileDeleteResponse(id=file, deleted=True)


def no_file(file: str) -> Exception:
    """There is no such file, or it is somebody else's; the server answers 404."""
    error: Exception = OpenAIFileObjectNotFoundError(file)
    return error


class ChatCompletion(OpenAIChatCompletion):  # type: ignore[misc]  # see the import
    """An answer without nulls, for which its schema has no place."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, told: SerializerFunctionWrapHandler) -> Any:
        return without_nulls(told(self))


def chat_completion(body: Wire) -> Any:
    """A whole answer of the Chat Completions API."""
    return ChatCompletion.model_validate(body)


def chat_chunk(body: Wire) -> Any:
    """One piece of a streamed answer of the Chat Completions API."""
    return OpenAIChatCompletionChunk.model_validate(body)


def create_server(run_config: str, declared: Iterable[str], *, is_list_kept: bool) -> Any:
    """The server as an ASGI application (FastAPI), made from the run config at this path.

    Shape:
        is_list_kept  whether `stores.metadata`, where models are listed beside vector stores,
                      outlives the process.
        declared  the providers whose models stand in the run config. The server would ask each of
                  them for its models now, three times and for ten minutes each if it does not
                  answer, and would not start before; what stands in the run config is enough.

    Raises:
        ValueError, KeyError, ImportError, RuntimeError: the run config cannot be served.
    """
    os.environ["LLAMA_STACK_CONFIG"] = run_config
    from llama_stack.core.server.server import create_app  # noqa: PLC0415 - heavy, only for `serve`

    ModelsRoutingTable.listed_providers.update(declared)
    core_stack.create_dist_registry = _without_models if is_list_kept else create_dist_registry
    app = create_app()
    # It would write down every chat of every agent with its model, for ever.
    app.stack.impls[Api.inference].store = None
    conversations = app.stack.impls[Api.conversations]
    conversations.sql_store.policy = OWN
    making = conversations._get_or_generate_item_id  # noqa: SLF001 - there is no other place
    conversations._get_or_generate_item_id = item_ids.item_ids(making)  # noqa: SLF001 - as above
    # Routes are tried one after the other, in the order of a set: a quarter of a request's time.
    app.router.routes.sort(key=_place)
    return app


async def _without_models(reference: Any, name: str) -> Any:
    """The server's list, without the models of an earlier start; those to come may be others."""
    registry, store = await create_dist_registry(reference, name)
    for one in await registry.get_all():
        if one.type == "model":
            await registry.delete(one.type, one.identifier)
    return registry, store


FIRST = ("/v1/responses", "/v1/chat/completions", "/v1/agents")
"""A route of each router that comes first. The legacy API serves `GET /v1/tools` in a shape that
clients of every version read; the server's own, which it stands before, is for the newest alone."""


def _place(route: Any) -> int:
    router = getattr(route, "original_router", None)
    paths = [getattr(inner, "path", "") for inner in (router.routes if router else [route])]
    return next((place for place, path in enumerate(FIRST) if path in paths), len(FIRST))


def responses_of(deps: Mapping[Any, Any]) -> Any:
    """The provider of the Responses API."""
    return deps[Api.responses]


def models_of(deps: Mapping[Any, Any]) -> ServerModels:
    """The server's list of models.

    Raises:
        KeyError: it has none.
    """
    return ServerModels(deps[Api.models])


def deps_of(server: Any) -> Mapping[Any, Any]:
    """What the providers of a server are given of each other."""
    found: Mapping[Any, Any] = server.stack.impls
    return found
