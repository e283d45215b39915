"""Two servers of one Stack on one PostgreSQL and one queue: either takes up what the other has."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from runtime.contract.messages import Cancelled
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import agent, http_client, openai_client, random_words
from runtime.tests.amf.events import completed, said, started
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server, a_server
from runtime.tests.amf.stacks import write_run_config
from runtime.tests.nats import RunningStack, running_stack
from runtime.tests.postgres import Postgres, certificates, running_postgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SECRET = {"urlSecretRef": {"name": "db", "key": "url"}}


@dataclass
class Pair:
    """Two servers beside each other."""

    one: Server
    other: Server
    database: Postgres


@contextlib.asynccontextmanager
async def servers(
    nats: RunningStack, folder: Path, database: Postgres
) -> AsyncIterator[tuple[Server, Server]]:
    """Two servers that were started at the same moment, on an empty database."""
    queue = nats.queue(await nats.serving(Role.SERVER))
    made = []
    for name in ("one", "other"):
        (folder / name).mkdir()
        config = write_run_config(queue, folder / name, storage={"postgres": SECRET})
        made.append(
            a_server(nats, folder / name, queue, config, K8GENTAI_DATABASE_URL=database.url)
        )
    try:
        await asyncio.gather(*(server.start() for server in made))
        yield made[0], made[1]
    finally:
        await asyncio.gather(*(server.stop() for server in made))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    places = [tmp_path_factory.mktemp(name) for name in ("stack", "servers", "postgres")]
    async with (
        running_stack(ObjectName(namespace="team", name="default"), places[0]) as nats,
        running_postgres(places[2]) as database,
        servers(nats, places[1], database) as (one, other),
    ):
        yield Pair(one, other, database)


async def test_a_response_of_one_server_is_retrieved_and_listed_by_the_other(pair: Pair) -> None:
    words = random_words()
    async with (
        agent(pair.one) as (model, _),
        openai_client(pair.one) as one,
        openai_client(pair.other) as other,
        http_client(pair.other) as plain,
    ):
        made = await one.responses.create(model=model, input=words)
        found = await other.responses.retrieve(made.id)
        listed = (await plain.get("/responses")).json()["data"]
        items = await other.responses.input_items.list(made.id)
        followed = await other.responses.create(
            model=model, input="more", previous_response_id=made.id
        )

    assert found.output_text == made.output_text == words
    assert made.id in [one["id"] for one in listed]
    assert items.data[0].type == "message"
    assert followed.status == "completed"


async def test_a_response_of_one_server_is_cancelled_at_the_other(pair: Pair) -> None:
    begun = asyncio.Event()

    async def until_cancelled(play: Play) -> None:
        await play.begin()
        begun.set()
        while not play.held.record.cancel_requested:
            await asyncio.sleep(0.02)
            found = await play.runs.get(play.task.agent, play.task.id)
            assert found is not None
            play.held = found
        end = Cancelled(task=play.task.id, attempt=1, seq=1)
        await play.write(end)
        await play.tell(end)

    async with (
        agent(pair.one, until_cancelled) as (model, _),
        openai_client(pair.one) as one,
        openai_client(pair.other) as other,
    ):
        made = await one.responses.create(model=model, input="?", background=True)
        await begun.wait()
        cancelled = await other.responses.cancel(made.id)
        found = await one.responses.retrieve(made.id)

    assert cancelled.status == found.status == "cancelled"


async def test_a_conversation_is_the_same_at_both_servers(pair: Pair) -> None:
    async with (
        agent(pair.one) as (model, actor),
        openai_client(pair.one) as one,
        openai_client(pair.other) as other,
    ):
        talk = await one.conversations.create(
            items=[{"type": "message", "role": "user", "content": "I am Ann."}]
        )
        await other.responses.create(model=model, input="first", conversation=talk.id)
        await one.responses.create(model=model, input="second", conversation=talk.id)
        listed: Any = other.conversations.items.list(talk.id, order="asc")
        contents = [item.content async for item in listed]
        await other.conversations.delete(talk.id)
        with pytest.raises(openai.NotFoundError):
            await one.conversations.retrieve(talk.id)

    assert [message.text for message in actor.seen[1].history] == ["I am Ann.", "first", "first"]
    texts = sorted(one if isinstance(one, str) else one[0].text for one in contents)
    assert texts == ["I am Ann.", "first", "first", "second", "second"]


async def test_a_file_is_the_same_at_both_servers(pair: Pair) -> None:
    content = random_words().encode() + bytes(range(256))
    async with openai_client(pair.one) as one, openai_client(pair.other) as other:
        made = await one.files.create(file=("notes \u00e9.txt", content), purpose="assistants")
        found = await other.files.retrieve(made.id)
        read = await other.files.content(made.id)
        listed = [file.id async for file in other.files.list(purpose="assistants")]
        await other.files.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await one.files.content(made.id)

    assert (found.filename, found.bytes) == ("notes _.txt", len(content))
    assert read.content == content
    assert made.id in listed
    assert await pair.database.rows("SELECT id FROM openai_file_contents") == []


async def test_a_prompt_is_the_same_at_both_servers(pair: Pair) -> None:
    async with http_client(pair.one) as one, http_client(pair.other) as other:
        made = (await one.post("/prompts", json={"prompt": "Be brief."})).json()
        found = (await other.get(f"/prompts/{made['prompt_id']}")).json()

    assert found["prompt"] == "Be brief."


async def test_two_servers_make_their_tables_at_the_same_moment(pair: Pair) -> None:
    async with http_client(pair.one) as one, http_client(pair.other) as other:
        answers = await asyncio.gather(
            *(client.get("/files") for client in (one, other) for _ in range(8))
        )

    assert {answer.status_code for answer in answers} == {200}


async def test_a_stream_is_lost_with_its_server_and_its_answer_is_not(pair: Pair) -> None:
    words = random_words()
    go_on = asyncio.Event()

    async def in_two_halves(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("So: "), said(words), completed(f"So: {words}")])
        await play.tell(*events[:2])
        await go_on.wait()
        await play.finish(*events[2:])

    async with agent(pair.other, in_two_halves) as (model, _), http_client(pair.other) as other:
        body = {"model": model, "input": "?", "stream": True, "background": True}
        response = await first_of_a_stream(pair.one, body, pair.one.kill)
        go_on.set()
        async with asyncio.timeout(30):
            while (found := (await other.get(f"/responses/{response}")).json())["status"] != (
                "completed"
            ):
                await asyncio.sleep(0.05)
        await pair.one.start()
        async with http_client(pair.one) as one:
            again = (await one.get(f"/responses/{response}")).json()

    assert found["output"] == again["output"]
    assert found["output"][-1]["content"][0]["text"] == f"So: {words}"


async def first_of_a_stream(server: Server, body: dict[str, Any], end: Any) -> str:
    """Begin a stream, and `end` the server once a word has come: the id of the response."""
    response = ""
    with contextlib.suppress(Exception):
        async with (
            http_client(server) as client,
            client.stream("POST", "/responses", json=body) as s,
        ):
            async for line in s.aiter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data") else {}
                response = event.get("response", {}).get("id", response)
                if event.get("type") == "response.output_text.delta":
                    await end()
    return response


async def test_agents_answer_while_the_database_is_away(pair: Pair) -> None:
    words = random_words()
    async with (
        agent(pair.one) as (model, _),
        openai_client(pair.one) as client,
        http_client(pair.one) as plain,
    ):
        talk = await client.conversations.create()
        await pair.database.stop()
        try:
            answer = await client.responses.create(model=model, input=words)
            refused = [
                await plain.post(
                    "/responses", json={"model": model, "input": "?", "conversation": talk.id}
                ),
                await plain.get("/files"),
                await plain.post("/conversations", json={}),
                await plain.post("/prompts", json={"prompt": "Be brief."}),
            ]
            readiness = await pair.one.readiness()
            health = await health_of(pair.one)
        finally:
            await pair.database.start()
        again = await client.responses.create(model=model, input=words, conversation=talk.id)
        kept = await plain.post("/prompts", json={"prompt": "Be brief."})

    assert answer.output_text == again.output_text == words
    assert [one.status_code for one in refused] == [503] * 4
    assert all(one.json()["error"]["code"] == "database_unavailable" for one in refused)
    assert readiness == 200
    assert health["status"] == "Error"
    assert "cannot be reached" in health["message"]
    assert kept.status_code == 200
    assert (await health_of(pair.one))["status"] == "OK"


async def health_of(server: Server) -> dict[str, Any]:
    """What the server says of its agents' provider, which speaks for the database."""
    async with http_client(server) as client:
        listed = (await client.get("/providers")).json()["data"]
    health: dict[str, Any] = next(one["health"] for one in listed if one["provider_id"] == "agents")
    return health


