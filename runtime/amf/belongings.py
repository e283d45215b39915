"""What the server itself keeps of its users: conversations, files, vector stores, prompts.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/conversations/conversations.py`, `core/storage/sqlstore`,
    `core/routing_tables/vector_stores.py` and
    `providers/utils/memory/openai_vector_store_mixin.py`: deleting a conversation leaves items of
    it, and deleting a vector store the pieces of its files.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtime.amf import sdk
from runtime.amf.flavour import IS_OGX
from runtime.amf.prompts import OwnPrompts

OWNER: Final = "owner_principal"  # the column of every table whose rows belong to somebody
CONVERSATION: Final = "conversation_id"
FILES: Final = "openai_files"
PIECES: Final = ("openai_vector_stores_files:v3::", "openai_vector_stores_files_contents:v3::")
AT_ONCE: Final = 100  # files that are looked up at a time

type Forget = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FileNamed:
    """A request of the Files API about one file."""

    file_id: str


class Belongings:
    """All of it, in the parts of one server; each request may take away what is its user's own.

    Shape:
        deps                 the parts of the server.
        forget_conversation  takes away what the queue keeps of a conversation of whoever asks.
    """

    def __init__(self, deps: Mapping[Any, Any], forget_conversation: Forget) -> None:
        parts = {api.value: part for api, part in deps.items()}
        self._conversations = parts["conversations"]
        self._tables = self._conversations.sql_store.sql_store
        self._files = parts.get("files")
        self._vectors: Any = getattr(parts.get("vector_io"), "routing_table", None)
        self._prompts = parts["prompts"]
        self._forget_conversation = forget_conversation
        self._delete_conversation = self._conversations.openai_delete_conversation
        self._conversations.openai_delete_conversation = self.delete_conversation
        if not IS_OGX:
            self._prompts.kvstore = OwnPrompts(self._prompts.kvstore, sdk.owner)
        if self._vectors is not None:
            self._delete_store = self._vectors.openai_delete_vector_store
            self._vectors.openai_delete_vector_store = self.delete_store

    @property
    def user(self) -> str:
        """Who asks, as his runs name him."""
        return sdk.user_name()

    async def erase(self) -> None:
        """Take away all that is kept of whoever asks.

        Raises:
            DatabaseAway: the database does not answer.
        """
        owner = sdk.owner()
        for store in await self._stores(owner):
            await self._forget_store(store)
        await self._forget_files(owner)
        for name in await sdk.tables_with(OWNER, self._tables):
            await self._tables.delete(name, {OWNER: owner})
        for prompts in await self._own_prompts():
            await prompts.erase()

    async def delete_conversation(self, request: Any) -> Any:
        """Delete a conversation with all that was said in it; itself last, so it can be repeated.

        Raises:
            ConversationNotFoundError: of the server; it answers 404.
            OutOfReach, DatabaseAway: the queue or the database does not answer.
        """
        await self._conversations.get_conversation(request)  # or it is somebody else's
        conversation = request.conversation_id
        await self._forget_conversation(conversation)
        for name in await sdk.tables_with(CONVERSATION, self._tables):
            await self._tables.delete(name, {CONVERSATION: conversation})
        return await self._delete_conversation(request)

    async def delete_store(self, store: str) -> Any:
        """Delete a vector store with the pieces of its files.

        Raises:
            ValueError, AccessDeniedError: of the server: there is none, or it is somebody else's.
        """
        await self._vectors.assert_action_allowed("delete", "vector_store", store)
        await self._forget_pieces(store)
        return await self._delete_store(store)

    async def _own_prompts(self) -> list[OwnPrompts]:
        if IS_OGX:  # they are rows; these are of the time before
            return [OwnPrompts(store, sdk.owner) for store in await sdk.old_prompts(self._prompts)]
        return [self._prompts.kvstore]

    async def _stores(self, owner: str) -> list[str]:
        if self._vectors is None:
            return []
        return [
            one.identifier
            for one in await self._vectors.dist_registry.get_all()
            if one.type == "vector_store" and (one.owner.principal if one.owner else "") == owner
        ]

    async def _forget_store(self, store: str) -> None:
        provider = await self._vectors.get_provider_impl(store)
        if store in provider.openai_vector_stores:
            await self.delete_store(store)
        else:  # half of it went in an earlier try
            await self._forget_pieces(store)
            await self._vectors.unregister_vector_store(store)

    async def _forget_pieces(self, store: str) -> None:
        provider = await self._vectors.get_provider_impl(store)
        for prefix in PIECES:
            first, last = f"{prefix}{store}:", f"{prefix}{store};"
            for key in await provider.kvstore.keys_in_range(first, last):
                await provider.kvstore.delete(key)

    async def _forget_files(self, owner: str) -> None:
        """Each by its provider, which knows where the contents are."""
        if self._files is None or FILES not in self._tables.metadata.tables:
            return
        mine = {OWNER: owner}
        while found := (await self._tables.fetch_all(FILES, where=mine, limit=AT_ONCE)).data:
            for row in found:
                with contextlib.suppress(sdk.NoFile):  # somebody erases beside us
                    await self._files.openai_delete_file(FileNamed(row["id"]))
                await self._tables.delete(FILES, {"id": row["id"]})
