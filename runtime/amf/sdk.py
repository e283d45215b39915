"""What our providers say to the server that they are in, and hear from it.

The server is Llama Stack or OGX (`flavour`), which differ here in what a comment says.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from runtime.amf.chat import without_nulls
from runtime.amf.errors import ModelFailed
from runtime.amf.flavour import IS_OGX, api_module, server_module
from runtime.amf.items import Wire
from runtime.amf.user_claims import claims_of_user
from runtime.contract import access

_api = api_module()
_tables = api_module("internal.sqlstore")
_access = server_module("core.access_control.datatypes")
_authorized = server_module("core.storage.sqlstore.authorized_sqlstore")
_builtin = server_module("providers.inline.responses.builtin")
_headers = server_module("core.request_headers")
_sqlstore = server_module("core.storage.sqlstore.sqlstore")
_storage = server_module("core.storage.datatypes")

Api = _api.Api
User = server_module("core.datatypes").User
STANDARD_RESPONSES: Mapping[int | str, dict[str, Any]] = api_module(
    "router_utils"
).standard_responses
OLD_ITEMS = "conversation_items_v1"  # of conversations that Llama Stack has begun, as it kept them
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
BUILTIN_USES = (*BUILTIN_NEEDS, Api.models, *(() if IS_OGX else (Api.safety,)))
# By default the server also lets in who shares a team, role, project or namespace with the owner.
OWN = [
    _access.AccessRule(permit=_access.Scope(actions=list(_access.Action)), when=[condition])
    for condition in ("user is owner", "resource is unowned")
]

OTHERWISE: Mapping[str, tuple[str, ...]] = (
    {
        "GET /v1/models": ("AnthropicListModelsResponse", "GoogleListModelsResponse"),
        "GET /v1/models/{model_id}": ("AnthropicModelInfo", "GoogleModelInfo"),
    }
    if IS_OGX
    else {}
)
"""Types that operations answer as well, to those who say by a header that they are such clients."""
UNLISTED: Mapping[str, Any] = {
    name: getattr(_api, name)
    for name in (
        "OpenAIChatCompletion",
        "OpenAIChatCompletionChunk",
        "OpenAICompletion",
        "OpenAIResponseObjectStream",
        *chain(*OTHERWISE.values()),
    )
}
"""Types that routes of the server answer, and that its document names and does not describe."""

NoFile = _api.OpenAIFileObjectNotFoundError  # or it is somebody else's; the server answers 404
READ, DELETE = _access.Action.READ, _access.Action.DELETE


def owner() -> str:
    """Whose is what is written now: the principal that the server has authenticated, else nobody.

    Only what the authentication made is believed: without it, a client's header
    with provider data could put anything in its place.
    """
    user = _headers.get_authenticated_user()
    return user.principal if isinstance(user, User) else ""


def caller() -> access.User:
    """Who asks, with what his token says of him."""
    user = _headers.get_authenticated_user()
    if not isinstance(user, User):
        return access.ANYBODY
    return access.User(principal=user.principal, claims=dict(claims_of_user()))


def user_name() -> str:
    """Who asks, as runs name him."""
    return caller().name


def provider_spec(
    api: str, kind: str, *, module: str, config: type, uses: Iterable[Any] = ()
) -> Any:
    """What the server has to know of one of our providers."""
    return _api.InlineProviderSpec(
        api=Api(api),
        provider_type=f"inline::{kind}",
        module=module,
        config_class=f"{config.__module__}.{config.__qualname__}",
        optional_api_dependencies=list(uses),
        is_external=True,
    )


def api_spec(api: str, kind: str, *, module: str, config: type, uses: Iterable[str]) -> Any:
    """What the server has to know of the provider of an external API of ours.

    The server has made the name of the API known before it asks.
    """
    return _api.InlineProviderSpec(
        api=Api(api),
        provider_type=f"inline::{kind}",
        module=module,
        config_class=f"{config.__module__}.{config.__qualname__}",
        api_dependencies=[Api(one) for one in uses],
    )


def reader_specs() -> list[Any]:
    """The provider `inline::reader`, which reads files for vector stores, where they ask for one.

    It is OGX's own, which runs it in two processes beside the server, each as large as that.
    """
    if not IS_OGX:
        return []
    module = "providers.inline.file_processor.pypdf"
    config = server_module(module).PyPDFFileProcessorConfig
    name = server_module(module).__name__
    return [
        provider_spec("file_processors", "reader", module=name, config=config, uses=[Api.files])
    ]


async def builtin_responses(config: Mapping[str, Any], deps: Mapping[Any, Any]) -> Any:
    """The server's own provider of the Responses API; each user has his own responses there.

    Raises:
        ValueError: the run config has no provider for an API that it needs.
    """
    missing = [api.value for api in BUILTIN_NEEDS if api not in deps]
    if missing:
        raise ValueError(f"the builtin responses need providers for {', '.join(missing)}")
    parsed = _builtin.BuiltinResponsesImplConfig(**config)
    return await _builtin.get_provider_impl(parsed, dict(deps), OWN)


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
        request = _api.RegisterModelRequest(
            model_id=name,
            provider_model_id=name,
            provider_id=provider,
            model_type=_api.ModelType.llm,
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
        request = _api.UnregisterModelRequest(model_id=f"{provider}/{name}")
        await self._table.unregister_model(request)


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
            if model.model_type == _api.ModelType.embedding
        }

    async def vectors(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text.

        Raises:
            ModelFailed: the model gave none.
        """
        request = _api.OpenAIEmbeddingsRequestWithExtraBody(model=model, input=list(texts))
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
    return _api.CreateResponseRequest.model_validate(body)


