"""What becomes of a turn, as values."""

from typing import Any

import pytest

from runtime.amf.errors import BadRequest
from runtime.amf.items import Wire
from runtime.amf.legacy.bodies import CreateTurn, ToolResponse
from runtime.amf.legacy.kept import KeptTurn
from runtime.amf.legacy.turn import (
    answered,
    brought_on,
    ended,
    items,
    new_turn,
    newest,
    wire,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf.events import TASK
from runtime.tests.amf.test_answer_parts import ALL
from runtime.tests.amf.test_answer_parts import ended as whole_run

TURN = KeptTurn(
    id="01234567-89ab-cdef-0123-456789abcdef",
    messages=({"role": "user", "content": "2+3?"},),
    started=1.0,
)
ASKS = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a": 2}',
}
FIVE = {"id": "msg_2", "type": "message", "content": [{"type": "output_text", "text": "5"}]}


def response(*output: Wire, status: str = "completed", **more: Any) -> Wire:
    return {"status": status, "output": list(output), "error": None} | more


def tool_response(call: str = "call_1", content: Any = "5") -> ToolResponse:
    return ToolResponse(call_id=call, tool_name="add", content=content)


def test_an_answer_ends_a_turn() -> None:
    turn = ended(TURN, response(FIVE), now=2.0)
    told = wire("s", turn)
    assert told["output_message"]["content"] == "5"
    assert told["output_message"]["stop_reason"] == "end_of_turn"
    assert told["completed_at"] == "1970-01-01T00:00:02+00:00"
    assert [step["step_type"] for step in told["steps"]] == ["inference"]


def test_a_call_of_the_client_is_waited_for() -> None:
    turn = ended(TURN, response(ASKS), now=2.0)
    told = wire("s", turn)
    assert turn.waits
    assert told["completed_at"] is None
    assert told["output_message"]["stop_reason"] == "end_of_message"
    assert told["output_message"]["tool_calls"] == [
        {
            "call_id": "call_1",
            "tool_name": "add",
            "arguments": {"a": 2},
            "arguments_json": '{"a": 2}',
        }
    ]


def test_a_turn_that_goes_on_is_read_by_the_model_as_one() -> None:
    waiting = ended(TURN, response(ASKS), now=2.0)
    resumed = answered(waiting, [tool_response(content=[{"type": "text", "text": "5"}])], now=3.0)
    assert items(resumed) == [
        {"type": "message", "role": "user", "content": "2+3?"},
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "add",
            "arguments": '{"a": 2}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "5"},
    ]
    whole = ended(resumed, response(FIVE), now=4.0)
    kinds = [step["step_type"] for step in whole.steps]
    assert kinds == ["inference", "tool_execution", "inference"]
    assert items(whole)[-1] == {"type": "message", "role": "assistant", "content": "5"}


@pytest.mark.parametrize(
    ("turn", "responses", "param"),
    [
        pytest.param(TURN, [tool_response()], "turn_id", id="it waits for nothing"),
        pytest.param(
            ended(TURN, response(ASKS), now=2.0),
            [tool_response("call_2")],
            "tool_responses.call_id",
            id="another call",
        ),
        pytest.param(
            ended(TURN, response(ASKS, ASKS | {"id": "fc_2", "call_id": "call_2"}), now=2.0),
            [tool_response()],
            "tool_responses.call_id",
            id="one of two",
        ),
        pytest.param(
            ended(TURN, response(ASKS), now=2.0),
            [tool_response(content={"type": "image", "image": {}})],
            "tool_responses[0].content",
            id="no text",
        ),
    ],
)
def test_other_answers_are_refused(
    turn: KeptTurn, responses: list[ToolResponse], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        answered(turn, responses, now=3.0)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (response(status="failed", error={"message": "the model is down"}), "the model is down"),
        (response(status="cancelled"), "The turn was cancelled."),
    ],
)
def test_a_turn_without_an_answer_says_why(told: Wire, why: str) -> None:
    turn = ended(TURN, told, now=2.0)
    assert (turn.failure, turn.ended, turn.output) == (why, 2.0, None)


def test_an_answer_that_was_cut_says_so() -> None:
    turn = ended(TURN, response(FIVE, status="incomplete"), now=2.0)
    assert turn.output is not None
    assert turn.output["stop_reason"] == "out_of_tokens"
    assert turn.ended == 2.0


def test_a_turn_that_waits_for_a_person_has_not_ended() -> None:
    asks = {"id": "mcpr_1", "type": "mcp_approval_request", "name": "refund", "arguments": "{}"}
    assert ended(TURN, response(asks), now=2.0) == TURN


def test_a_turn_without_an_answer_so_far_can_be_read() -> None:
    told = wire("s", TURN)
    assert told["output_message"]["content"] == ""
    assert told["completed_at"] is None


def test_a_model_reads_the_documents_of_a_turn_before_its_messages() -> None:
    body = CreateTurn.model_validate(
        {
            "messages": [{"role": "user", "content": "How long?"}],
            "documents": [{"content": "It is 3 m long.", "mime_type": "text/plain"}],
        }
    )
    told = items(new_turn(body, now=1.0))
    assert [item["content"] for item in told] == ["It is 3 m long.", "How long?"]


def test_of_a_long_session_the_newest_turns_are_told() -> None:
    turns = [[{"n": number, "text": "x" * 100}] for number in range(10)]
    assert [item["n"] for item in newest(turns, 3 * len(str(turns[0])))] == [7, 8, 9]
    assert newest(turns, 0) == []


def parked() -> RunRecord:
    """The run of a turn, which waits for its client once more."""
    run = whole_run()
    handovers = (run.handovers[0], run.handovers[1].model_copy(update={"given": None}))
    return run.model_copy(update={"state": RunState.PARKED, "handovers": handovers, "ended": None})


def test_a_turn_whose_run_has_ended_is_brought_to_its_end_from_wherever_it_was() -> None:
    run = TURN.model_copy(update={"task": TASK})
    whole = brought_on(run, whole_run(), ALL)
    assert whole.ended == whole_run().ended
    assert [step["step_type"] for step in whole.steps] == [
        *("inference", "tool_execution") * 2,
        "inference",
    ]
    assert wire("s", whole)["output_message"]["content"] == "5."
    waiting = brought_on(run, parked(), ALL)
    assert (waiting.waits, waiting.part) == (True, 1)
    assert brought_on(waiting, whole_run(), ALL) == whole
    assert brought_on(waiting, parked(), ALL) == waiting


def test_a_turn_that_its_client_has_left_has_failed() -> None:
    waiting = brought_on(TURN.model_copy(update={"task": TASK}), parked(), ALL)
    left = parked().model_copy(update={"state": RunState.FAILED, "message": "too late", "ended": 9})
    failed = brought_on(waiting, left, ALL)
    assert (failed.failure, failed.ended, failed.waits) == ("too late", 9, False)
