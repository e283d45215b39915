"""Agents over A2A, with the SDK's own client: a real server and queue."""

import asyncio
import secrets
from pathlib import Path

import httpx
import pytest
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    SendMessageRequest,
    SubscribeToTaskRequest,
)
from a2a.utils.errors import (
    InvalidParamsError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from runtime.contract.keys import run_key
from runtime.contract.messages import Role
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.value import ObjectName
from runtime.state.conversations import Conversations
from runtime.tests.amf.a2a.clients import (
    a2a_client,
    answer_of,
    answered,
    card_of,
    deciding,
    name_of,
    read,
    saying,
    states,
    task_in,
    until_ended,
    until_spoken,
)
from runtime.tests.amf.approvals import adding
from runtime.tests.amf.clients import agent, agent_without_worker, random_words
from runtime.tests.amf.events import called, completed, failed, returned, said, started
from runtime.tests.amf.plays import Play, acting, until_cancelled
from runtime.tests.amf.records import record
from runtime.tests.amf.server import Server, running_server
from runtime.tests.dispatch.scene import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

BOTH = pytest.mark.parametrize("version", ["1.0", "0.3"])


async def test_agents_are_found_by_their_cards(server: Server) -> None:
    async with (
        agent(server, description="Says it again.") as (model, _),
        httpx.AsyncClient() as http,
    ):
        card = await card_of(server, model, http)
        listed = (await http.get(f"{server.url}/a2a")).json()["agents"]

    assert (card.name, card.description) == (model, "Says it again.")
    assert card.supported_interfaces[0].url == f"{server.url}/a2a/{model}"
    assert [one["name"] for one in listed if one["name"] == model] == [model]


@BOTH
async def test_an_answer_is_read_as_it_comes(server: Server, version: str) -> None:
    words = random_words()
    async with agent(server) as (model, _), a2a_client(server, model, version=version) as client:
        told = await read(client.send_message(saying(words)))

    assert states(told) == ["SUBMITTED", "WORKING", "COMPLETED"]
    assert answered(told) == words
    assert sum(one.HasField("artifact_update") for one in told) > 0


@BOTH
async def test_an_answer_is_waited_for(server: Server, version: str) -> None:
    words = random_words()
    async with (
        agent(server) as (model, _),
        a2a_client(server, model, version=version, streaming=False) as client,
    ):
        task = task_in(await read(client.send_message(saying(words))))
        again = await client.get_task(GetTaskRequest(id=task.id))

    assert (name_of(task.status.state), answer_of(task)) == ("COMPLETED", words)
    assert again == task


@BOTH
async def test_who_does_not_wait_asks_for_the_task_later(server: Server, version: str) -> None:
    model = await agent_without_worker(server)
    async with (
        a2a_client(server, model, version=version, streaming=False, polling=True) as polling,
        a2a_client(server, model, version=version) as client,
    ):
        task = task_in(await read(polling.send_message(saying("Hello"))))
        coming = client.subscribe(SubscribeToTaskRequest(id=task.id))
        told = [await anext(coming)]
        async with acting(server.nats, await server.nats.agent(model)):
            told += await read(coming)
        ended = await client.get_task(GetTaskRequest(id=task.id))

    assert name_of(task.status.state) == "SUBMITTED"
    assert [len(task.history), len(task.artifacts)] == [1, 0]
    assert states(told) == ["SUBMITTED", "WORKING", "COMPLETED"]
    assert answered(told) == answer_of(ended) == "Hello"


async def test_calls_of_tools_are_told_and_the_answer_is_what_was_said_last(
    server: Server,
) -> None:
    async def with_a_tool(play: Play) -> None:
        await play.perform(
            [started(), said("Let me see."), called(1), returned(1), said("5"), completed("5")]
        )

    async with agent(server, with_a_tool) as (model, _), a2a_client(server, model) as client:
        told = await read(client.send_message(saying("2+3?")))
        task = await client.get_task(GetTaskRequest(id=task_in(told).id, history_length=0))

    data = [
        dict(part.data.struct_value.items())
        for one in told
        for part in one.status_update.status.message.parts
    ]
    assert [one["name"] for one in data] == ["plus", "plus"]
    assert data[1]["output"] == "5"
    assert answered(told) == answer_of(task) == "5"
    assert (len(task_in(told).history), len(task.history)) == (1, 0)


async def test_a_context_is_a_conversation(server: Server) -> None:
    async with agent(server) as (model, actor), a2a_client(server, model) as client:
        first = task_in(await read(client.send_message(saying("My name is Ann."))))
        there = {"context_id": first.context_id}
        second = task_in(await read(client.send_message(saying("And hers?", **there))))
        await read(client.send_message(saying("Who?")))

    assert second.context_id == first.context_id
    assert second.id != first.id
    assert [(one.role, one.text) for one in actor.seen[1].history] == [
        (Role.USER, "My name is Ann."),
        (Role.ASSISTANT, "My name is Ann."),
    ]
    assert actor.seen[2].history == ()


async def test_a_run_that_fails_says_why(server: Server) -> None:
    async def fail(play: Play) -> None:
        await play.perform([started(), failed("The model is away.")])

    async with agent(server, fail) as (model, _), a2a_client(server, model) as client:
        told = await read(client.send_message(saying("Hello")))

    assert states(told)[-1] == "FAILED"
    assert told[-1].status_update.status.message.parts[0].text == "The model is away."


@BOTH
async def test_a_task_can_be_cancelled_once(server: Server, version: str) -> None:
    async with (
        agent(server, until_cancelled) as (model, _),
        a2a_client(server, model, version=version, streaming=False, polling=True) as polling,
        a2a_client(server, model, version=version) as client,
    ):
        task = task_in(await read(polling.send_message(saying("Work"))))

        async def is_begun() -> bool:
            seen = await client.get_task(GetTaskRequest(id=task.id))
            return name_of(seen.status.state) == "WORKING"

        await until(is_begun)
        await client.cancel_task(CancelTaskRequest(id=task.id))
        ended = await until_ended(client, task.id)
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(UnsupportedOperationError):
            await read(client.subscribe(SubscribeToTaskRequest(id=task.id)))

    assert name_of(ended.status.state) == "CANCELED"


async def test_a_client_that_leaves_may_come_back(server: Server) -> None:
    left = asyncio.Event()

    async def slow(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("one "), said("two"), completed("one two")])
        await play.tell(*events[:2])
        await left.wait()
        await play.finish(*events[2:])

    async with agent(server, slow) as (model, _):
        async with a2a_client(server, model) as client:
            reading = client.send_message(saying("Count"))
            task = task_in(await until_spoken(reading))
            await reading.aclose()  # type: ignore[attr-defined]  # it is a generator
        async with a2a_client(server, model) as client:
            coming = client.subscribe(SubscribeToTaskRequest(id=task.id))
            told = [await anext(coming)]
            left.set()
            told += await read(coming)

    assert states(told) == ["WORKING", "COMPLETED"]
    assert answered(told) == "one two"


