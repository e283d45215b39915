"""Files in the server's database: the provider `inline::database` of the Files API.

The server's own provider keeps contents in a folder, which several servers do not share.

Source:
    llama-stack-api 0.7.3 and ogx-api 1.5.0, `files/api.py`; OpenAI API reference, "Files".
"""

import base64
import time
import uuid
from typing import Any

from starlette.responses import Response

from runtime.amf import sdk
from runtime.amf.config import FilesConfig

ABOUT = "openai_files"
CONTENTS = "openai_file_contents"
NAME_LENGTH = 255


class DatabaseFiles:
    """The provider.

    Shape:
        openai_files          what the API tells of a file, one row each, with its owner.
        openai_file_contents  its bytes, as base64: the server's tables hold text.
    """

    def __init__(self, tables: Any) -> None:
        self._tables = tables

    async def initialize(self) -> None:
        """Name the tables; they are made when they are first used."""
        await self._tables.create_table(ABOUT, sdk.columns(key="id", **COLUMNS))
        await self._tables.create_table(CONTENTS, sdk.columns(key="id", content=str))

    async def shutdown(self) -> None:
        """Nothing: the database is the server's."""

    async def openai_upload_file(self, request: Any, file: Any) -> Any:
        """Keep a file.

        Raises:
            DatabaseAway: the database does not answer; nobody finds the file.
        """
        content = await file.read()
        about = {
            "id": f"file-{uuid.uuid4().hex}",
            "filename": _printable(file.filename or "file"),
            "purpose": request.purpose.value,
            "bytes": len(content),
            "created_at": int(time.time()),
        }
        # First what nobody finds without the other.
        row = {"id": about["id"], "content": base64.b64encode(content).decode()}
        await self._tables.insert(CONTENTS, row)
        await self._tables.insert(ABOUT, about)
        return sdk.file_object(about)

    async def openai_list_files(self, request: Any) -> Any:
        """What there is of the user's, the newest first unless asked otherwise."""
        found = await self._tables.fetch_all(
            table=ABOUT,
            where={"purpose": request.purpose.value} if request.purpose else None,
            order_by=[("created_at", request.order.value if request.order else "desc")],
            cursor=("id", request.after) if request.after else None,
            limit=request.limit,
        )
        return sdk.file_list([_told(row) for row in found.data], has_more=found.has_more)

    async def openai_retrieve_file(self, request: Any) -> Any:
        """What is told of a file.

        Raises:
            OpenAIFileObjectNotFoundError: of the server; it answers 404.
        """
        return sdk.file_object(_told(await self._about(request.file_id)))

    async def openai_retrieve_file_content(self, request: Any) -> Response:
        """The bytes of a file, as an answer to whoever downloads it.

        Raises:
            OpenAIFileObjectNotFoundError: of the server; it answers 404.
        """
        about = await self._about(request.file_id)
        found = await self._tables.fetch_one(CONTENTS, where={"id": request.file_id})
        if found is None:
            raise sdk.NoFile(request.file_id)
        name = about["filename"].replace('"', "'")
        return Response(
            base64.b64decode(found["content"]),
            media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def openai_delete_file(self, request: Any) -> Any:
        """Forget a file and its bytes.

        Raises:
            OpenAIFileObjectNotFoundError: of the server; it answers 404.
        """
        await self._about(request.file_id, deleting=True)
        await self._tables.delete(CONTENTS, where={"id": request.file_id})
        await self._tables.delete(ABOUT, where={"id": request.file_id})
        return sdk.file_deleted(request.file_id)

    async def _about(self, file: str, *, deleting: bool = False) -> dict[str, Any]:
        action = sdk.DELETE if deleting else sdk.READ
        found = await self._tables.fetch_one(ABOUT, where={"id": file}, action=action)
        if found is None:
            raise sdk.NoFile(file)
        about: dict[str, Any] = found
        return about


COLUMNS = {"filename": str, "purpose": str, "bytes": int, "created_at": int}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Of a row, what a client is told: not whose it is."""
    return {"id": row["id"]} | {name: row[name] for name in COLUMNS}


def _printable(name: str) -> str:
    """A file's name as it can stand in a header of HTTP, without a path before it."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter if " " <= letter <= "~" else "_" for letter in last)[:NAME_LENGTH]


async def get_provider_impl(config: FilesConfig, _deps: Any, policy: Any) -> DatabaseFiles:
    """The provider of the Files API."""
    files = DatabaseFiles(await sdk.owned_tables(config.backend, policy))
    await files.initialize()
    return files
