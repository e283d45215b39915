"""The response object of a run: whole, as a stream, or from what is kept of it.

Source:
    OpenAI API reference, "The response object"; Open Responses 2026-04-24, `ResponseResource`, for
    which fields an answer has to have.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from runtime.amf.answer import Answer
from runtime.amf.errors import ApiError, Stopping
from runtime.amf.items import Wire
from runtime.amf.relay import Following
from runtime.amf.sequence import Sequence, is_end
from runtime.contract.messages import Event
from runtime.contract.output_format import OutputFormat
from runtime.contract.runs import RunRecord, RunState

OURS = re.compile(r"resp_([0-9a-f]{32})")
STATUS = {
    RunState.WAITING: "queued",
    RunState.QUEUED: "queued",
    RunState.RUNNING: "in_progress",
    RunState.PARKED: "queued",
}

TEXT = {"type": "text"}
# The agent's own model decides. Clients read numbers: these are what the API calls its defaults.
UNTOLD_TEMPERATURE = 1.0
ONLY_VALUES: Mapping[str, Any] = {
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "default",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "auto",
}
"""Fields that a request may set to nothing else; see `asked.RESPONSES`."""

type AtEnd = Callable[[], Awaitable[None]]


def task_of(response: str) -> str | None:
    """The task that a response is about, None if it is no agent's."""
    match = OURS.fullmatch(response)
    return match[1] if match else None


def model_name(record: RunRecord) -> str:
    """How clients call the agent of a run."""
    task = record.task
    if task.agent.namespace == task.stack.namespace:
        return task.agent.name
    return f"{task.agent.namespace}.{task.agent.name}"


def response_object(record: RunRecord) -> Wire:
    """The response object as it stands when the run is accepted."""
    task = record.task
    options, asked = task.options, task.response
    return {
        "id": f"resp_{task.id}",
        "object": "response",
        "created_at": int(task.created),
        "completed_at": None,
        "status": STATUS.get(record.state, "in_progress"),
        "background": asked.background,
        "conversation": {"id": task.conversation} if task.conversation else None,
        "error": None,
        "incomplete_details": None,
        "instructions": options.instructions,
        "max_output_tokens": options.max_output_tokens,
        "max_tool_calls": None,
        "metadata": asked.metadata,
        "model": model_name(record),
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": f"resp_{asked.previous}" if asked.previous else None,
        "store": asked.store,
        "temperature": UNTOLD_TEMPERATURE if options.temperature is None else options.temperature,
        "text": {"format": _form(options.output)},
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        **ONLY_VALUES,
    }


async def whole(record: RunRecord, following: Following, at_end: AtEnd) -> Wire:
    """The response once the run has ended, or needs people; `at_end` is awaited before an end.

    Raises:
        NotFound, Overdue: nobody will ever know.
        Stopping: the server stops; who waits for a whole answer is cancelled for no other reason.
    """
    answer = _answer(record)
    answer.begin("in_progress")
    try:
        async for events in following.batches():
            answer.take(events, now=time.time())
    except asyncio.CancelledError as cancelled:
        raise _stopping(record) from cancelled
    if following.is_paused:
        answer.pause(now=time.time())
    else:
        await at_end()
    return answer.response


async def frames(
    record: RunRecord, following: Following, at_end: AtEnd, *, after: int = -1
) -> AsyncGenerator[list[Wire]]:
    """The response as streaming events, as many at a time as there are; `at_end` as in `whole`.

    Shape:
        after  the number of the last event that the client has; what comes behind it is told.
    """
    async for told in _frames(record, following, at_end):
        if news := [frame for frame in told if frame["sequence_number"] > after]:
            yield news


async def _frames(
    record: RunRecord, following: Following, at_end: AtEnd
) -> AsyncGenerator[list[Wire]]:
    answer = _answer(record, streaming=True)
    answer.begin("queued" if record.task.response.background else "in_progress")
    yield answer.frames()
    try:
        async for events in following.batches():
            answer.take(events, now=time.time())
            if is_end(events[-1]):
                await at_end()
            yield answer.frames()
        if following.is_paused:
            answer.pause(now=time.time())
            yield answer.frames()
    except ApiError as error:
        answer.error(error.kind, error.code, error.message)
        yield answer.frames()
    except asyncio.CancelledError:
        # The client has gone, or is to know that the server goes and the run does not.
        stopping = _stopping(record)
        answer.error(stopping.kind, stopping.code, stopping.message)
        yield answer.frames()


def _stopping(record: RunRecord) -> Stopping:
    response = f"resp_{record.task.id}"
    return Stopping(
        f"The server stops; the response {response} goes on without it. Retrieve it in a moment, "
        f"from GET /v1/responses/{response}."
    )


def recalled(record: RunRecord, published: list[Event]) -> Wire:
    """The response as its record and what is still kept of its events tell it."""
    answer = _answer(record)
    if not (record.state.is_end or record.is_asking):
        return answer.response
    answer.begin("in_progress")
    sequence = Sequence()
    told = [one for event in published for one in sequence.take(event)] + sequence.skip()
    # The record is the truth about the end and about what is open, whatever was published.
    steps = [event for event in told if not is_end(event)]
    if record.state.is_end:
        answer.take([*steps, record.end(max(record.attempt, 1))], now=record.ended or 0)
    else:
        answer.take([*steps, *record.needs(1)], now=record.parked or 0)
        answer.pause(now=record.parked or 0)
    return answer.response


def _form(output: OutputFormat | None) -> Wire:
    if output is None:
        return TEXT
    described = {"description": None} if output.json_schema is not None else {}
    return described | output.in_responses()


def _answer(record: RunRecord, *, streaming: bool = False) -> Answer:
    """The answer so far; approvals that are decided, or came to nothing, are not asked for again.

    A client answers to every request for one that he finds in an output.
    """
    decided = (
        number
        for number, one in enumerate(record.approvals)
        if record.state.is_end or not one.is_open
    )
    response, task = response_object(record), record.task.id
    return Answer(response, task=task, streaming=streaming, decided=decided)
