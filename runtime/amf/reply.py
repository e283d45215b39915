"""The response object of a run: whole, as a stream, or from what is kept of it.

Source:
    OpenAI API reference, "The response object"; Open Responses 2026-04-24, `ResponseResource`, for
    which fields an answer has to have.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from runtime.amf.answer import Answer
from runtime.amf.errors import ApiError, Stopping
from runtime.amf.functions import in_responses
from runtime.amf.items import Wire
from runtime.amf.relay import Following
from runtime.amf.response_id import ResponseId
from runtime.amf.sequence import Sequence, is_end, with_handovers
from runtime.contract.messages import Event
from runtime.contract.output_format import OutputFormat
from runtime.contract.runs import RunRecord, RunState

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


def model_name(record: RunRecord) -> str:
    """How clients call the agent of a run."""
    task = record.task
    if task.agent.namespace == task.stack.namespace:
        return task.agent.name
    return f"{task.agent.namespace}.{task.agent.name}"


def response_object(record: RunRecord, part: int = 0) -> Wire:
    """The response object as it stands when the response number `part` of the run begins."""
    task = record.task
    options, asked = task.options, record.response_of(part)
    return {
        "id": str(ResponseId(task.id, part)),
        "object": "response",
        "created_at": int(record.began(part)),
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
        "parallel_tool_calls": options.parallel_calls,
        "previous_response_id": f"resp_{asked.previous}" if asked.previous else None,
        "store": asked.store,
        "temperature": UNTOLD_TEMPERATURE if options.temperature is None else options.temperature,
        "text": {"format": _form(options.output)},
        "tool_choice": "auto",
        "tools": in_responses(options.functions),
        "usage": None,
        **ONLY_VALUES,
    }


async def whole(record: RunRecord, following: Following, at_end: AtEnd) -> Wire:
    """The response once it has ended, or needs people; `at_end` is awaited before the run's end.

    Raises:
        NotFound, Overdue: nobody will ever know.
        Stopping: the server stops; who waits for a whole answer is cancelled for no other reason.
    """
    answer = _answer(record, following.part)
    answer.begin("in_progress")
    try:
        async for events in following.batches():
            answer.take(events, now=time.time())
    except asyncio.CancelledError as cancelled:
        raise _stopping(record, following.part) from cancelled
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
    part = following.part
    answer = _answer(record, part, streaming=True)
    answer.begin("queued" if record.response_of(part).background else "in_progress")
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
        stopping = _stopping(record, part)
        answer.error(stopping.kind, stopping.code, stopping.message)
        yield answer.frames()


def _stopping(record: RunRecord, part: int) -> Stopping:
    response = ResponseId(record.task.id, part)
    return Stopping(
        f"The server stops; the response {response} goes on without it. Retrieve it in a moment, "
        f"from GET /v1/responses/{response}."
    )


def recalled(record: RunRecord, published: list[Event], part: int = 0) -> Wire:
    """The response as its record and what is still kept of its events tell it."""
    answer = _answer(record, part)
    has_handed_over = part < len(record.handovers)
    if not (record.state.is_end or record.is_asking or has_handed_over):
        return answer.response
    answer.begin("in_progress")
    sequence = Sequence()
    known = with_handovers(published, record)
    told = [one for event in known for one in sequence.take(event)] + sequence.skip()
    # The record is the truth about the end and about what is open, whatever was published.
    steps = [event for event in told if not is_end(event)]
    if has_handed_over:
        answer.take(steps, now=record.handovers[part].asked)
    elif record.state.is_end:
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


def _answer(record: RunRecord, part: int, *, streaming: bool = False) -> Answer:
    """The answer so far; approvals that are decided, or came to nothing, are not asked for again.

    A client answers to every request for one that he finds in an output.
    """
    decided = (
        number
        for number, one in enumerate(record.approvals)
        if record.state.is_end or not one.is_open
    )
    response, task = response_object(record, part), record.task.id
    return Answer(response, task=task, streaming=streaming, decided=decided, part=part)