async def owned_tables(backend: str, policy: Any) -> Any:
    """Tables in a backend of the run config, each row of which belongs to who has written it."""
    reference = _storage.SqlStoreReference(table_name="", backend=backend)
    if IS_OGX:
        return await _authorized.authorized_sqlstore(reference, policy)
    return _authorized.AuthorizedSqlStore(_sqlstore.sqlstore_impl(reference), policy)


async def tables_with(column: str, tables: Any) -> list[str]:
    """The tables that have a column, among them what OGX leaves when it makes a table anew."""
    if IS_OGX and await tables.table_exists(OLD_ITEMS):
        await tables.create_table(
            OLD_ITEMS, columns("id", conversation_id=str, owner_principal=str)
        )
    return [name for name, table in tables.metadata.tables.items() if column in table.c]


async def old_prompts(prompts: Any) -> list[Any]:
    """Where Llama Stack may have kept prompts, which OGX does not take over from there."""
    kvstore_impl = server_module("core.storage.kvstore").kvstore_impl
    stores = []
    for name, backend in prompts.config.config.storage.backends.items():
        if backend.type.value.startswith("kv_"):
            # With SQLite, Llama Stack leaves namespaces out of its keys.
            namespace = "" if backend.type.value == "kv_sqlite" else "prompts"
            reference = _storage.KVStoreReference(namespace=namespace, backend=name)
            stores.append(await kvstore_impl(reference))
    return stores


def columns(key: str, **types: type) -> Wire:
    """The columns of a table: the one of this key, which is text, and the others by their types."""
    kinds = {str: _tables.ColumnType.TEXT, int: _tables.ColumnType.INTEGER}
    first = _tables.ColumnDefinition(type=_tables.ColumnType.STRING, primary_key=True)
    return {key: first} | {name: kinds[kind] for name, kind in types.items()}


def file_object(about: Wire) -> Any:
    """What the Files API tells of a file."""
    return _api.OpenAIFileObject.model_validate(about | {"status": "uploaded"})


def file_list(about: list[Wire], *, has_more: bool) -> Any:
    """A page of the Files API."""
    ids = [one["id"] for one in about] or [""]
    return _api.ListOpenAIFileResponse(
        data=[file_object(one) for one in about],
        has_more=has_more,
        first_id=ids[0],
        last_id=ids[-1],
    )


def file_deleted(file: str) -> Any:
    """The Files API has forgotten a file."""
    return _api.OpenAIFileDeleteResponse(id=file, deleted=True)


class ChatCompletion(_api.OpenAIChatCompletion):  # type: ignore[misc, name-defined]  # it has no types
    """An answer without nulls, for which its schema has no place."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, told: SerializerFunctionWrapHandler) -> Any:
        return without_nulls(told(self))


def chat_completion(body: Wire) -> Any:
    """A whole answer of the Chat Completions API."""
    return ChatCompletion.model_validate(body)


def chat_chunk(body: Wire) -> Any:
    """One piece of a streamed answer of the Chat Completions API."""
    return _api.OpenAIChatCompletionChunk.model_validate(body)


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
    """What the providers of a server that has begun know of each other."""
    found: Mapping[Any, Any] = server.stack.impls
    return found
