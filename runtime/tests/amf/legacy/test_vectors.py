"""Vector databases of users, kept in a bucket."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from runtime.amf.errors import BadRequest, ModelFailed, NotFound, TooLarge
from runtime.amf.legacy import vectors as module
from runtime.amf.legacy.bodies import ToolgroupWithArgs
from runtime.amf.legacy.rag import QueryConfig, databases_of, query_result, search_of
from runtime.amf.legacy.vectors import Found, KeptVectors, Vectors, new_database, pieces
from runtime.transport.memory_store import MemoryBuckets, MemoryStore

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Letters:
    """A model whose vectors count letters."""

    def __init__(self, size: int = len(LETTERS)) -> None:
        self.size = size
        self.asked: list[int] = []

    async def dimensions(self) -> dict[str, int]:
        return {"vectors/letters": len(LETTERS), "vectors/other": 3}

    async def vectors(self, _model: str, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(len(texts))
        return [[float(text.count(letter)) for letter in LETTERS][: self.size] for text in texts]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryBuckets(), "conversations")


@pytest.fixture
def mine(store: MemoryStore) -> Vectors:
    return Vectors(store, Letters(), "ada")


def a_database(
    name: str = "my docs", model: str = "vectors/letters", dimensions: int | None = None
) -> KeptVectors:
    return new_database(name, model, dimensions, None)


async def test_the_nearest_is_found_first(mine: Vectors) -> None:
    await mine.register(a_database())
    await mine.insert("my docs", "d1", "banana", {"page": 1}, tokens=64)
    await mine.insert("my docs", "d2", "cherry", {}, tokens=64)

    found = await mine.search(["my docs"], "bananas", 5)

    assert [one.document for one in found] == ["d1", "d2"]
    assert found[0].score > 0.9 > found[1].score
    assert found[0].metadata == {"page": 1}
    assert found[0].score == pytest.approx(14 / (math.sqrt(14) * math.sqrt(15)))


async def test_a_document_of_the_same_id_takes_the_place_of_the_one_before(mine: Vectors) -> None:
    await mine.register(a_database())
    await mine.insert("my docs", "d1", "banana", {}, tokens=64)
    await mine.insert("my docs", "d1", "cherry", {}, tokens=64)

    assert [one.text for one in await mine.search(["my docs"], "banana", 5)] == ["cherry"]
    assert (await mine.get("my docs")).documents == {"d1": 1}


async def test_a_long_document_is_kept_in_pieces_whose_vectors_are_asked_for_in_turns(
    store: MemoryStore,
) -> None:
    model = Letters()
    mine = Vectors(store, model, "ada")
    await mine.register(a_database())
    await mine.insert("my docs", "d1", "some words " * 500, {}, tokens=8)

    (count,) = (await mine.get("my docs")).documents.values()
    assert sum(model.asked) == count > module.AT_ONCE
    assert max(model.asked) == module.AT_ONCE


async def test_nobody_else_finds_a_database(store: MemoryStore, mine: Vectors) -> None:
    await mine.register(a_database())
    other = Vectors(store, Letters(), "bob")

    for asked in (other.get("my docs"), other.delete("my docs"), other.search(["my docs"], "?", 1)):
        with pytest.raises(NotFound):
            await asked
    assert await other.all() == []
    assert [one.id for one in await mine.all()] == ["my docs"]


async def test_with_a_database_go_its_documents(store: MemoryStore, mine: Vectors) -> None:
    await mine.register(a_database())
    await mine.insert("my docs", "d1", "banana", {}, tokens=64)
    await mine.delete("my docs")

    assert await mine.all() == []
    await mine.register(a_database())
    assert await mine.search(["my docs"], "banana", 5) == []
    async for entry in store.watch("vectors.>"):
        if entry is None:
            break
        assert entry.deleted or b"banana" not in entry.value


async def test_asking_again_for_the_same_database_changes_nothing(mine: Vectors) -> None:
    first = await mine.register(a_database(dimensions=26))
    await mine.insert("my docs", "d1", "banana", {}, tokens=64)
    again = await mine.register(a_database())

    assert first.dimensions == again.dimensions == 26
    assert again.documents == {"d1": 1}
    assert len(await mine.all()) == 1


@pytest.mark.parametrize(
    ("database", "param"),
    [
        (a_database("new", model="small/stand-in"), "embedding_model"),
        (a_database("new", dimensions=384), "embedding_dimension"),
        (a_database(model="vectors/other"), "vector_db_id"),
    ],
)
async def test_a_database_that_cannot_be_is_refused_by_the_field(
    mine: Vectors, database: KeptVectors, param: str
) -> None:
    await mine.register(a_database())
    with pytest.raises(BadRequest) as refused:
        await mine.register(database)
    assert refused.value.param == param


async def test_a_full_database_says_so(mine: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 2)
    await mine.register(a_database())
    await mine.insert("my docs", "d1", "banana", {}, tokens=64)
    await mine.insert("my docs", "d2", "banana", {}, tokens=64)
    await mine.insert("my docs", "d2", "cherry", {}, tokens=64)
    with pytest.raises(TooLarge, match="it takes 2"):
        await mine.insert("my docs", "d3", "banana", {}, tokens=64)


async def test_vectors_of_another_size_are_not_kept(store: MemoryStore) -> None:
    await Vectors(store, Letters(), "ada").register(a_database())
    with pytest.raises(ModelFailed, match="gave 3 numbers"):
        await Vectors(store, Letters(3), "ada").insert("my docs", "d", "banana", {}, tokens=64)


@pytest.mark.parametrize("text", ["", "   ", "word", "word " * 100, "x" * 1000, "a " + "y" * 500])
@pytest.mark.parametrize("most", [32, 33, 100])
def test_pieces_hold_every_word_and_none_is_too_long(text: str, most: int) -> None:
    cut = list(pieces(text, most))
    assert all(0 < len(piece) <= most for piece in cut)
    joined = " ".join(cut)
    assert all(word[:most] in joined for word in text.split())


FOUND = Found(0.9, "A {index} of it.", "d1", {"page": 3})


def test_what_is_found_is_told_in_words() -> None:
    told = query_result("What?", [FOUND], QueryConfig())
    texts = [part["text"] for part in told["content"]]
    assert texts[0].startswith("knowledge_search tool found 1 chunks")
    assert texts[1] == (
        'Result 1\nContent: A {index} of it.\nMetadata: {"document_id": "d1", "page": 3}\n'
    )
    assert '"What?"' in texts[-1]
    assert told["metadata"] == {
        "document_ids": ["d1"],
        "chunks": ["A {index} of it."],
        "scores": [0.9],
    }


def test_a_template_of_a_client_reaches_nothing_but_its_three_words() -> None:
    config = QueryConfig(
        chunk_template="{index} {chunk.__class__} {metadata[page]} {chunk.content}"
    )
    told = query_result("What?", [FOUND], config)
    assert told["content"][1]["text"] == "1 {chunk.__class__} {metadata[page]} A {index} of it."


@pytest.mark.parametrize(("tokens", "expected"), [(4096, 3), (10, 0)])
def test_no_more_is_told_than_there_is_room_for(tokens: int, expected: int) -> None:
    found = [FOUND] * 3
    told = query_result("What?", found, QueryConfig(max_tokens_in_context=tokens))
    assert len(told["metadata"]["chunks"]) == expected
    assert (told["content"] is None) == (expected == 0)


def test_the_databases_of_a_turn_are_named_once() -> None:
    args = {"vector_db_ids": ["a", "b", "a"]}
    group = ToolgroupWithArgs(name="builtin::rag", args=args)
    groups: list[str | ToolgroupWithArgs] = [group, "builtin::rag"]
    assert databases_of(groups, "toolgroups") == ["a", "b"]
    assert databases_of(None, "toolgroups") == []


@pytest.mark.parametrize("given", ["a", [1], {"a": 1}])
def test_databases_that_are_no_names_are_refused(given: Any) -> None:
    args = {"vector_db_ids": given}
    groups: list[str | ToolgroupWithArgs] = [ToolgroupWithArgs(name="builtin::rag", args=args)]
    with pytest.raises(BadRequest) as refused:
        databases_of(groups, "toolgroups")
    assert refused.value.param == "toolgroups[0].args.vector_db_ids"


@pytest.mark.parametrize(
    ("kwargs", "param"),
    [
        ({}, "kwargs.query"),
        ({"query": 1, "vector_db_ids": ["a"]}, "kwargs.query"),
        ({"query": "?"}, "kwargs.vector_db_ids"),
    ],
)
def test_other_arguments_of_the_search_are_refused(kwargs: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        search_of(kwargs)
    assert refused.value.param == param
