"""The responses of one run that calls functions of its client, each told by itself."""

from typing import Any

import pytest

from runtime.amf.answer import Answer
from runtime.amf.reply import recalled, response_object
from runtime.amf.sequence import is_pause, with_handovers
from runtime.contract.client_calls import ClientCall
from runtime.contract.messages import Cancelled, Event, OutputNeeded, ResponseOptions, TokenUsage
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf.events import (
    attempts,
    called,
    completed,
    handed,
    returned,
    said,
    started,
    used,
)
from runtime.tests.amf.test_answer import NOW, record
from runtime.tests.amf.wire import check

FIRST = [started(), said("Let me see."), handed(0, left=1, tokens=5), handed(1, tokens=5)]
SECOND = [started("w2"), said("And"), handed(2, handover=1, tokens=7)]
THIRD = [started("w3"), said("5."), completed("5.", tokens_in=9)]
ALL = attempts(FIRST, SECOND, THIRD)


def given(place: int, run: RunRecord) -> RunRecord:
    handover = run.handovers[place]
    outputs = ["5" for _ in handover.calls]
    done = handover.giving(outputs, NOW + 10 * (place + 1), ResponseOptions(previous="before"))
    handovers = (*run.handovers[:place], done, *run.handovers[place + 1 :])
    return run.model_copy(update={"handovers": handovers})


def handed_over(run: RunRecord, calls: int, seq: int, tokens: int) -> RunRecord:
    first = sum(len(one.calls) for one in run.handovers)
    made = tuple(
        ClientCall(key=f"k{first + n}", function="plus", arguments="{}") for n in range(calls)
    )
    now, usage = NOW + 5 * run.attempt, TokenUsage(input_tokens=tokens)
    return run.handing_over(made, now, seq=seq, used=usage, expires=2e9)


def ended() -> RunRecord:
    """The record of the run that `ALL` tells of."""
    run = handed_over(record().beginning("w1", NOW), 2, 3, 5)
    run = handed_over(given(0, run).resuming(NOW).beginning("w2", NOW), 1, 3, 7)
    run = given(1, run).resuming(NOW).beginning("w3", NOW)
    done = {"state": RunState.COMPLETED, "text": "5.", "ended": NOW + 40}
    return run.model_copy(update=done | {"usage": TokenUsage(input_tokens=9)})


def told(part: int, events: list[Event]) -> tuple[list[dict[str, Any]], Answer]:
    run = ended()
    answer = Answer(response_object(run, part), task=run.task.id, streaming=True, part=part)
    answer.begin("in_progress")
    for event in events:
        answer.take([event], now=NOW)
    frames = answer.frames()
    for frame in frames:
        check(frame)
    return frames, answer


def kinds(answer: Answer) -> list[str]:
    return [item["type"] for item in answer.response["output"]]


@pytest.mark.parametrize(
    ("part", "output", "tokens"),
    [
        (0, ["message", "function_call", "function_call"], 5),
        (1, ["message", "function_call"], 2),
        (2, ["message"], 2),
    ],
)
def test_each_response_tells_what_is_its_own(part: int, output: list[str], tokens: int) -> None:
    frames, answer = told(part, ALL)
    assert kinds(answer) == output
    assert answer.response["status"] == "completed"
    assert answer.response["usage"]["input_tokens"] == tokens
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert frames[-1]["type"] == "response.completed"
    places = [frame["output_index"] for frame in frames if "output_index" in frame]
    assert sorted(set(places)) == list(range(len(output)))
    last = "completed_at"
    recalled_again = recalled(ended(), ALL, part)
    assert {**recalled_again, last: 0} == {**answer.response, last: 0}


def test_a_response_ends_with_its_handover_whatever_comes_behind() -> None:
    frames, _ = told(0, ALL)
    assert told(0, attempts(FIRST))[0] == frames


def test_a_tool_that_was_cut_off_is_told_where_it_is_made_again() -> None:
    events = attempts(
        [started(), called(1), handed(0)],
        [started("w2"), called(1), returned(1), completed("5.")],
    )
    (before, _), after = (told(part, events)[1].response["output"] for part in (0, 1))
    assert (before["type"], before["status"]) == ("mcp_call", "incomplete")
    assert [(item["type"], item["status"]) for item in after] == [
        ("mcp_call", "completed"),
        ("message", "completed"),
    ]


def test_an_attempt_that_begins_anew_says_nothing_twice_in_the_next_response() -> None:
    events = attempts(
        [started(), said("Let me see."), called(1), returned(1), used(3, 0), handed(0, tokens=3)],
        [started("w2"), said("Let me see."), called(1), returned(1), said("5."), completed("5.")],
    )
    _, answer = told(1, events)
    assert kinds(answer) == ["message"]
    assert answer.response["output"][0]["content"][0]["text"] == "5."


@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_was_lost_of_the_events_the_record_has(part: int) -> None:
    lost: list[Event] = [event for event in ALL if not isinstance(event, OutputNeeded)]
    run = ended()
    whole, again = recalled(run, ALL, part), recalled(run, lost, part)
    assert again == whole
    alone = recalled(run, [], part)
    assert [item for item in alone["output"] if item["type"] == "function_call"] == [
        item for item in whole["output"] if item["type"] == "function_call"
    ]
    assert with_handovers(lost, run) == ALL


@pytest.mark.parametrize("lost", [True, False])
def test_a_run_that_was_cancelled_while_it_waited_leaves_what_it_had_told(*, lost: bool) -> None:
    run = handed_over(record().beginning("w1", NOW), 2, 3, 5)
    done = run.model_copy(update={"state": RunState.CANCELLED, "ended": NOW + 9})
    events = [event for event in attempts(FIRST) if not lost or not isinstance(event, OutputNeeded)]
    end = Cancelled(task=run.task.id, attempt=1, seq=1)
    whole = recalled(run, attempts(FIRST), 0)
    assert whole["status"] == "completed"
    assert recalled(done, [*events, end], 0) == whole


def test_a_response_has_what_its_own_request_asked_for() -> None:
    run = ended()
    objects = [response_object(run, part) for part in range(3)]
    assert [one["id"] for one in objects] == [
        f"resp_{run.task.id}{end}" for end in ("", "_1", "_2")
    ]
    assert [one["previous_response_id"] for one in objects] == [None, "resp_before", "resp_before"]
    assert [one["created_at"] - objects[0]["created_at"] for one in objects] == [0, 10, 20]


def test_whoever_reads_a_response_pauses_at_its_own_handover() -> None:
    pauses = [
        [event.handover for event in ALL if is_pause(event, answered=0, part=part)]  # type: ignore[union-attr]  # no other pauses
        for part in range(3)
    ]
    assert pauses == [[0, 1], [1], []]