async def test_a_task_goes_on_at_another_server_when_its_own_is_killed(
    server: Server, tmp_path: Path
) -> None:
    words = random_words()
    killed = asyncio.Event()

    async def across_a_kill(play: Play) -> None:
        await play.begin()
        events = play.events([started(), said("So: "), said(words), completed(f"So: {words}")])
        await play.tell(*events[:2])
        await killed.wait()
        await play.finish(*events[2:])

    async with (
        agent(server, across_a_kill) as (model, _),
        running_server(server.nats, tmp_path) as dying,
        a2a_client(dying, model) as at_the_first,
        a2a_client(server, model) as client,
    ):
        reading = at_the_first.send_message(saying("Say it"))
        told = await until_spoken(reading)
        await dying.kill()
        with pytest.raises(A2AClientError):
            await anext(reading)
        task = task_in(told).id
        meanwhile = await client.get_task(GetTaskRequest(id=task))
        coming = client.subscribe(SubscribeToTaskRequest(id=task))
        again = [await anext(coming)]
        killed.set()
        again += await read(coming)

    assert answered(told) == "So: "
    assert name_of(meanwhile.status.state) == "WORKING"
    assert states(again) == ["WORKING", "COMPLETED"]
    assert answered(again) == f"So: {words}"


async def test_a_task_is_cancelled_at_any_server(server: Server, other: Server) -> None:
    async with (
        agent(server, until_cancelled) as (model, _),
        a2a_client(server, model) as client,
        a2a_client(other, model) as elsewhere,
    ):
        reading = client.send_message(saying("Work"))
        told = await until_spoken(reading)
        await elsewhere.cancel_task(CancelTaskRequest(id=task_in(told).id))
        told += await read(reading)

    assert states(told)[-1] == "CANCELED"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(saying("approve"), "Done.", id="a word"),
        pytest.param(deciding({"approve": True}), "Done.", id="data"),
    ],
)
async def test_a_task_that_needs_a_person_goes_on_when_it_is_answered(
    people: Server, answer: SendMessageRequest, text: str
) -> None:
    async with agent(people, adding()) as (model, _), a2a_client(people, model) as client:
        asked = await read(client.send_message(saying("2+3?")))
        task = task_in(asked)
        answer.message.task_id = task.id
        told = await read(client.send_message(answer))
        with pytest.raises(UnsupportedOperationError, match="has ended"):
            await read(client.send_message(answer))

    assert states(asked) == ["SUBMITTED", "WORKING", "INPUT_REQUIRED"]
    assert task_in(told).id == task.id
    assert states(told)[-1] == "COMPLETED"
    assert answered(told) == text


