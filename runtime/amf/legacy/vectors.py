"""Vector databases of the legacy API, in the bucket `conversations`.

A document is kept with the vectors of its pieces, which a model of the Stack makes. Searching reads
a database whole and compares: that takes no index and no process that has one in its memory, so any
replica can do it, and it is for thousands of pieces, not for millions.
"""

import asyncio
import base64
import contextlib
import heapq
import math
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Final, Protocol

from pydantic import Field

from runtime.amf.desk import in_time
from runtime.amf.errors import BadRequest, ModelFailed, NotFound, TooLarge
from runtime.amf.legacy.values import (
    Held,
    Listing,
    Overtaken,
    Values,
    with_child,
    without_child,
)
from runtime.contract.keys import vectors_key
from runtime.contract.value import Versioned
from runtime.transport.port import KeyExists, Store

MOST_PIECES: Final = 5_000
"""Of one database: a search reads them all."""
AT_ONCE: Final = 64
"""Texts that the model is asked for at a time, and documents that are read at a time."""
READ_SECONDS: Final = 30.0
TOKEN_CHARACTERS: Final = 4
"""A token is about four letters; which they are, the model of the vectors alone knows."""


class Embeddings(Protocol):
    """The models of the Stack that make vectors; see `sdk.Embeddings`."""

    async def dimensions(self) -> dict[str, int]:
        """How many numbers their vectors have, by the names of the models."""
        ...

    async def vectors(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text.

        Raises:
            ModelFailed: the model gave none.
        """
        ...


class KeptVectors(Versioned):
    """A vector database; `documents` says in how many pieces each is kept."""

    id: str
    model: str
    dimensions: int
    name: str | None = None
    documents: dict[str, int] = Field(default_factory=dict)


class KeptDocument(Versioned):
    """A document in pieces; `vectors` are theirs in order, as 32-bit floats in base64."""

    id: str
    metadata: dict[str, Any]
    pieces: tuple[str, ...]
    vectors: str


@dataclass(frozen=True, slots=True)
class Found:
    """A piece, and how near it is to what was asked: from -1 to 1."""

    score: float
    text: str
    document: str
    metadata: dict[str, Any]


class Vectors:
    """The vector databases of one user.

    Raises:
        OutOfReach: any method, when the queue does not answer.
    """

    def __init__(self, store: Store, embeddings: Embeddings, user: str) -> None:
        self._values = Values(store)
        self._embeddings = embeddings
        self._user = user

    async def register(self, database: KeptVectors) -> KeptVectors:
        """Keep a database; one that is there stays as it is, if it is the same.

        Raises:
            BadRequest: there is no such model, its vectors are of another size, or there is another
                database of this name.
        """
        known = await self._embeddings.dimensions()
        if database.model not in known:
            names = ", ".join(known) or "none; see spec.models[].embedding of the Stack"
            raise BadRequest(
                f"There is no model {database.model} that makes vectors. There are: {names}.",
                param="embedding_model",
            )
        size = known[database.model]
        if database.dimensions not in {0, size}:
            raise BadRequest(
                f"The vectors of {database.model} have {size} numbers.",
                param="embedding_dimension",
            )
        database = database.model_copy(update={"dimensions": size})
        async with in_time():
            with contextlib.suppress(KeyExists):
                await self._values.create(vectors_key(self._user, database.id), database)
            root, first = vectors_key(self._user), Listing()
            await self._values.relist(Listing, root, with_child(database.id), first=first)
        there = await self.get(database.id)
        if there.model != database.model:
            raise BadRequest(
                f"There is a database {database.id} of the model {there.model}; delete it first.",
                param="vector_db_id",
            )
        return there

    async def all(self) -> list[KeptVectors]:
        """All of them, the oldest first."""
        async with in_time():
            listing = await self._values.get(Listing, vectors_key(self._user))
            names = listing.kept.children if listing else ()
            found = await asyncio.gather(*map(self._find, names))
        return [one.kept for one in found if one is not None]

    async def get(self, name: str) -> KeptVectors:
        """One of them.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        return (await self._there(name)).kept

    async def delete(self, name: str) -> None:
        """Take one away with all its documents.

        Raises:
            NotFound: see `get`.
        """
        held = await self._there(name)
        async with in_time(READ_SECONDS):
            for document in held.kept.documents:
                key = vectors_key(self._user, name, document)
                if (kept := await self._values.get(KeptDocument, key)) is not None:
                    await self._values.delete(key, kept)
            await self._values.delete(vectors_key(self._user, name), held)
            root = vectors_key(self._user)
            await self._values.relist(Listing, root, without_child(name))

    async def insert(
        self, name: str, document: str, text: str, metadata: dict[str, Any], *, tokens: int
    ) -> None:
        """Keep a document in pieces of at most so many `tokens`; it replaces one of the same id.

        Raises:
            NotFound: see `get`.
            TooLarge: the database would have too many pieces.
            ModelFailed: there are no vectors for them.
        """
        database = await self.get(name)
        cut = tuple(pieces(text, tokens * TOKEN_CHARACTERS))
        _check_room(database, document, len(cut))
        made = array("f")
        for texts in batched(cut, AT_ONCE):
            for vector in await self._embeddings.vectors(database.model, texts):
                if len(vector) != database.dimensions:
                    raise ModelFailed(f"The model {database.model} gave {len(vector)} numbers.")
                made.extend(vector)
        packed = base64.b64encode(made.tobytes()).decode()
        kept = KeptDocument(id=document, metadata=metadata, pieces=cut, vectors=packed)
        async with in_time(READ_SECONDS):
            await self._write(vectors_key(self._user, name, document), kept)
            await self._count(name, document, len(cut))

    async def search(self, names: Sequence[str], text: str, most: int) -> list[Found]:
        """The pieces of these databases that are nearest to a text, the nearest first.

        Raises:
            NotFound: see `get`.
            ModelFailed: there is no vector for it.
        """
        databases = [await self.get(name) for name in names]
        asked: dict[str, list[float]] = {}
        for model in dict.fromkeys(one.model for one in databases):
            (asked[model],) = await self._embeddings.vectors(model, [text])
        found: list[Found] = []
        async with in_time(READ_SECONDS):
            for database in databases:
                async for document in self._documents(database):
                    found += _scored(document, asked[database.model])
        return heapq.nlargest(most, found, key=lambda one: one.score)

    async def _documents(self, database: KeptVectors) -> AsyncIterator[KeptDocument]:
        for names in batched(database.documents, AT_ONCE):
            keys = [vectors_key(self._user, database.id, name) for name in names]
            found = await asyncio.gather(*(self._values.get(KeptDocument, key) for key in keys))
            for held in found:
                if held is not None:
                    yield held.kept

    async def _find(self, name: str) -> Held[KeptVectors] | None:
        return await self._values.get(KeptVectors, vectors_key(self._user, name))

    async def _there(self, name: str) -> Held[KeptVectors]:
        async with in_time():
            held = await self._find(name)
        if held is None:
            raise NotFound(f"There is no vector database {name}.", param="vector_db_id")
        return held

    async def _write(self, key: str, kept: KeptDocument) -> None:
        while True:
            held = await self._values.get(KeptDocument, key)
            with contextlib.suppress(KeyExists, Overtaken):  # else somebody was quicker
                if held is None:
                    await self._values.create(key, kept)
                else:
                    await self._values.update(key, held, kept)
                return

    async def _count(self, name: str, document: str, count: int) -> None:
        while True:
            held = await self._there(name)
            _check_room(held.kept, document, count)
            documents = held.kept.documents | {document: count}
            with contextlib.suppress(Overtaken):
                changed = held.kept.model_copy(update={"documents": documents})
                await self._values.update(vectors_key(self._user, name), held, changed)
                return


def new_database(name: str, model: str, dimensions: int | None, title: str | None) -> KeptVectors:
    """A vector database as a client asks for it; without `dimensions` it has those of its model."""
    return KeptVectors(id=name, model=model, dimensions=dimensions or 0, name=title)


def pieces(text: str, most: int) -> Iterator[str]:
    """A text in pieces of at most `most` characters, cut between words where there are any.

    Each begins with the last quarter of the one before, so that what is cut stands whole in one.
    """
    start, overlap = 0, most // 4
    while start < len(text):
        end = start + most
        if end < len(text) and (space := text.rfind(" ", start + overlap + 1, end)) > 0:
            end = space
        if piece := text[start:end].strip():
            yield piece
        if end >= len(text):
            return
        start = max(end - overlap, start + 1)


def _check_room(database: KeptVectors, document: str, count: int) -> None:
    others = sum(n for name, n in database.documents.items() if name != document)
    if others + count > MOST_PIECES:
        raise TooLarge(
            f"The vector database {database.id} would have {others + count} pieces; it takes "
            f"{MOST_PIECES}. Take a larger chunk_size_in_tokens, or another database.",
            param="documents",
        )


def _scored(document: KeptDocument, asked: Sequence[float]) -> Iterator[Found]:
    numbers = array("f", base64.b64decode(document.vectors))
    length = math.hypot(*asked) or 1.0
    for place, text in enumerate(document.pieces):
        vector = numbers[place * len(asked) : (place + 1) * len(asked)]
        score = math.sumprod(vector, asked) / (length * (math.hypot(*vector) or 1.0))
        yield Found(score, text, document.id, document.metadata)
