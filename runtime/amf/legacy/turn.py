"""A turn as a value: what has become of it, what old clients read of it, what a model reads of it.

Nothing here reads or writes; `turns` does.

Source:
    llama-stack-client 0.1.4, 0.2.23, 0.3.5: `types/agents/turn.py`; OpenAI API reference, "Create a
    model response", `input`.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from runtime.amf.chat import APPROVAL
from runtime.amf.errors import BadRequest
from runtime.amf.items import Wire
from runtime.amf.legacy.asked import said
from runtime.amf.legacy.bodies import CreateTurn, ResumeTurn, ToolResponse
from runtime.amf.legacy.kept import KeptTurn, new_id
from runtime.amf.legacy.steps import (
    END_OF_MESSAGE,
    END_OF_TURN,
    OUT_OF_TOKENS,
    iso,
    step_id,
    steps_of,
)
from runtime.amf.legacy.text import text_of
from runtime.amf.outputs import Outputs, each_of
from runtime.amf.reply import recalled
from runtime.amf.response_id import call_id
from runtime.contract.handover import Handover
from runtime.contract.messages import Event, Options
from runtime.contract.runs import RunRecord

FUNCTION_CALL = "function_call"
NOTHING_YET = {"role": "assistant", "content": "", "stop_reason": END_OF_MESSAGE, "tool_calls": []}


def task_of_turn(turn: str) -> str:
    """The task that a turn is, in the form of ids of tasks."""
    return uuid.UUID(turn).hex


def new_turn(body: CreateTurn, *, now: float) -> KeptTurn:
    """A turn as its client asks for it.

    Units:
        `now` in seconds since the epoch.
    """
    return KeptTurn(
        id=new_id(),
        messages=tuple(one.model_dump(exclude_none=True) for one in body.messages),
        documents=tuple(one.model_dump() for one in body.documents or ()),
        started=now,
    )


def ended(turn: KeptTurn, response: Wire, *, now: float) -> KeptTurn:
    """`turn` once it has come to the end that a whole response tells of.

    One that waits for a person has come to none. One whose calls the client is to make is not at
    its end either, but it is told so far.

    Units:
        `now` in seconds since the epoch.
    """
    output, status = response["output"], response["status"]
    if any(item["type"] == APPROVAL for item in output):
        return turn
    if status not in {"completed", "incomplete"}:
        error = response.get("error") or {}
        why = error.get("message") or f"The turn was {status}."
        return turn.model_copy(update={"ended": now, "failure": why})
    stop = END_OF_TURN if status == "completed" else OUT_OF_TOKENS
    steps = steps_of(turn.id, output, now=now, stop=stop)
    waits = status == "completed" and any(item["type"] == FUNCTION_CALL for item in output)
    return turn.model_copy(
        update={
            "ended": None if waits else now,
            "steps": (*turn.steps, *steps.done),
            "output": steps.message,
            "waits": waits,
        }
    )


def needed_approvals(response: Wire) -> list[str]:
    """The ids of the approvals that a response asks for."""
    return [item["id"] for item in response["output"] if item["type"] == APPROVAL]


def wire(session: str, turn: KeptTurn) -> Wire:
    """A turn as old clients read it; one without an answer has an empty message and no end."""
    return {
        "turn_id": turn.id,
        "session_id": session,
        "input_messages": list(turn.messages),
        "steps": list(turn.steps),
        "output_message": turn.output or NOTHING_YET,
        "output_attachments": [],
        "started_at": iso(turn.started),
        "completed_at": None if turn.ended is None else iso(turn.ended),
    }


def answered(turn: KeptTurn, responses: Sequence[ToolResponse], *, now: float) -> KeptTurn:
    """`turn` once the client has made the calls that it waited for: one more step.

    Whoever tells it again, from what the run has kept of them, makes the same step.

    Raises:
        BadRequest: it waits for no calls, or for others than these.
    """
    field = "tool_responses"
    if not turn.waits or turn.output is None:
        raise BadRequest(f"The turn {turn.id} waits for no answers of tools.", param="turn_id")
    calls = {call["call_id"]: call for call in turn.output["tool_calls"]}
    if calls.keys() != {one.call_id for one in responses}:
        raise BadRequest(
            f"The turn {turn.id} waits for the answers to {', '.join(sorted(calls))}: to each of "
            "them, and to no other call.",
            param=f"{field}.call_id",
        )
    told = [
        one.model_dump(exclude={"role"})
        | {"content": text_of(one.content, f"{field}[{n}].content")}
        for n, one in enumerate(responses)
    ]
    step = {
        "step_type": "tool_execution",
        "step_id": step_id(turn.id, "tool_execution", " ".join(sorted(calls))),
        "turn_id": turn.id,
        "tool_calls": list(calls.values()),
        "tool_responses": told,
        "started_at": iso(now),
        "completed_at": iso(now),
    }
    going_on = {"output": None, "waits": False, "part": turn.part + 1}
    return turn.model_copy(update={"steps": (*turn.steps, step)} | going_on)


def brought_on(turn: KeptTurn, record: RunRecord, published: list[Event]) -> KeptTurn:
    """`turn` as far as its run has come by now, whoever had told how much of it.

    Shape:
        published  what is kept of the run's events.
    """
    while True:
        if turn.waits and turn.part < record.part:
            handover = record.handovers[turn.part]
            turn = answered(turn, responses_to(record.task.id, handover), now=handover.given or 0)
        elif turn.waits and record.state.is_end:
            why = record.message or f"The turn was {record.state.lower()}."
            return turn.model_copy(update={"ended": record.ended, "failure": why, "waits": False})
        elif not turn.waits and turn.part < len(record.handovers):
            told = recalled(record, published, turn.part)
            turn = ended(turn, told, now=record.handovers[turn.part].asked)
        elif not turn.waits and record.state.is_end:
            return ended(turn, recalled(record, published, turn.part), now=record.ended or 0)
        else:
            return turn


def outputs_of(body: ResumeTurn) -> Outputs:
    """What a client gives to the run of a turn.

    Raises:
        BadRequest: it is for no call of a run, or no text.
    """
    told = [
        (f"tool_responses[{place}]", one.call_id, text_of(one.content, f"tool_responses[{place}]"))
        for place, one in enumerate(body.tool_responses)
    ]
    task, each = each_of(told, "call_id")
    return Outputs(
        task=task, each=each, options=Options(stream=bool(body.stream)), fields={}, store=False
    )


def responses_to(task: str, handover: Handover) -> list[ToolResponse]:
    """What the client gave, as it gave it."""
    return [
        ToolResponse(
            call_id=call_id(task, handover.first + place),
            tool_name=call.function,
            content=call.output or "",
        )
        for place, call in enumerate(handover.calls)
    ]


def items(turn: KeptTurn) -> list[Wire]:
    """A turn as a model reads it: the `input` of a request of the Responses API."""
    given = {"messages": list(turn.messages), "documents": list(turn.documents)}
    body = CreateTurn.model_validate(given)
    told = [
        {
            "type": "function_call_output",
            "call_id": one.call_id or "",
            "output": text_of(one.content, f"messages[{number}].content"),
        }
        for number, one in enumerate(body.messages)
        if one.role == "tool"
    ]
    told += [_message(role, text) for role, text in said(body)]
    for step in turn.steps:
        told += _items_of(step)
    return told


def newest(turns: Iterable[Sequence[Wire]], room: int) -> list[Wire]:
    """The items of the newest turns that together take at most `room` characters, oldest first."""
    kept: list[Wire] = []
    for told in reversed(list(turns)):
        room -= len(str(told))
        if room < 0:
            break
        kept[:0] = told
    return kept


def _items_of(step: Wire) -> list[Wire]:
    match step["step_type"]:
        case "inference":
            message = step["model_response"]
            calls = [_call(call) for call in message["tool_calls"]]
            return [
                *([_message("assistant", message["content"])] if message["content"] else []),
                *calls,
            ]
        case "memory_retrieval":
            return [_message("user", text_of(step["inserted_context"], "inserted_context"))]
        case "tool_execution":
            return [
                {
                    "type": "function_call_output",
                    "call_id": one["call_id"],
                    "output": one["content"],
                }
                for one in step["tool_responses"]
            ]
        case _:
            return []


def _call(call: Wire) -> Wire:
    return {
        "type": FUNCTION_CALL,
        "call_id": call["call_id"],
        "name": call["tool_name"],
        "arguments": call["arguments_json"],
    }


def _message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}