async def test_a_server_waits_for_its_database(pair: Pair, tmp_path: Path) -> None:
    nats = pair.one.nats
    queue = nats.queue(await nats.serving(Role.SERVER))
    config = write_run_config(queue, tmp_path, storage={"postgres": SECRET})
    server = a_server(nats, tmp_path, queue, config, K8GENTAI_DATABASE_URL=pair.database.url)
    await pair.database.stop()
    try:
        await server.launch()
        async with asyncio.timeout(60):
            while (said := await server.why_not_ready())[0] != 503 or "reached" not in said[1]:
                await asyncio.sleep(0.05)
        await pair.database.start()
        await server.until_ready()
    finally:
        await server.stop()

    where = f"127.0.0.1:{pair.database.port}"
    assert said[1].startswith(f"the database postgres at {where} cannot be reached: ")


async def test_several_processes_of_one_server_share_the_database(
    pair: Pair, tmp_path: Path
) -> None:
    nats = pair.one.nats
    queue = nats.queue(await nats.serving(Role.SERVER))
    spec = {"storage": {"postgres": SECRET}, "server": {"workers": 2}}
    config = write_run_config(queue, tmp_path, **spec)
    server = a_server(nats, tmp_path, queue, config, K8GENTAI_DATABASE_URL=pair.database.url)
    try:
        await server.launch_command()
        await server.until_ready()
        async with openai_client(server) as client:
            talk = await client.conversations.create()
        for _ in range(8):
            async with openai_client(server) as client:
                assert (await client.conversations.retrieve(talk.id)).id == talk.id
    finally:
        code = await server.stop()

    assert code == 0


