"""What a user has left at a real server and its queue, and that all of it goes at his word."""

import asyncio
import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from runtime.amf.flavour import IS_OGX
from runtime.amf.queued import work_of
from runtime.contract.dead_letter import DeadLetter
from runtime.contract.messages import Call, Task
from runtime.contract.subjects import Bucket, Stream
from runtime.tests.amf.clients import agent, agent_without_worker, http_client, random_words
from runtime.tests.amf.server import Server
from runtime.tests.amf.test_erasing import everything
from runtime.tests.amf.users import Users
from runtime.tests.nats import OPERATOR_WORKLOAD, prove
from runtime.transport.keeper import Keeper
from runtime.worker.loop import settle
from runtime.worker.outcomes import GivenUp

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

ME = "/v1alpha/k8gentai/users/me"


def stored(server: Server) -> bytes:
    """All that the server itself keeps, end to end."""
    found = b"".join(file.read_bytes() for file in (server.folder / "files").glob("*"))
    for name in ("sql.db", "kv.db"):
        with sqlite3.connect(server.folder / name) as database:
            found += "\n".join(database.iterdump()).encode()
    return found


async def done(asked: Any) -> Any:
    answer = await asked
    assert answer.status_code == 200, answer.text
    return answer.json()


async def live(users: Users, user: httpx.AsyncClient, words: str, idle: str) -> None:
    """Say `words` everywhere; `idle` is an agent that nobody works for."""
    item = {"type": "message", "role": "user", "content": words}
    talk = (await done(user.post("/conversations", json={"items": [item]})))["id"]
    body = {"model": users.model, "input": words}
    key = {"Idempotency-Key": secrets.token_hex(5)}
    await done(user.post("/responses", json=body | {"conversation": talk}))
    await done(user.post("/responses", json=body, headers=key))
    waiting = {"model": idle, "input": words, "background": True}
    await done(user.post("/responses", json=waiting))
    config = {"model": users.model, "instructions": words}
    made = (await done(user.post("/agents", json={"agent_config": config})))["agent_id"]
    path = f"/agents/{made}/session"
    session = (await done(user.post(path, json={"session_name": words})))["session_id"]
    turn = {"messages": [{"role": "user", "content": words}]}
    await done(user.post(f"{path}/{session}/turn", json=turn))
    await done(user.post("/prompts", json={"prompt": words}))
    file = {"file": ("notes.txt", words.encode())}
    await done(user.post("/files", files=file, data={"purpose": "assistants"}))


@contextlib.asynccontextmanager
async def giving_up(server: Server) -> AsyncIterator[str]:
    """The model of an Agent whose worker brings nothing to an end."""
    workload = await server.nats.agent(f"a{secrets.token_hex(3)}")
    entry = await server.add_agent(workload.name.name)
    queue = server.nats.queue(workload)
    with Keeper(queue, prove(queue), ack_wait_seconds=10) as keeper:
        async with server.nats.link_as(workload) as link:
            inbox = await link.inbox(
                keeper, Stream.TASKS, workload.durable or "", slots=8, hold_seconds=60
            )

            async def give_up() -> None:
                while True:
                    await settle(await inbox.next(), GivenUp("gave up after 5 attempts"))

            giving = asyncio.create_task(give_up())
            yield entry.model
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)
            await inbox.stop()
    await server.remove_agent(entry)


async def die(server: Server, user: httpx.AsyncClient, words: str, model: str) -> None:
    """Leave the last words of a worker, and a dead letter made of them as the dispatcher does."""
    body = {"model": model, "input": words, "background": True}
    asked = (await done(user.post("/responses", json=body)))["id"].removeprefix("resp_")
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link:
        last: Task | Call | None = None
        async with asyncio.timeout(10):
            async for advisory in link.reader(Stream.ADVISORIES).read(">"):
                last = work_of(Stream.ADVISORIES, advisory.data)
                if last is not None and last.id == asked:
                    break
        assert isinstance(last, Task)
        letter = DeadLetter(stream=Stream.TASKS, sequence=1, reason="no", deliveries=1)
        dead = server.nats.subjects.dead(Stream.TASKS, last.agent)
        await link.outbox.publish(dead, last.encode(), headers=letter.headers())


async def spoken_of(server: Server) -> set[str]:
    """Whose tasks workers have given up, as far as their last words are kept."""
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link:
        messages = [one async for one in link.reader(Stream.ADVISORIES).scan(">")]
    found = [work_of(Stream.ADVISORIES, message.data) for message in messages]
    return {work.user for work in found if isinstance(work, Task)}