async def test_who_waits_is_told_that_a_person_is_needed(people: Server) -> None:
    async with (
        agent(people, adding()) as (model, _),
        a2a_client(people, model, streaming=False) as client,
    ):
        asked = task_in(await read(client.send_message(saying("2+3?"))))
        denied = saying("deny", task_id=asked.id, context_id=asked.context_id)
        ended = task_in(await read(client.send_message(denied)))

    assert name_of(asked.status.state) == "INPUT_REQUIRED"
    assert name_of(ended.status.state) == "COMPLETED"


async def test_tasks_of_others_are_unknown(server: Server) -> None:
    """A task of somebody else's, one of another agent, and none at all look the same."""
    async with (
        agent(server) as (model, _),
        agent(server) as (other, _),
        a2a_client(server, model) as client,
        a2a_client(server, other) as beside,
    ):
        mine = task_in(await read(client.send_message(saying("Hello")))).id
        theirs = await run_of_somebody_else(server, model)
        for asking, task in ((client, theirs), (beside, mine), (client, "*"), (client, "f" * 32)):
            with pytest.raises(TaskNotFoundError):
                await asking.get_task(GetTaskRequest(id=task))
            with pytest.raises(TaskNotFoundError):
                await asking.cancel_task(CancelTaskRequest(id=task))
            with pytest.raises(TaskNotFoundError):
                await read(asking.subscribe(SubscribeToTaskRequest(id=task)))
            with pytest.raises(TaskNotFoundError):
                await read(asking.send_message(saying("approve", task_id=task)))


async def test_tasks_are_listed_page_by_page_and_only_ones_own(server: Server) -> None:
    async with agent(server) as (model, _), a2a_client(server, model) as client:
        tasks = [task_in(await read(client.send_message(saying(word)))) for word in "abc"]
        await run_of_somebody_else(server, model)
        first = await client.list_tasks(ListTasksRequest(page_size=2, include_artifacts=True))
        token = first.next_page_token
        second = await client.list_tasks(ListTasksRequest(page_size=2, page_token=token))
        there = await client.list_tasks(ListTasksRequest(context_id=tasks[1].context_id))

    assert [answer_of(one) for one in first.tasks] == ["c", "b"]
    assert [one.id for one in second.tasks] == [tasks[0].id]
    assert (first.total_size, second.next_page_token) == (3, "")
    assert [one.id for one in there.tasks] == [tasks[1].id]


async def test_contexts_of_others_are_unknown(server: Server) -> None:
    workload = await server.nats.serving(QueueRole.SERVER)
    async with (
        agent(server) as (model, _),
        a2a_client(server, model) as client,
        server.nats.link_as(workload) as link,
    ):
        context = secrets.token_hex(8)
        await Conversations(link.store(Bucket.CONVERSATIONS)).open(context, "bob")
        with pytest.raises(InvalidParamsError, match=f"no conversation {context}"):
            await read(client.send_message(saying("Hello", context_id=context)))


async def run_of_somebody_else(server: Server, model: str) -> str:
    """The task of a run of bob's."""
    name = ObjectName(namespace="team", name=model)
    run = record(RunState.RUNNING, attempt=1)
    task = run.task.model_copy(
        update={"id": secrets.token_hex(16), "agent": name, "user": "bob", "conversation": None}
    )
    workload = await server.nats.serving(QueueRole.SERVER)
    async with server.nats.link_as(workload) as link:
        held = run.model_copy(update={"task": task})
        await link.store(Bucket.RUNS).create(run_key(name, task.id), held.encode())
    return task.id
