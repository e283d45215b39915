"""From the events of a run to legacy steps, through the answer that the Responses API gives."""

import itertools
from typing import Any

import pytest

from runtime.amf.answer import Answer
from runtime.amf.items import Wire
from runtime.amf.legacy.steps import Steps, step_id, steps_of
from runtime.amf.reply import response_object
from runtime.contract.messages import Message, Outcome, Role, Task
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName
from runtime.tests.amf.events import (
    MATH,
    TASK,
    attempts,
    called,
    completed,
    returned,
    said,
    started,
)

TURN = "01234567-89ab-cdef-0123-456789abcdef"
NOW = 1700000000.0

type Line = list[tuple[Any, dict[str, Any]]]


def told(*lines: Line) -> tuple[list[Wire], Wire]:
    """The streaming events of a run, and its response."""
    task = Task(
        id=TASK,
        stack=ObjectName(namespace="team", name="default"),
        agent=MATH,
        origin="here",
        input=(Message(role=Role.USER, text="2+3?"),),
        created=NOW,
        deadline=NOW + 600,
    )
    answer = Answer(response_object(RunRecord(task=task)), task=TASK, streaming=True)
    answer.begin("in_progress")
    for event in attempts(*lines):
        answer.take([event], now=NOW)
    return answer.frames(), answer.response


def payloads(*lines: Line) -> list[Wire]:
    frames, _ = told(*lines)
    steps = Steps(TURN)
    given = [steps.take(frame, now=NOW) for frame in frames]
    return [*itertools.chain(*given), *steps.finish(NOW)]


def short(payload: Wire) -> tuple[Any, ...]:
    """What a reader would point at."""
    match payload:
        case {"event_type": "step_progress", "delta": {"type": "text", "text": text}}:
            return "says", text
        case {"event_type": "step_progress", "delta": {"type": "tool_call", "tool_call": call}}:
            return "calls", call["tool_name"], call["arguments"]
        case {"event_type": "step_complete", "step_details": {"model_response": message}}:
            return "said", message["content"], len(message["tool_calls"]), message["stop_reason"]
        case {"event_type": "step_complete", "step_details": {"tool_responses": [one]}}:
            return "gave", one["content"]
        case {"event_type": "step_start", "step_type": kind}:
            return (kind,)
    raise AssertionError(payload)


ARGUMENTS = '{"a": 2, "b": 3}'
SUM: Line = [started(), called(1, ARGUMENTS), returned(1, "5"), said("5"), completed("5")]

CALLED = [
    ("inference",),
    ("calls", "plus", {"a": 2, "b": 3}),
    ("said", "", 1, "end_of_message"),
    ("tool_execution",),
    ("gave", "5"),
]
SAID = [("inference",), ("says", "5"), ("said", "5", 0, "end_of_turn")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            [started(), said("A"), said("B"), completed("AB")],
            [("inference",), ("says", "A"), ("says", "B"), ("said", "AB", 0, "end_of_turn")],
            id="text is one step",
        ),
        pytest.param(SUM, CALLED + SAID, id="a call ends the step that asks for it"),
        pytest.param(
            [started(), said("Hm."), called(1), returned(1), said("5"), completed("5")],
            [
                ("inference",),
                ("says", "Hm."),
                ("calls", "plus", {}),
                ("said", "Hm.", 1, "end_of_message"),
                ("tool_execution",),
                ("gave", "5"),
                *SAID,
            ],
            id="what is said before a call belongs to the step that asks for it",
        ),
        pytest.param(
            [started(), called(1), called(2), returned(2), returned(1), said("5"), completed("5")],
            [
                *[("inference",), ("calls", "plus", {}), ("said", "", 1, "end_of_message")],
                ("tool_execution",),
                *[("inference",), ("calls", "plus", {}), ("said", "", 1, "end_of_message")],
                ("tool_execution",),
                *[("gave", "5"), ("gave", "5"), *SAID],
            ],
            id="calls beside each other are steps of their own",
        ),
        pytest.param(
            [started(), called(1), returned(1, "No.", Outcome.FAILED), said("5"), completed("5")],
            [CALLED[0], ("calls", "plus", {}), *CALLED[2:4], ("gave", "No."), *SAID],
            id="a call that fails gives the sentence that says why",
        ),
        pytest.param(
            [started(), called(1, "[1]"), returned(1), said("5"), completed("5")],
            [CALLED[0], ("calls", "plus", {}), *CALLED[2:], *SAID],
            id="arguments that are no object are told as they came alone",
        ),
    ],
)
def test_what_is_told(line: Line, expected: list[tuple[Any, ...]]) -> None:
    assert [short(payload) for payload in payloads(line)] == expected


def test_every_step_is_started_once_and_completed_once() -> None:
    told_of = payloads(SUM)
    begun = [p["step_id"] for p in told_of if p["event_type"] == "step_start"]
    done = [p["step_id"] for p in told_of if p["event_type"] == "step_complete"]
    assert begun == done
    assert len(set(begun)) == 3


def test_the_whole_response_tells_the_same_steps() -> None:
    streamed = [p["step_details"] for p in payloads(SUM) if p["event_type"] == "step_complete"]
    _, response = told(SUM)
    assert steps_of(TURN, response["output"], now=NOW).done == streamed


def test_a_call_is_told_with_its_arguments_in_both_shapes() -> None:
    _, response = told(SUM)
    first, second, _ = steps_of(TURN, response["output"], now=NOW).done
    (call,) = first["model_response"]["tool_calls"]
    assert call["arguments_json"] == ARGUMENTS
    assert second["tool_calls"] == [call]
    assert second["tool_responses"][0]["call_id"] == call["call_id"]


def test_a_second_attempt_repeats_nothing() -> None:
    half: Line = [started(), called(1, ARGUMENTS)]
    whole: Line = [
        *[started("w2"), called(1, ARGUMENTS), returned(1, "5")],
        *[said("5"), completed("5")],
    ]
    assert [short(payload) for payload in payloads(half, whole)] == CALLED + SAID


def test_what_a_later_attempt_says_instead_is_all_that_is_kept() -> None:
    frames, response = told([started(), said("It is")], [started("w2"), said("5"), completed("5")])
    steps = Steps(TURN)
    streamed = [short(p) for frame in frames for p in steps.take(frame, now=NOW)]
    streamed += [short(p) for p in steps.finish(NOW)]
    assert [one for one in streamed if one[0] == "said"] == [
        ("said", "It is", 0, "end_of_turn"),
        ("said", "5", 0, "end_of_turn"),
    ]
    kept = steps_of(TURN, response["output"], now=NOW)
    assert [step["model_response"]["content"] for step in kept.done] == ["5"]


def test_the_message_of_a_turn_asks_for_no_call_that_was_made() -> None:
    _, response = told([started(), called(1), returned(1), completed("")])
    assert steps_of(TURN, response["output"], now=NOW).message["tool_calls"] == []


def test_an_id_is_the_same_whoever_makes_it() -> None:
    assert step_id(TURN, "inference", "msg_1") == step_id(TURN, "inference", "msg_1")
    assert step_id(TURN, "inference", "msg_1") != step_id(TURN, "tool_execution", "msg_1")
