"""Vector stores of a server, with the vectors of the stand-in model: no file comes from outside."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import openai
import pytest
import pytest_asyncio

from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent, openai_client
from runtime.tests.amf.server import Server, a_server
from runtime.tests.amf.stacks import write_run_config
from runtime.tests.amf.test_elsewhere import running_model
from runtime.tests.nats import running_stack
from runtime.tests.postgres import running_postgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

DIMENSIONS = 64
NOTES = {
    "planets.txt": "Jupiter is the largest planet of the sun. Mercury is the smallest one.",
    "bread.txt": "Bread is made of flour, water, salt and yeast, and baked in a hot oven.",
}


def models(url: str) -> list[dict[str, Any]]:
    provider = {"provider": "remote::vllm", "baseUrl": url}
    return [
        {"name": "small", "model": "stand-in", **provider},
        {
            "name": "vectors",
            "model": "stand-in",
            "embedding": {"dimensions": DIMENSIONS},
            **provider,
        },
    ]


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, storage: str) -> AsyncIterator[Server]:
    """A server whose Stack has a model for vectors."""
    spec: dict[str, Any] = {"sqlite": {}}
    environment: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("server")
    async with (
        running_model() as url,
        running_stack(
            ObjectName(namespace="team", name="default"), tmp_path_factory.mktemp("stack")
        ) as nats,
        running_postgres(tmp_path_factory.mktemp("postgres")) as database,
    ):
        if storage == "postgres":
            spec = {"postgres": {"urlSecretRef": {"name": "db", "key": "url"}}}
            environment = {"K8GENTAI_DATABASE_URL": database.url}
        queue = nats.queue(await nats.serving(Role.SERVER))
        config = write_run_config(queue, folder, storage=spec, models=models(url))
        running = a_server(nats, folder, queue, config, **environment)
        try:
            await running.start()
            yield running
        finally:
            await running.stop()


async def test_texts_become_vectors_and_the_model_is_listed(server: Server) -> None:
    async with openai_client(server) as client:
        made = await client.embeddings.create(model="vectors/stand-in", input=["one", "two"])
    listed = await server.models()

    assert [len(one.embedding) for one in made.data] == [DIMENSIONS] * 2
    assert listed["vectors/stand-in"]["model_type"] == "embedding"


async def test_a_file_is_found_by_its_words_after_a_restart_too(server: Server) -> None:
    async with openai_client(server) as client:
        store = await client.vector_stores.create(name="notes")
        for name, text in NOTES.items():
            file = await client.files.create(file=(name, text.encode()), purpose="assistants")
            added = await client.vector_stores.files.create_and_poll(
                file.id, vector_store_id=store.id
            )
            assert added.status == "completed", added.last_error
        before = await search(client, store.id)
    await server.stop()
    await server.start()
    async with openai_client(server) as client, agent(server) as (model, _):
        after = await search(client, store.id)
        known = {one.id async for one in client.models.list()}
        await client.vector_stores.delete(store.id)
        left = [one.id async for one in client.vector_stores.list()]
        with pytest.raises(openai.APIStatusError):
            await client.vector_stores.search(store.id, query="planet")

    assert before == after == ["planets.txt", "bread.txt"]
    assert {"small/stand-in", "vectors/stand-in", f"agents/{model}"} <= known
    assert left == []


async def kept(server: Server) -> str:
    """All rows of all tables of the server."""
    if url := server.environment.get("K8GENTAI_DATABASE_URL"):
        connection = await asyncpg.connect(url)
        try:
            names = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname='public'"
            )
            tables = [await connection.fetch(f'SELECT * FROM "{name}"') for (name,) in names]
            return "\n".join(str(tuple(row)) for table in tables for row in table)
        finally:
            await connection.close()
    text = ""
    for file in await asyncio.to_thread(lambda: [*server.folder.rglob("*.db")]):
        with sqlite3.connect(file) as database:
            text += "\n".join(database.iterdump())
    return text


async def filled(client: openai.AsyncOpenAI, text: str) -> str:
    """A vector store with one file."""
    store = await client.vector_stores.create(name="notes")
    file = await client.files.create(file=("notes.txt", text.encode()), purpose="assistants")
    added = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    assert added.status == "completed", added.last_error
    return store.id


async def test_a_deleted_store_takes_the_pieces_of_its_files_along(server: Server) -> None:
    text = f"The word is {secrets.token_hex(8)}."
    async with openai_client(server) as client:
        store = await filled(client, text)
        before = await kept(server)
        await client.vector_stores.delete(store)
        after = await kept(server)

    assert text in before
    assert text not in after
    assert store not in after


async def test_of_a_user_who_wants_to_be_forgotten_no_store_is_left(server: Server) -> None:
    text = f"The word is {secrets.token_hex(8)}."
    async with openai_client(server) as client:
        store = await filled(client, text)
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            erased = await http.delete("/v1alpha/k8gentai/users/me")
        left = [one.id async for one in client.vector_stores.list()]
        files = [one.id async for one in client.files.list()]
        after = await kept(server)

    assert erased.json() == {"object": "user", "id": "anonymous", "deleted": True}
    assert (left, files) == ([], [])
    assert text not in after
    assert store not in after


async def search(client: openai.AsyncOpenAI, store: str) -> list[str]:
    """The files in which the answer may stand, the likeliest first."""
    found = await client.vector_stores.search(store, query="Which planet is the largest?")
    return [one.filename for one in found.data]


async def test_a_model_that_was_taken_away_is_listed_no_more(server: Server) -> None:
    """The list is kept, since vector stores are in it; what the Stack says goes before it."""
    config = Path(server.environment["K8GENTAI_CONFIG"])
    text = await asyncio.to_thread(config.read_text)
    try:
        await server.stop()
        other = text.replace('provider_id: "small"', 'provider_id: "other"')
        await asyncio.to_thread(config.write_text, other)
        await server.start()
        listed = await server.models()
    finally:
        await server.stop()
        await asyncio.to_thread(config.write_text, text)
        await server.start()

    assert "other/stand-in" in listed
    assert "small/stand-in" not in listed
