"""The SDK's own client, and what a program that uses it sees."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
from a2a.client import Client, ClientConfig, create_client
from a2a.client.card_resolver import A2ACardResolver
from a2a.helpers import get_artifact_text, new_data_part, new_text_part
from a2a.types import (
    AgentCard,
    GetTaskRequest,
    Message,
    Role,
    SendMessageRequest,
    StreamResponse,
    Task,
    TaskState,
)

from runtime.tests.amf.server import Server

ENDS = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
}


@contextlib.asynccontextmanager
async def a2a_client(
    server: Server, model: str, *, version: str = "1.0", who: str = "", **config: Any
) -> AsyncIterator[Client]:
    """A client of the agent at this server, which speaks this version of the protocol."""
    headers = {"authorization": f"Bearer {who}"} if who else {}
    async with httpx.AsyncClient(timeout=30, headers=headers) as http:
        card = await card_of(server, model, http)
        others = [one for one in card.supported_interfaces if one.protocol_version != version]
        for one in others:
            card.supported_interfaces.remove(one)
        yield await create_client(card, ClientConfig(httpx_client=http, **config))


async def card_of(server: Server, model: str, http: httpx.AsyncClient) -> AgentCard:
    return await A2ACardResolver(http, f"{server.url}/a2a/{model}").get_agent_card()


def saying(text: str, **where: str) -> SendMessageRequest:
    """A message; `context_id` or `task_id` say where it belongs."""
    return _request(new_text_part(text), **where)


def deciding(data: dict[str, Any], **where: str) -> SendMessageRequest:
    """A message that decides, as a program sends it."""
    return _request(new_data_part(data), **where)


def _request(part: Any, **where: str) -> SendMessageRequest:
    message = Message(message_id="m1", role=Role.ROLE_USER, parts=[part], **where)
    return SendMessageRequest(message=message)


async def read(responses: AsyncIterator[StreamResponse]) -> list[StreamResponse]:
    return [one async for one in responses]


async def until_spoken(responses: AsyncIterator[StreamResponse]) -> list[StreamResponse]:
    """What comes until the agent has said its first word."""
    told = [await anext(responses)]
    while not told[-1].HasField("artifact_update"):
        told.append(await anext(responses))
    return told


async def until_ended(client: Client, task: str) -> Task:
    """The task once it is cancelled, or has come to another end."""
    async with asyncio.timeout(30):
        while (found := await client.get_task(GetTaskRequest(id=task))).status.state not in ENDS:
            await asyncio.sleep(0.05)
    return found


def answered(responses: Iterable[StreamResponse]) -> str:
    """The answer as it is after all updates: one that does not append replaces it."""
    text = ""
    for one in responses:
        if one.HasField("artifact_update"):
            update = one.artifact_update
            text = (text if update.append else "") + get_artifact_text(update.artifact)
        elif one.HasField("task"):
            text = answer_of(one.task)
    return text


def answer_of(task: Task) -> str:
    return "".join(get_artifact_text(one) for one in task.artifacts)


def states(responses: Iterable[StreamResponse]) -> list[str]:
    """The states in the order in which they were told, each once."""
    found: list[str] = []
    for one in responses:
        if one.HasField("task"):
            found.append(name_of(one.task.status.state))
        elif one.HasField("status_update"):
            found.append(name_of(one.status_update.status.state))
    return [state for number, state in enumerate(found) if found[number - 1 : number] != [state]]


def name_of(state: TaskState) -> str:
    name: str = TaskState.Name(state)
    return name.removeprefix("TASK_STATE_")


def task_in(responses: Iterable[StreamResponse]) -> Task:
    """The task that an answer begins with."""
    first = next(iter(responses))
    assert first.HasField("task")
    return first.task
