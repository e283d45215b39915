"""What clients may give for calls of their functions, and by which name all else is refused."""

from typing import Any

import pytest

from runtime.amf.errors import ApiError, BadRequest, Conflict, NotFound, TooLarge
from runtime.amf.outputs import (
    given,
    gives_outputs,
    gives_outputs_in_chat,
    outputs,
    outputs_in_chat,
)
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry
from runtime.contract.client_calls import ClientCall, ClientFunction
from runtime.contract.messages import Message, Options, Role, Task, TokenUsage
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.tests.amf.events import MATH, TASK
from runtime.tests.amf.server_types import (
    CreateResponseRequest,
    OpenAIChatCompletionRequestWithExtraBody,
)

STACK = ObjectName(namespace="team", name="default")
NOW = 1000.0
ADD = ClientFunction(name="add", parameters={"type": "object"})
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object"}}
ENTRY = AgentEntry(agent=MATH, model="math", framework=Framework.AG2, max_input_bytes=100)
SAID = {"role": "user", "content": "2+3?"}
OTHER = "f" * 32


def item(number: int = 0, output: Any = "5", task: str = TASK) -> dict[str, Any]:
    call = f"call_{task}_{number}"
    return {"type": "function_call_output", "call_id": call, "output": output}


def called(number: int = 0) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": f"call_{TASK}_{number}",
        "name": "add",
        "arguments": "{}",
    }


def request(*items: Any, **fields: Any) -> Any:
    return CreateResponseRequest.model_validate({"model": "math", "input": list(items)} | fields)


def chat(*messages: Any, **fields: Any) -> Any:
    body = {"model": "math", "messages": list(messages)} | fields
    return OpenAIChatCompletionRequestWithExtraBody.model_validate(body)


def waiting(calls: int = 1, *, expires: float = NOW + 9, **facts: Any) -> RunRecord:
    task = Task(
        id=TASK,
        stack=STACK,
        agent=MATH,
        origin="elsewhere",
        user="ann",
        conversation="conv_1",
        input=(Message(role=Role.USER, text="2+3?"),),
        options=Options(instructions="Be brief.", functions=(ADD,)),
        created=1,
        deadline=2,
    )
    running = RunRecord(task=task, state=RunState.RUNNING, attempt=1)
    return handed_over(running, calls, expires=expires).model_copy(update=facts)


def handed_over(record: RunRecord, calls: int, *, expires: float = NOW + 9) -> RunRecord:
    made = tuple(ClientCall(key=f"k{n}", function="add", arguments="{}") for n in range(calls))
    return record.handing_over(made, NOW - 1, seq=2, used=TokenUsage(), expires=expires)


def giving(record: RunRecord, *items: Any, **fields: Any) -> tuple[RunRecord, int]:
    return given(record, outputs(request(*items, **fields)), ENTRY, user="ann", now=NOW)


def again(record: RunRecord, calls: int = 1) -> RunRecord:
    """It goes on, and needs its client once more."""
    return handed_over(record.resuming(NOW).beginning("w2", NOW), calls)


@pytest.mark.parametrize(
    ("items", "does"),
    [
        pytest.param([SAID], False, id="something new"),
        pytest.param([item()], True, id="an output"),
        pytest.param([SAID, called(), item()], True, id="all that was said, and an output"),
        pytest.param([called(), item(), SAID], False, id="an old output, and something new"),
    ],
)
def test_what_ends_in_outputs_goes_on_with_a_run(items: Any, does: bool) -> None:
    assert gives_outputs(request(*items).input) is does
    assert not gives_outputs("2+3?")


def test_outputs_begin_the_next_response_and_are_kept_with_their_calls() -> None:
    record, part = giving(
        waiting(2),
        item(1, [{"type": "input_text", "text": "7"}]),
        item(0),
        metadata={"a": "b"},
        stream=True,
        background=True,
        tools=[TOOL],
        instructions="Be brief.",
        conversation="conv_1",
    )
    assert (part, record.part, record.state, record.open_handover) == (1, 1, RunState.PARKED, None)
    assert [call.output for call in record.handovers[0].calls] == ["5", "7"]
    assert record.task.options.stream
    asked = record.response_of(1)
    assert (asked.previous, asked.metadata, asked.background) == (TASK, {"a": "b"}, True)
    assert record.response_of(0) == record.task.response
    assert record.began(1) == NOW


def test_who_sends_everything_each_time_gives_the_new_outputs_alone() -> None:
    first, _ = giving(waiting(), item())
    record, part = giving(again(first), SAID, called(0), item(0), called(1), item(1, "6"))
    assert part == 2
    assert [call.output for one in record.handovers for call in one.calls] == ["5", "6"]
    assert record.response_of(2).previous == f"{TASK}_1"
    with pytest.raises(Conflict, match="Another output was given"):
        giving(again(first), item(0, "9"), item(1, "6"))


