"""Everything that comes from the server's packages: the only module that imports them.

The server is llama-stack 0.7.3. Its successor has the same names in other packages; a second
flavour is a second branch of the imports here and nothing elsewhere.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from llama_stack.core.access_control.datatypes import AccessRule, Action
from llama_stack.core.access_control.datatypes import Scope as AccessScope
from llama_stack.core.datatypes import User
from llama_stack.core.request_headers import get_authenticated_user
from llama_stack.core.routing_tables.models import ModelsRoutingTable
from llama_stack.providers.inline.responses.builtin import get_provider_impl as build_builtin
from llama_stack.providers.inline.responses.builtin.config import BuiltinResponsesImplConfig
from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
    AddItemsRequest,
    Api,
    ConversationItemNotFoundError,
    ConversationNotFoundError,
    DeleteItemRequest,
    InlineProviderSpec,
    ListItemsRequest,
    ModelType,
    OpenAIChatCompletion,
    OpenAIChatCompletionChunk,
    ProviderSpec,
    RegisterModelRequest,
    UnregisterModelRequest,
)

from runtime.amf.items import Wire

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

    async def remove(self, provider: str, name: str) -> None:
        """Take a model out of the list."""
        await self._table.unregister_model(UnregisterModelRequest(model_id=f"{provider}/{name}"))


def server_models(deps: Mapping[Any, Any]) -> ServerModels | None:
    """The server's list of models, if it serves any."""
    table = deps.get(Api.models)
    return None if table is None else ServerModels(table)


def chat_completion(body: Wire) -> Any:
    """A whole answer of the Chat Completions API."""
    return OpenAIChatCompletion.model_validate(body)


def chat_chunk(body: Wire) -> Any:
    """One piece of a streamed answer of the Chat Completions API."""
    return OpenAIChatCompletionChunk.model_validate(body)


def create_server(run_config: str, declared: Iterable[str]) -> Any:
    """The server as an ASGI application (FastAPI), made from the run config at this path.

    Shape:
        declared  the providers whose models stand in the run config. The server would ask each of
                  them for its models now, three times and for ten minutes each if it does not
                  answer, and would not start before; what stands in the run config is enough.

    Raises:
        ValueError, KeyError, ImportError, RuntimeError: the run config cannot be served.
    """
    os.environ["LLAMA_STACK_CONFIG"] = run_config
    from llama_stack.core.server.server import create_app  # noqa: PLC0415 - heavy, only for `serve`

    ModelsRoutingTable.listed_providers.update(declared)
    app = create_app()
    # It would write down every chat of every agent with its model, for ever.
    app.stack.impls[Api.inference].store = None
    app.stack.impls[Api.conversations].sql_store.policy = OWN
    # Routes are tried one after the other, in the order of a set: a quarter of a request's time.
    app.router.routes.sort(key=_place)
    return app


HOT = ("/v1/responses", "/v1/chat/completions")


def _place(route: Any) -> int:
    router = getattr(route, "original_router", None)
    paths = [getattr(inner, "path", "") for inner in (router.routes if router else [route])]
    return next((place for place, path in enumerate(HOT) if path in paths), len(HOT))


def responses_provider(server: Any) -> Any:
    """The provider of the Responses API in a server."""
    return server.stack.impls[Api.responses]


def listed_models(server: Any) -> ServerModels:
    """The list of models of a server.

    Raises:
        KeyError: it has none.
    """
    return ServerModels(server.stack.impls[Api.models])