async def test_a_user_takes_all_of_his_away_and_nothing_of_others(
    users: Users, people: Server
) -> None:
    mine, others = random_words(), random_words()
    idle = await agent_without_worker(people)
    await users.until_known(idle)
    async with giving_up(people) as doomed:
        await users.until_known(doomed)
        for user, words in ((users.ann, mine), (users.bob, others)):
            await live(users, user, words, idle)
            await die(people, user, words, doomed)
    queue, own = await everything(people), stored(users.server)

    erased = await users.ann.delete(httpx.URL(users.server.url).join(ME))
    again = await users.ann.delete(httpx.URL(users.server.url).join(ME))

    after, own_after = await everything(people), stored(users.server)
    assert (erased.status_code, erased.json()) == (
        200,
        {"object": "user", "id": users.issuer.principal("ann"), "deleted": True},
    )
    assert again.status_code == 200
    assert queue.count(mine.encode()) > 12
    assert own.count(mine.encode()) >= 4
    assert after.count(mine.encode()) == own_after.count(mine.encode()) == 0
    assert after.count(others.encode()) == queue.count(others.encode())
    assert own_after.count(others.encode()) == own.count(others.encode())
    assert await spoken_of(people) == {users.issuer.principal("bob")}
    for path in ("/responses", "/prompts", "/agents"):
        assert (await done(users.ann.get(path)))["data"] == []
        assert (await done(users.bob.get(path)))["data"] != []


@pytest.mark.skipif(not IS_OGX, reason="Llama Stack has nothing before it")
async def test_what_llama_stack_has_left_goes_as_well(users: Users) -> None:
    """As it is kept there: items in a table that OGX copies, and prompts, which it does not."""
    words, home = random_words(), users.server.folder
    ann = users.issuer.principal("ann")
    whose = f"user:{hashlib.sha256(ann.encode()).hexdigest()}:prompts:v1:pmpt_1"
    with contextlib.closing(sqlite3.connect(home / "sql.db")) as database, database:
        database.execute(
            "CREATE TABLE conversation_items_v1 "
            "(id TEXT, conversation_id TEXT, item_data TEXT, owner_principal TEXT)"
        )
        database.execute(
            "INSERT INTO conversation_items_v1 VALUES ('msg_1', 'conv_1', ?, ?)", (words, ann)
        )
    with contextlib.closing(sqlite3.connect(home / "kv.db")) as database, database:
        database.execute("INSERT INTO kvstore (key, value) VALUES (?, ?)", (whose, words))
    before = stored(users.server)

    await done(users.ann.delete(httpx.URL(users.server.url).join(ME)))

    assert before.count(words.encode()) == 2
    assert stored(users.server).count(words.encode()) == 0


async def test_prompts_are_ones_own(users: Users) -> None:
    made = await done(users.ann.post("/prompts", json={"prompt": random_words()}))
    path = f"/prompts/{made['prompt_id']}"

    listed = (await done(users.bob.get("/prompts")))["data"]
    read, deleted = await users.bob.get(path), await users.bob.delete(path)

    assert made["prompt_id"] not in {one["prompt_id"] for one in listed}
    assert 400 <= read.status_code < 500
    assert 400 <= deleted.status_code < 500
    assert (await done(users.ann.get(path)))["prompt"] == made["prompt"]


async def test_a_deleted_conversation_takes_what_was_said_in_it_along(server: Server) -> None:
    words = random_words()
    item = {"type": "message", "role": "user", "content": words}
    async with agent(server) as (model, _), http_client(server) as client:
        talk, kept = [
            (await done(client.post("/conversations", json={"items": [item]})))["id"]
            for _ in range(2)
        ]
        for conversation in (talk, kept):
            body = {"model": model, "input": words, "conversation": conversation}
            await done(client.post("/responses", json=body))
        deleted = await done(client.delete(f"/conversations/{talk}"))
        gone = await client.delete(f"/conversations/{talk}")
        still = (await done(client.get(f"/conversations/{kept}/items")))["data"]

    bucket = server.nats.subjects.record(Bucket.CONVERSATIONS, "")
    keys = [one for one in (await everything(server)).split() if one.startswith(bucket.encode())]
    assert deleted["deleted"]
    assert gone.status_code == 404
    assert len(still) == 3
    assert [one for one in keys if kept.encode() in one]
    assert stored(server).count(talk.encode()) == 0
