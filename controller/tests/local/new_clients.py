"""The clients of today, each with all the calls that its users make of the agent `math`."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import openai
import pytest
from a2a.client import ClientConfig, create_client
from a2a.types import CancelTaskRequest, GetTaskRequest, ListTasksRequest, TaskState
from a2a.utils.errors import TaskNotCancelableError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from runtime.tests.amf.a2a.clients import answer_of, answered, name_of, read, saying, states

type Check = Callable[[str, str, str], Coroutine[Any, Any, None]]

AGENT, CHAT = "math", "agents/math"
SECONDS = 60.0
MULTIPLY: Any = {
    "type": "function",
    "name": "multiply",
    "description": "Multiply two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}


@contextlib.asynccontextmanager
async def openai_client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The openai SDK, which asks nothing twice."""
    client = openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=SECONDS
    )
    async with client:
        yield client


async def check_responses(url: str, question: str, answer: str) -> None:
    """The Responses API: whole, streamed, in the background, read again, listed and erased."""
    async with openai_client(url) as client:
        whole = await client.responses.create(model=AGENT, input=question, metadata={"of": "sums"})
        assert [item.type for item in whole.output] == ["mcp_call", "message"]
        assert answer in whole.output_text

        stream = await client.responses.create(model=AGENT, input=question, stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-1].type == "response.completed"
        assert answer in events[-1].response.output_text

        begun = await client.responses.create(model=AGENT, input=question, background=True)
        rest = await client.responses.retrieve(begun.id, stream=True, starting_after=0)
        numbers = [event.sequence_number async for event in rest]
        assert numbers == list(range(1, len(numbers) + 1))
        assert answer in (await client.responses.retrieve(begun.id)).output_text
        assert (await client.responses.cancel(begun.id)).status == "completed"

        found = await client.responses.retrieve(whole.id)
        assert (found.output_text, found.metadata) == (whole.output_text, {"of": "sums"})
        (asked,) = [item async for item in client.responses.input_items.list(whole.id)]
        assert asked.model_dump()["content"][0]["text"] == question
        listed = await client.get("/responses", cast_to=httpx.Response)
        assert whole.id in {one["id"] for one in listed.json()["data"]}
        await client.responses.delete(whole.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(whole.id)


async def check_conversations(url: str, question: str, answer: str) -> None:
    """Turns that follow one another: in a conversation, and each by the response before."""
    async with openai_client(url) as client:
        conversation = await client.conversations.create()
        first = await client.responses.create(
            model=AGENT, input=question, conversation=conversation.id
        )
        assert answer in first.output_text
        again = "What did I ask first?"
        second = await client.responses.create(
            model=AGENT, input=again, conversation=conversation.id
        )
        assert question in second.output_text
        items = [item async for item in client.conversations.items.list(conversation.id)]
        assert [item.type for item in items].count("message") == 4
        await client.conversations.delete(conversation.id)

        third = await client.responses.create(
            model=AGENT, input=again, previous_response_id=first.id
        )
        assert question in third.output_text


async def check_functions(url: str, question: str, answer: str) -> None:
    """A function of the client, which the agent calls beside its tool, and whose output it gets."""
    output = secrets.token_hex(4)
    async with openai_client(url) as client:
        first = await client.responses.create(
            model=AGENT, input=f"{question} And what is 6 * 7?", tools=[MULTIPLY]
        )
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert call.name == "multiply"
        given: Any = {"type": "function_call_output", "call_id": call.call_id, "output": output}
        second = await client.responses.create(
            model=AGENT, input=[given], previous_response_id=first.id, tools=[MULTIPLY]
        )
        assert output in second.output_text
        assert answer in second.output_text


async def check_chat(url: str, question: str, answer: str) -> None:
    """Chat completions and models, as any chat UI uses them."""
    messages: Any = [{"role": "user", "content": question}]
    async with openai_client(url) as client:
        assert CHAT in {model.id async for model in client.models.list()}
        whole = await client.chat.completions.create(model=CHAT, messages=messages)
        assert answer in (whole.choices[0].message.content or "")
        stream = await client.chat.completions.create(
            model=CHAT, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert answer in text
        assert chunks[-1].usage is not None


async def check_a2a(url: str, question: str, answer: str) -> None:
    """The official SDK of A2A: the card, a message whole and streamed, and its task afterwards."""
    for streams in (True, False):
        async with httpx.AsyncClient(timeout=SECONDS) as http:
            config = ClientConfig(httpx_client=http, streaming=streams)
            client = await create_client(f"{url}/a2a/{AGENT}", config)
            told = await read(client.send_message(saying(question)))
            assert answer in answered(told)
            assert states(told)[-1] == name_of(TaskState.TASK_STATE_COMPLETED)
            task = await client.get_task(GetTaskRequest(id=told[0].task.id))
            assert answer in answer_of(task)
            listed = await client.list_tasks(ListTasksRequest(context_id=task.context_id))
            assert [one.id for one in listed.tasks] == [task.id]
            with pytest.raises(TaskNotCancelableError):
                await client.cancel_task(CancelTaskRequest(id=task.id))


async def check_mcp(url: str, question: str, answer: str) -> None:
    """The official SDK of MCP: agents as tools, two at once."""
    async with (
        streamable_http_client(f"{url}/mcp") as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        assert AGENT in {tool.name for tool in (await session.list_tools()).tools}
        calls = [session.call_tool(AGENT, {"input": question}) for _ in range(2)]
        for result in await asyncio.gather(*calls):
            assert not result.isError
            assert answer in result.model_dump()["content"][0]["text"]


CHECKS: dict[str, Check] = {
    "responses": check_responses,
    "conversations": check_conversations,
    "functions of the client": check_functions,
    "chat": check_chat,
    "A2A": check_a2a,
    "MCP": check_mcp,
}
"""All calls of one kind; each takes the URL of a server, a sum, and what it comes to."""