def test_the_same_outputs_are_taken_once() -> None:
    record, _ = giving(waiting(), item())
    assert giving(record, item()) == (record, 1)
    ended = record.model_copy(update={"state": RunState.COMPLETED})
    assert giving(ended, item()) == (ended, 1)
    with pytest.raises(Conflict, match=f"retrieve the response resp_{TASK}_1"):
        giving(ended, item(0, "6"))


@pytest.mark.parametrize(
    ("record", "items", "fields", "kind", "param"),
    [
        pytest.param(None, [item()], {}, NotFound, "input[0]", id="no run"),
        pytest.param(
            waiting(), [item(3)], {}, BadRequest, "input[0]", id="a call that it never made"
        ),
        pytest.param(waiting(2), [item(1)], {}, BadRequest, "input", id="not all outputs"),
        pytest.param(
            waiting(),
            [item()],
            {"previous_response_id": f"resp_{TASK}_1"},
            BadRequest,
            "previous_response_id",
            id="of another response",
        ),
        pytest.param(
            waiting(),
            [item()],
            {"conversation": "conv_2"},
            BadRequest,
            "conversation",
            id="in another conversation",
        ),
        pytest.param(
            waiting(),
            [item()],
            {"tools": [TOOL | {"name": "minus"}]},
            BadRequest,
            "tools",
            id="other functions",
        ),
        pytest.param(
            waiting(),
            [item()],
            {"instructions": "Be long."},
            BadRequest,
            "instructions",
            id="other instructions",
        ),
        pytest.param(
            waiting(), [item(0, "x" * 101)], {}, TooLarge, "input[0]", id="over the limit"
        ),
        pytest.param(waiting(expires=NOW), [item()], {}, Conflict, "input[0]", id="too late"),
        pytest.param(
            waiting(cancel_requested=True), [item()], {}, Conflict, "input[0]", id="cancelled"
        ),
        pytest.param(
            waiting(state=RunState.FAILED, message="too slow"),
            [item()],
            {},
            Conflict,
            "input[0]",
            id="ended",
        ),
    ],
)
def test_what_cannot_be_given_is_refused_by_its_name(
    record: Any, items: Any, fields: Any, kind: type[ApiError], param: str
) -> None:
    with pytest.raises(kind) as refused:
        giving(record, *items, **fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("items", "fields", "param"),
    [
        pytest.param([item(task="x")], {}, "input[0].call_id", id="no id of ours"),
        pytest.param([item(task=OTHER), item()], {}, "input[0].call_id", id="two runs"),
        pytest.param([item(), item(0, "6")], {}, "input[1].call_id", id="two outputs of a call"),
        pytest.param([item()], {"tool_choice": "none"}, "tool_choice", id="no more calls"),
        pytest.param([item()], {"background": True, "store": False}, "store", id="for nobody"),
        pytest.param(
            [item(0, [{"type": "input_image", "image_url": "x"}])],
            {},
            "input[0].content[0]",
            id="an image",
        ),
    ],
)
def test_what_is_no_output_is_refused_by_its_name(items: Any, fields: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        outputs(request(*items, **fields))
    assert refused.value.param == param


def test_nobody_gives_outputs_to_the_run_of_somebody_else_or_of_another_agent() -> None:
    made = outputs(request(item()))
    with pytest.raises(NotFound, match="There is no function call"):
        given(waiting(), made, ENTRY, user="bob", now=NOW)
    writer = ENTRY.model_copy(update={"agent": STACK, "model": "writer"})
    with pytest.raises(BadRequest, match="is none of writer"):
        given(waiting(), made, writer, user="ann", now=NOW)


def test_a_chat_gives_outputs_as_messages_of_tools() -> None:
    tool = {"role": "tool", "tool_call_id": f"call_{TASK}_0", "content": "5"}
    asked = chat(SAID, tool, tools=[{"type": "function", "function": TOOL}])
    assert gives_outputs_in_chat(asked.messages)
    assert not gives_outputs_in_chat(chat(tool, SAID).messages)
    record, part = given(waiting(), outputs_in_chat(asked), ENTRY, user="ann", now=NOW)
    assert (part, record.handovers[0].calls[0].output) == (1, "5")
    assert not record.response_of(1).store
    with pytest.raises(BadRequest) as refused:
        given(waiting(2), outputs_in_chat(asked), ENTRY, user="ann", now=NOW)
    assert refused.value.param == "messages"
