"""The items that the server keeps of conversations, each with its place among the others.

Llama Stack orders items by the second in which it got them, and knows no pages. OGX counts them,
and so that column of Llama Stack's is made a place: the second, or the one behind the last item's.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/conversations/conversations.py`. The former takes an
    item's id from whoever adds it, and writes over whatever has that id, whosever it is. Both keep
    `content` as it was said, which may be a text.
    OpenAI API reference, "List items" of conversations, and "The item object": `content` is a list.
"""

import contextlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError

from runtime.amf.errors import NotFound
from runtime.amf.flavour import IS_OGX, api_module
from runtime.amf.items import Wire, content_of
from runtime.state.conversations import NoConversation

_api = api_module()
_ITEM: TypeAdapter[Any] = TypeAdapter(_api.ConversationItem)

ItemList = _api.ConversationItemList
ITEMS: Final = "conversation_items"
NOT_THERE: Final = (_api.ConversationNotFoundError, _api.InvalidParameterError)  # a bad id
CONVERSATION: Final = "conversation_id"
PLACE: Final = "sort_order" if IS_OGX else "created_at"
TRIES: Final = 3  # of adding; another server may add the same at the same time


class ServerItems:
    """The items of conversations, in the server's provider of those."""

    def __init__(self, deps: Mapping[Any, Any]) -> None:
        self._conversations = deps[_api.Api.conversations]

    async def read(self, conversation: str) -> list[Any]:
        """All of them, oldest first.

        Raises:
            NoConversation: there is none of that id, or it is somebody else's.
        """
        return [_ITEM.validate_python(row["item_data"]) for row in await self._rows(conversation)]

    async def page(
        self, conversation: str, *, after: str | None, limit: int, newest_first: bool
    ) -> Any:
        """At most `limit` of them that follow the item `after`, as the API lists them.

        Raises:
            NoConversation: there is none of that id, or it is somebody else's.
            NotFound: there is no item `after`.
        """
        told = [row["item_data"] for row in await self._rows(conversation)]
        if newest_first:
            told.reverse()
        ids = [item["id"] for item in told]
        if after is not None and after not in ids:
            raise NotFound(f"There is no item {after} in {conversation}.", param="after")
        start = 0 if after is None else ids.index(after) + 1
        found = [_ITEM.validate_python(item) for item in told[start : start + limit]]
        first, last = (found[0].id, found[-1].id) if found else ("", "")
        has_more = start + limit < len(told)
        return ItemList(data=found, first_id=first, last_id=last, has_more=has_more)

    async def add(self, conversation: str, items: Sequence[Wire]) -> None:
        """Add a few behind all others, under their own ids; one that is there stays as it is.

        Raises:
            NoConversation: there is none of that id, or it is somebody else's.
        """
        told = [item.model_dump() for item in _api.AddItemsRequest(items=items).items]
        for last in (False,) * (TRIES - 1) + (True,):
            rows = await self._rows(conversation)
            known = {row["id"] for row in rows}
            new = [item for item in told if item["id"] not in known]
            first = 1 + max((row[PLACE] or 0 for row in rows), default=0)
            try:
                if new:
                    await self._conversations.sql_store.insert(
                        ITEMS, _new_rows(conversation, new, first)
                    )
                break
            except IntegrityError:
                if last:
                    raise

    async def remove(self, conversation: str, items: Iterable[str]) -> None:
        """Take items away by their ids; one that is not there is no error."""
        not_there = (_api.ConversationItemNotFoundError, _api.ConversationNotFoundError)
        for item in items:
            request = _api.DeleteItemRequest(conversation_id=conversation, item_id=item)
            with contextlib.suppress(*not_there):
                await self._conversations.openai_delete_conversation_item(request)

    async def _rows(self, conversation: str) -> list[Any]:
        there = _api.GetConversationRequest(conversation_id=conversation)
        try:
            await self._conversations.get_conversation(there)
        except NOT_THERE as error:
            raise NoConversation(f"there is no conversation {conversation}") from error
        store = self._conversations.sql_store
        rows: list[Any] = (await store.fetch_all(ITEMS, where={CONVERSATION: conversation})).data
        return sorted(rows, key=_place)


def keep_in_order(conversations: Any) -> None:
    """Let the server's provider of conversations keep items in order, under ids of its own."""
    Writing(conversations.sql_store)
    if not IS_OGX:  # whose items have ids of its own, whatever a client wants
        conversations._get_or_generate_item_id = new_id  # noqa: SLF001 - there is no other place


class Writing:
    """What is done to items on their way into the tables of the server."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._insert, self._upsert = store.insert, store.upsert
        store.insert, store.upsert = self.insert, self.upsert

    async def insert(self, table: str, data: Any) -> None:
        """Rows of any table; the server answers with the very items that it has written."""
        if table == ITEMS:
            rows: Sequence[Wire] = [dict(data)] if isinstance(data, Mapping) else data
            for row in rows:
                complete(row["item_data"])
            data = rows if IS_OGX else await self._placed(rows)
        await self._insert(table, data)

    async def upsert(self, table: str, data: Any, *arguments: Any, **named: Any) -> None:
        """One row of any table; an item has a new id, so there is nothing to write over."""
        if table == ITEMS:
            await self.insert(table, data)
        else:
            await self._upsert(table, data, *arguments, **named)

    async def _placed(self, rows: Sequence[Wire]) -> list[Wire]:
        if not rows:
            return []
        last = await self._store.fetch_one(
            ITEMS, where={CONVERSATION: rows[0][CONVERSATION]}, order_by=[(PLACE, "desc")]
        )
        behind = 0 if last is None else 1 + last[PLACE]
        return _in_a_row(rows, max(behind, rows[0][PLACE]))


def new_id(_item: Any, told: Wire) -> str:
    """An id for an item, whatever a client wants.

    Shape:
        Takes the item twice, as the server's value and as a dictionary that will be stored.
    """
    kind = "msg" if told["type"] == "message" else "item"
    made = f"{kind}_{secrets.token_hex(24)}"
    told["id"] = made
    return made


def complete(item: Wire) -> None:
    """Let a message say all that one of the API says, however short it was said."""
    if item["type"] != "message":
        return
    if isinstance(item["content"], str):
        item["content"] = content_of(item["role"], item["content"])
    item["status"] = item.get("status") or "completed"


def _new_rows(conversation: str, items: Iterable[Wire], first: int) -> list[Wire]:
    now = int(time.time())
    rows = [
        {"id": item["id"], CONVERSATION: conversation, "created_at": now, "item_data": item}
        for item in items
    ]
    return _in_a_row(rows, first) if IS_OGX else rows


def _in_a_row(rows: Iterable[Wire], first: int) -> list[Wire]:
    return [row | {PLACE: place} for place, row in enumerate(rows, first)]


def _place(row: Wire) -> tuple[int, int, str]:
    """OGX has none for what Llama Stack has kept; what is added at once may have the same."""
    return (-1 if row[PLACE] is None else row[PLACE]), row["created_at"], row["id"]
