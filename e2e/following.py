"""Streams as each client follows them, to their end or until a server takes them along."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
import openai
from a2a.client import ClientConfig, create_client
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.errors import A2AClientError
from a2a.types import GetTaskRequest, StreamResponse, SubscribeToTaskRequest
from a2a.utils.errors import UnsupportedOperationError

from e2e.asking import RETRIES, Asking
from runtime.tests.amf.a2a.clients import answer_of, answered, saying

AGENT = "words"
BREAKS = (httpx.TransportError, openai.APIConnectionError)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client has read.

    Shape:
        text is all pieces, one behind the other; answer is what is told as the whole.
        numbers are those of the events, where the protocol numbers them.
    """

    text: str
    answer: str
    is_broken: bool
    numbers: tuple[int, ...] = ()


type Spoken = Callable[[], Awaitable[object]]
"""To be awaited when the agent has said its first word."""
type Follow = Callable[[Asking, str, Spoken], Coroutine[Any, Any, Told]]


class Reading:
    """A stream of the Responses API, whichever client reads it."""

    def __init__(self, spoken: Spoken) -> None:
        self.events: list[Any] = []
        self.is_broken = False
        self._spoken = spoken

    async def begin(self, stream: AsyncIterator[Any]) -> None:
        """Read until the stream ends or breaks."""
        try:
            async for event in stream:
                self.events.append(event)
                if event.type == "response.content_part.added":
                    await self._spoken()
        except BREAKS:
            self.is_broken = True

    def told(self, answer: str) -> Told:
        """What was read in all, and what the server gives as the whole."""
        pieces = [e.delta for e in self.events if e.type == "response.output_text.delta"]
        numbers = tuple(event.sequence_number for event in self.events)
        return Told("".join(pieces), answer, self.is_broken, numbers)


async def by_responses(asking: Asking, words: str, spoken: Spoken) -> Told:
    """The openai SDK: what is left of the stream is asked for by the number of the last event."""
    reading = Reading(spoken)
    async with asking.openai() as client:
        stream = await client.responses.create(model=AGENT, input=words, stream=True)
        await reading.begin(stream)
    begun, last = reading.events[0].response.id, reading.events[-1].sequence_number
    async with asking.openai(retries=RETRIES) as client:
        if reading.is_broken:
            rest = await client.responses.retrieve(begun, stream=True, starting_after=last)
            reading.events += [event async for event in rest]
        answer = await client.responses.retrieve(begun)
    return reading.told(answer.output_text)


async def by_llama_stack_client(asking: Asking, words: str, spoken: Spoken) -> Told:
    """llama-stack-client cannot ask for the rest of a stream; it finds the response instead."""
    reading = Reading(spoken)
    async with asking.llama_stack() as client:
        stream = await client.responses.create(model=AGENT, input=words, stream=True)
        await reading.begin(stream)
    answer = await asking.ended(reading.events[0].response.id)
    return reading.told(answer.output_text)


async def by_chat_completions(asking: Asking, words: str, spoken: Spoken) -> Told:
    """The openai SDK, which sends the request again under its key: it is the same run."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    messages: Any = [{"role": "user", "content": words}]

    async def pieces(client: openai.AsyncOpenAI) -> AsyncIterator[str]:
        stream = await client.chat.completions.create(
            model=f"agents/{AGENT}", messages=messages, stream=True, extra_headers=key
        )
        async for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                yield piece

    text, is_broken = "", False
    async with asking.openai() as client:
        try:
            async for piece in pieces(client):
                if not text:
                    await spoken()
                text += piece
        except BREAKS:
            is_broken = True
    async with asking.openai(retries=RETRIES) as client:
        answer = "".join([piece async for piece in pieces(client)])
    return Told(text, answer, is_broken)


async def by_a2a(asking: Asking, words: str, spoken: Spoken) -> Told:
    """The A2A SDK: who subscribes to a task is told what is there already, and then the rest."""
    updates: list[StreamResponse] = []
    is_broken = False
    # It does not ask again when nobody listens; the transport does.
    transport = httpx.AsyncHTTPTransport(retries=RETRIES)
    async with httpx.AsyncClient(timeout=60, transport=transport) as http:
        card = await A2ACardResolver(http, f"{asking.url}/a2a/{AGENT}").get_agent_card()
        client = await create_client(card, ClientConfig(httpx_client=http))
        try:
            async for update in client.send_message(saying(words)):
                updates.append(update)
                if update.HasField("artifact_update") and not answered(updates[:-1]):
                    await spoken()
        except A2AClientError:
            is_broken = True
        task = updates[0].task.id
        if is_broken:
            with contextlib.suppress(UnsupportedOperationError):  # when it has ended meanwhile
                updates += [one async for one in client.subscribe(SubscribeToTaskRequest(id=task))]
        found = await client.get_task(GetTaskRequest(id=task))
    return Told(answered(updates), answer_of(found), is_broken)
