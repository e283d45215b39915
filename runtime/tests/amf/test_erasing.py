"""Nothing of what was said is left on the queue once a response was deleted."""

import contextlib
import secrets
from typing import Any

import pytest
from nats.js.errors import NotFoundError

from runtime.amf.desk import Desk
from runtime.amf.errors import Conflict
from runtime.contract.agent_config import Queue, StackConfig
from runtime.contract.keys import ask_key, asked_task, checkpoint_key, effect_key, effect_part
from runtime.contract.messages import (
    AgentCalled,
    Asked,
    CallResult,
    Message,
    Outcome,
    Role,
    Task,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.value import ObjectName
from runtime.state.checkpoints import Checkpoints
from runtime.state.conversation_turns import LARGE_BYTES
from runtime.state.ledger import Ledger
from runtime.state.runs import Runs
from runtime.tests.amf.clients import agent, http_client, openai_client
from runtime.tests.amf.events import (
    ADD,
    MATH,
    TASK,
    called,
    completed,
    returned,
    said,
    started,
)
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server
from runtime.tests.nats import OPERATOR_WORKLOAD
from runtime.transport.memory import MemoryQueue

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

STACK = ObjectName(namespace="team", name="default")
KEPT = (Bucket.RUNS, Bucket.CONVERSATIONS, Bucket.CHECKPOINTS, Bucket.EFFECTS)


async def everything(server: Server) -> bytes:
    """All that is kept on the queue, end to end."""
    names = [server.nats.subjects.stream(stream) for stream in Stream]
    names += [f"KV_{server.nats.subjects.bucket(bucket)}" for bucket in KEPT]
    found = b""
    async with server.nats.connect_as(OPERATOR_WORKLOAD) as client:
        for name in names:
            state = (await client.jsm().stream_info(name)).state
            for number in range(max(state.first_seq, 1), state.last_seq + 1):
                with contextlib.suppress(NotFoundError):  # taken out, or written over
                    message = await client.jsm().get_msg(name, number)
                    found += f" {message.subject} ".encode() + (message.data or b"")
    return found


async def leaves_everything(play: Play) -> None:
    """Say what was said, in every place where a run may leave it."""
    agent, task, words = play.task.agent, play.task.id, play.said
    await play.begin()
    checkpoints = Checkpoints(play.link.store(Bucket.CHECKPOINTS))
    await checkpoints.of(agent, task, 1).save(words.encode)
    events = [started(), said(words), called(1, f'"{words}"'), returned(1, words)]
    await play.finish(*play.events([*events, completed(words, 7, 3)]))


async def leave_effects(server: Server, caller: ObjectName, task: str, words: str) -> None:
    """What a tool's worker keeps of a call."""
    tool = await server.nats.tool(ADD.name)
    key = effect_key(ADD, caller, task, 1, 0)
    async with server.nats.link_as(tool) as link:
        store = link.store(Bucket.EFFECTS)
        result = CallResult(call=key, outcome=Outcome.SUCCEEDED, value=words)
        await store.put(key, result.encode())
        await store.put(effect_part(key, 1, 0), words.encode())
        assert (await Ledger(store).read(key)).record is not None


@pytest.mark.parametrize("size", [10, LARGE_BYTES])
async def test_what_a_deleted_response_was_about_is_nowhere(server: Server, size: int) -> None:
    mine, others = (secrets.token_hex(size // 2) for _ in range(2))
    async with agent(server, leaves_everything) as (model, actor), openai_client(server) as client:
        conversation = await client.conversations.create()
        body: Any = {"model": model, "conversation": conversation.id}
        kept = await client.responses.create(input=others, **body)
        gone = await client.responses.create(input=mine, **body)
        for task, words in zip(actor.seen, (others, mine), strict=True):
            await leave_effects(server, task.agent, task.id, words)
        before = await everything(server)
        await client.responses.delete(gone.id)
        after = await everything(server)
        items: Any = client.conversations.items.list(conversation.id, order="asc")
        listed = [item.content[0].text async for item in items]
        still = await client.responses.retrieve(kept.id)
        goes_on = await client.responses.create(input="and now?", **body)

    task = actor.seen[1]
    checkpoint = server.nats.subjects.record(
        Bucket.CHECKPOINTS, checkpoint_key(task.agent, task.id)
    ).encode()
    assert before.count(mine.encode()) >= 6
    assert mine.encode() not in after
    assert checkpoint in before  # it is compressed, so its text does not show
    assert checkpoint not in after
    in_history = 2  # what was said and answered before
    assert after.count(others.encode()) == before.count(others.encode()) - in_history
    assert sorted(listed) == [others, others]
    assert still.output_text == others
    assert goes_on.output_text == "and now?"
    assert [message.text for message in actor.seen[-1].history] == [others, others]


async def test_a_key_is_free_once_its_response_was_deleted(server: Server) -> None:
    words = secrets.token_hex(10)
    key = {"Idempotency-Key": secrets.token_hex(5)}
    async with agent(server) as (model, actor), http_client(server) as client:
        body = {"model": model, "input": words}
        ids = []
        for _ in range(2):
            answer = await client.post("/responses", json=body, headers=key)
            ids.append(answer.json()["id"])
            await client.delete(f"/responses/{ids[-1]}")
        gone = await client.get(f"/responses/{ids[0]}")
        after = await everything(server)

    assert len(set(ids)) == len(actor.seen) == 2
    assert words.encode() not in after
    assert gone.status_code == 404


ASKED = ask_key(ADD, MATH, TASK, 1, 0)


def record(task: str, *, state: RunState = RunState.COMPLETED, **about: Any) -> RunRecord:
    return RunRecord(
        task=Task(
            id=task,
            stack=STACK,
            input=(Message(role=Role.USER, text="?"),),
            origin="here",
            created=0,
            deadline=60,
            **about,
        ),
        state=state,
    )


def child(**about: Any) -> RunRecord:
    waiting = Asked(call=ASKED, task=TASK, worker="w1", chain=(MATH,), deadline=60)
    return record(asked_task(ASKED), agent=ADD, asked=waiting, **about)


async def desk_with(*records: RunRecord) -> tuple[Desk, RunRecord]:
    """A desk on a queue in memory, where a run has asked another agent."""
    link = MemoryQueue(STACK).link()
    queue = Queue(stack=STACK, url="nats://nowhere", token_file="none", service_account=STACK)
    desk = Desk(StackConfig(queue=queue), link)
    asking = record(TASK, agent=MATH)
    called = AgentCalled(task=TASK, attempt=1, seq=1, call=ASKED, agent="add", input="?")
    await link.outbox.signal(desk.subjects.events(MATH, "here", TASK), called.encode())
    for one in (asking, *records):
        await Runs(link.store(Bucket.RUNS)).accept(one)
    return desk, asking


async def test_what_other_agents_were_asked_is_erased_first() -> None:
    desk, asking = await desk_with(child())

    await desk.forget(asking)

    assert [found async for found in desk.runs()] == []
    assert await desk.kept.events(asking.task) == []


async def test_what_other_agents_still_do_is_waited_for() -> None:
    desk, asking = await desk_with(child(state=RunState.RUNNING))

    with pytest.raises(Conflict, match="has not ended"):
        await desk.forget(asking)

    assert len([found async for found in desk.runs()]) == 2