async def test_a_certificate_is_verified_whichever_driver_asks(pair: Pair, tmp_path: Path) -> None:
    """Keys and tables are asked for by different ones; the first sees a wrong authority as well."""
    authority, certificate, key = certificates()
    stranger, _, _ = certificates()
    nats = pair.one.nats
    queue = nats.queue(await nats.serving(Role.SERVER))
    config = write_run_config(queue, tmp_path, storage={"postgres": SECRET})
    (tmp_path / "postgres").mkdir()
    async with running_postgres(tmp_path / "postgres") as database:
        await database.use_tls(certificate, key)
        database.ssl_mode = "verify-full"
        told = {"K8GENTAI_DATABASE_URL": database.url, "K8GENTAI_DATABASE_CA": authority.decode()}
        server = a_server(nats, tmp_path, queue, config, **told)
        try:
            await server.start()
            async with http_client(server) as client:
                files = await client.get("/files")
                prompt = await client.post("/prompts", json={"prompt": "Be brief."})
            await server.stop()
            server.environment["K8GENTAI_DATABASE_CA"] = stranger.decode()
            await server.launch()
            async with asyncio.timeout(60):
                while "verify failed" not in (await server.why_not_ready())[1]:
                    await asyncio.sleep(0.05)
        finally:
            await server.stop()

    assert (files.status_code, prompt.status_code) == (200, 200)


async def test_nothing_that_is_written_down_shows_the_password(pair: Pair) -> None:
    for server in (pair.one, pair.other):
        for file in [*server.folder.rglob("*"), Path(server.environment["K8GENTAI_CONFIG"])]:
            if file.is_file():
                text = file.read_bytes().decode(errors="replace")
                assert pair.database.password not in text
                assert pair.database.url not in text
    async with http_client(pair.one) as client:
        for path in ("/providers", "/models"):
            assert pair.database.password not in (await client.get(path)).text
