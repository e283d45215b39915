"""The items of a conversation, a page at a time.

The server's own route passes over what it does not understand, and knows nothing of runs that have
ended since the last request.

Source:
    OpenAI API reference, "List items" of conversations.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from runtime.amf import sdk
from runtime.amf.conversing import Conversing
from runtime.amf.errors import NotFound
from runtime.amf.query import ONLY_KNOWN
from runtime.amf.server_items import ItemList, ServerItems
from runtime.amf.shared import SharedDesk
from runtime.state.conversations import NoConversation

type Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]
type Order = Annotated[Literal["asc", "desc"], Query(description="The newest first, or last.")]
type After = Annotated[str | None, Query(description="An item; only those behind it are listed.")]


def serve(app: Any, shared: SharedDesk) -> None:
    """Let a server that has begun list items so, and add to them behind what runs have left."""
    conversations = sdk.deps_of(app)[sdk.Api.conversations]
    items = ServerItems(sdk.deps_of(app))
    add = conversations.add_items

    async def added(conversation_id: str, request: Any) -> Any:
        await _catch_up(shared, items, conversation_id)
        return await add(conversation_id, request)

    conversations.add_items = added
    app.include_router(router(shared, items))
    app.router.routes.insert(0, app.router.routes.pop())  # before the server's own


def router(shared: SharedDesk, items: ServerItems) -> APIRouter:
    """The route."""
    routes = APIRouter(
        prefix="/v1/conversations/{conversation_id}",
        tags=["Conversations"],
        dependencies=[ONLY_KNOWN],
    )

    @routes.get("/items", summary="List items.", response_model=ItemList)
    async def list_items(
        conversation_id: str, after: After = None, limit: Limit = 20, order: Order = "desc"
    ) -> Any:
        """What a conversation has, a page at a time."""
        await _catch_up(shared, items, conversation_id)
        try:
            return await items.page(
                conversation_id, after=after, limit=limit, newest_first=order == "desc"
            )
        except NoConversation as error:
            why = f"There is no conversation {conversation_id}."
            raise NotFound(why, param="conversation_id") from error

    return routes


async def _catch_up(shared: SharedDesk, items: ServerItems, conversation: str) -> None:
    await Conversing(await shared.get(), items).catch_up(conversation, sdk.user_name())
