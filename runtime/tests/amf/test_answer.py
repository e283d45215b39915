"""What clients read of a run, whole and as it comes."""

from collections.abc import Iterable
from typing import Any

import pytest
from llama_stack_api import OpenAIResponseObject  # type: ignore[import-untyped]  # no py.typed
from pydantic import ValidationError

from runtime.amf.answer import Answer, code_of
from runtime.amf.reply import response_object
from runtime.contract.keys import ask_key
from runtime.contract.messages import (
    AgentCalled,
    Event,
    FailureReason,
    Message,
    Outcome,
    Role,
    Task,
    ToolReturned,
)
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName
from runtime.tests.amf.events import (
    ADD,
    MATH,
    TASK,
    attempts,
    called,
    cancelled,
    completed,
    failed,
    needed,
    returned,
    said,
    started,
    used,
)
from runtime.tests.amf.wire import check

NOW = 1_700_000_100.5


def record() -> RunRecord:
    task = Task(
        id=TASK,
        stack=ObjectName(namespace="team", name="default"),
        agent=MATH,
        origin="here",
        input=(Message(role=Role.USER, text="2+3?"),),
        created=NOW,
        deadline=NOW + 600,
    )
    return RunRecord(task=task)


def told(
    events: list[Event], *, one_by_one: bool = True, decided: Iterable[int] = ()
) -> tuple[list[dict[str, Any]], Answer]:
    answer = Answer(response_object(record()), task=TASK, streaming=True, decided=decided)
    answer.begin("in_progress")
    for events_at_once in [[event] for event in events] if one_by_one else [events]:
        answer.take(events_at_once, now=NOW)
    return answer.frames(), answer


def outline(frames: list[dict[str, Any]]) -> list[str]:
    """The events in short, without what every response begins with."""
    lines = []
    for frame in frames[2:]:
        kind = frame["type"].removeprefix("response.")
        detail = frame.get("delta") or frame.get("item", {}).get("status") or ""
        lines.append(f"{kind} {frame.get('output_index', '')} {detail}".strip())
    return lines


def texts(answer: Answer) -> list[str]:
    output = answer.response["output"]
    return [item["content"][0]["text"] for item in output if item["type"] == "message"]


MESSAGE = ["output_item.added 0 in_progress", "content_part.added 0"]
MESSAGE_DONE = [
    "output_text.done 0",
    "content_part.done 0",
    "output_item.done 0 completed",
    "completed",
]


def test_text_comes_in_the_shapes_and_order_of_the_responses_api() -> None:
    frames, answer = told(attempts([started(), said("It is"), said(" 5."), completed("It is 5.")]))

    assert [frame["type"] for frame in frames[:2]] == ["response.created", "response.in_progress"]
    assert outline(frames) == [
        *MESSAGE,
        "output_text.delta 0 It is",
        "output_text.delta 0  5.",
        *MESSAGE_DONE,
    ]
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert texts(answer) == ["It is 5."]


def test_a_tool_that_was_called_is_an_item_with_arguments_and_output() -> None:
    events = attempts(
        [started(), called(1, '{"a": 2}'), returned(1, "5"), said("5."), completed("5.")]
    )

    frames, answer = told(events)

    assert outline(frames)[:6] == [
        "output_item.added 0 in_progress",
        "mcp_call.in_progress 0",
        'mcp_call_arguments.delta 0 {"a": 2}',
        "mcp_call_arguments.done 0",
        "mcp_call.completed 0",
        "output_item.done 0 completed",
    ]
    call, message = answer.response["output"]
    assert call == {
        "id": f"mcp_{TASK}_0",
        "type": "mcp_call",
        "server_label": "add",
        "name": "plus",
        "arguments": '{"a": 2}',
        "output": "5",
        "error": None,
        "status": "completed",
    }
    assert message["content"][0]["text"] == "5."


def test_an_agent_that_was_asked_is_an_item_like_that_of_a_tool() -> None:
    key = ask_key(ADD, MATH, TASK, 1, 0)
    asked = AgentCalled, {"call": key, "agent": "add", "input": "1 + 1"}
    answered = ToolReturned, {"call": key, "tool": "add", "output": "2"}
    _, answer = told(attempts([started(), asked, answered, completed("2")]))

    call, _ = answer.response["output"]
    assert call["type"] == "mcp_call"
    assert (call["server_label"], call["name"]) == ("add", "add")
    assert (call["arguments"], call["output"]) == ('{"input": "1 + 1"}', "2")


def test_a_tool_that_failed_shows_its_sentence() -> None:
    frames, answer = told(
        attempts(
            [started(), called(1), returned(1, "no such file", Outcome.FAILED), completed("?")]
        )
    )

    assert "mcp_call.failed 0" in outline(frames)
    call = answer.response["output"][0]
    assert (call["output"], call["error"], call["status"]) == (None, "no such file", "failed")
    (done,) = [
        frame["item"]
        for frame in frames
        if frame["type"] == "response.output_item.done" and frame["output_index"] == 0
    ]
    assert done == call


def paused(events: list[Event], *decided: int) -> tuple[list[dict[str, Any]], Answer]:
    answer = Answer(response_object(record()), task=TASK, streaming=True, decided=decided)
    answer.begin("in_progress")
    answer.take(events, now=NOW)
    answer.pause(now=NOW)
    return answer.frames(), answer


def test_a_call_that_needs_a_person_is_asked_for_and_completes_the_response() -> None:
    events = attempts(
        [started(), said("Let me see."), used(7, 3), needed(0, '{"a": 2}', left=1), needed(1)]
    )

    frames, answer = paused([*events, *events[-2:]])

    assert outline(frames)[-5:] == [
        "output_item.added 1",
        "output_item.done 1",
        "output_item.added 2",
        "output_item.done 2",
        "completed",
    ]
    response = answer.response
    assert (response["status"], response["completed_at"]) == ("completed", int(NOW))
    assert response["usage"]["total_tokens"] == 10
    said_first, first, second = response["output"]
    assert (said_first["type"], said_first["status"]) == ("message", "completed")
    assert first == {
        "id": f"mcpr_{TASK}_0",
        "type": "mcp_approval_request",
        "server_label": "add",
        "name": "plus",
        "arguments": '{"a": 2}',
    }
    assert second["id"] == f"mcpr_{TASK}_1"


def test_a_call_beside_one_that_needs_a_person_is_not_left_open() -> None:
    _, answer = paused(attempts([started(), called(5), needed(0)]))

    assert [item.get("status") for item in answer.response["output"]] == ["incomplete", None]


def test_what_is_decided_is_not_asked_for_again() -> None:
    """A client answers to every request that he finds."""
    events = attempts(
        [started(), said("Let me see."), needed(0, left=1), needed(1)],
        [started("w2"), called(0), returned(0), completed("5.")],
    )
    answer = Answer(response_object(record()), task=TASK, decided=(0, 1))
    answer.begin("in_progress")
    answer.take(events, now=NOW)

    assert [item["type"] for item in answer.response["output"]] == [
        "message",
        "mcp_call",
        "message",
    ]
    assert texts(answer) == ["Let me see.", "5."]


def test_calls_side_by_side_keep_their_places() -> None:
    events = attempts(
        [
            started(),
            said("Let me see."),
            called(1, "[1]", index=0),
            called(1, "[2]", index=1),
            returned(1, "two", index=1),
            returned(1, "one", index=0),
            completed("Both."),
        ]
    )

    frames, answer = told(events)

    assert [item.get("output") for item in answer.response["output"]] == [None, "one", "two", None]
    assert texts(answer) == ["Let me see.", "Both."]
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(attempts([started(), said("a"), said("b"), completed("ab")]), id="text"),
        pytest.param(
            attempts([started(), said("a"), called(1), returned(1), said("b"), completed("b")]),
            id="tool",
        ),
        pytest.param(
            attempts([started(), called(1), returned(1, "no", Outcome.UNKNOWN), completed("b")]),
            id="tool that failed",
        ),
        pytest.param(attempts([started(), said("a"), needed(0)]), id="approval"),
        pytest.param(attempts([started(), said("a"), failed("broken")]), id="failure"),
        pytest.param(attempts([started(), said("a"), cancelled()]), id="cancelled"),
        pytest.param(
            attempts([started(), said("ab")], [started("w2"), completed("c")]), id="again"
        ),
    ],
)
def test_every_event_is_one_that_clients_know(events: list[Event]) -> None:
    frames, answer = told(events)

    for frame in frames:
        check(frame)
    assert OpenAIResponseObject.model_validate(answer.response).output


@pytest.mark.parametrize("field", ["response_id", "item_id", "output_index", "sequence_number"])
def test_an_event_that_lacks_a_field_is_none_that_clients_know(field: str) -> None:
    frames, _ = told(attempts([started(), said("a"), completed("a")]))
    (part,) = [one for one in frames if one["type"] == "response.content_part.added"]
    check(part)

    with pytest.raises(ValidationError, match=field):
        check({name: value for name, value in part.items() if name != field})


def test_how_much_comes_at_a_time_makes_no_difference() -> None:
    events = attempts(
        [started(), said("a"), said("b"), called(1)],
        [started("w2"), said("a"), said("b"), called(1), returned(1), said("c"), completed("c")],
    )

    assert told(events, one_by_one=False)[0] == told(events)[0]


def test_a_number_means_the_same_event_before_and_after_people_have_decided() -> None:
    first = attempts([started(), called(2), said("So:"), needed(0, left=1), needed(1)])
    second = attempts(
        [], [started("w2"), called(2), returned(2), said("Still "), said("so."), needed(2)]
    )
    third = attempts([], [], [started("w3"), called(2), said("Done."), completed("Done.")])

    at_first, _ = paused(first)
    later, _ = paused([*first, *second], 0, 1)
    at_last, answer = told([*first, *second, *third], decided=(0, 1, 2))

    kinds = {frame["sequence_number"]: frame["type"] for frame in at_first}
    for frame in (*later, *at_last):
        assert kinds.setdefault(frame["sequence_number"], frame["type"]) == frame["type"]
    assert sorted(kinds) == list(range(len(kinds)))
    assert "mcp_approval_request" not in {item["type"] for item in answer.response["output"]}


def test_costs_are_those_of_the_run() -> None:
    _, answer = told(attempts([started(), used(1, 1), completed("x", 20, 3)]))

    assert answer.response["usage"]["input_tokens"] == 20
    assert answer.response["usage"]["total_tokens"] == 23


def test_a_failure_has_a_code_and_a_sentence_and_keeps_what_was_said() -> None:
    events = attempts([started(), used(7, 1), said("It"), failed("no", FailureReason.TIMED_OUT)])

    frames, answer = told(events)

    assert answer.response["status"] == "failed"
    assert answer.response["error"] == {"code": "timed_out", "message": "no"}
    assert answer.response["output"][0]["status"] == "incomplete"
    assert answer.response["usage"]["input_tokens"] == 7
    assert frames[-1]["type"] == "response.failed"


def test_a_cancelled_run_ends_incomplete_with_status_cancelled() -> None:
    frames, answer = told(attempts([started(), called(1), cancelled()]))

    assert answer.response["status"] == "cancelled"
    assert frames[-1]["type"] == "response.incomplete"
    assert answer.response["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("events", "deltas", "shown"),
    [
        pytest.param(
            attempts(
                [started(), said("It "), said("is")],
                [started("w2"), said("It"), said(" is 5"), completed("It is 5")],
            ),
            ["It ", "is", " 5"],
            ["It is 5"],
            id="said again from the start",
        ),
        pytest.param(
            attempts(
                [started(), said("It is 5")],
                [started("w2"), said("It "), completed("It is 5")],
            ),
            ["It is 5"],
            ["It is 5"],
            id="nothing new",
        ),
        pytest.param(
            attempts(
                [started(), said("It is")],
                [started("w2"), said("It "), said("was 5"), completed("It was 5")],
            ),
            ["It is", "It was 5"],
            ["It was 5"],
            id="something else",
        ),
        pytest.param(
            attempts(
                [started(), said("Hm."), called(1), returned(1), said("So it")],
                [
                    started("w2"),
                    said("Hm."),
                    called(1),
                    returned(1),
                    said("So it is"),
                    completed("So it is"),
                ],
            ),
            ["Hm.", "So it", " is"],
            ["Hm.", "So it is"],
            id="all of it again",
        ),
        pytest.param(
            attempts(
                [started(), said("Hm."), called(1), returned(1), said("So it")],
                [started("w2"), said("So "), said("it is"), completed("So it is")],
            ),
            ["Hm.", "So it", " is"],
            ["Hm.", "So it is"],
            id="resumed after the tool",
        ),
        pytest.param(
            attempts(
                [started(), said("Hm."), called(1)],
                [started("w2"), said("Hm."), called(1), returned(1, "7"), completed("7")],
            ),
            ["Hm.", "7"],
            ["Hm.", "7"],
            id="lost while the tool worked",
        ),
        pytest.param(
            attempts(
                [started(), said("Hm")],
                [started("w2"), said("Hm"), called(1), returned(1), completed("5")],
            ),
            ["Hm", "5"],
            ["Hm", "5"],
            id="a tool where the text broke off",
        ),
        pytest.param(
            attempts(
                [started(), said("I shall add")],
                [started("w2"), said("I shall"), called(1), returned(1), completed("5")],
            ),
            ["I shall add", "I shall", "5"],
            ["I shall", "5"],
            id="a tool earlier than before",
        ),
        pytest.param(
            attempts(
                [started(), said("It is")],
                [started("w2"), said("No")],
                [started("w3"), said("It is"), completed("It is")],
            ),
            ["It is", "No", "It is"],
            ["It is"],
            id="back to what was given up",
        ),
        pytest.param(
            attempts([started(), said("It is")], [started("w2"), completed("It is 5")]),
            ["It is", " 5"],
            ["It is 5"],
            id="the end says the rest",
        ),
        pytest.param(
            attempts([started(), said("It is")], [started("w2"), completed("No")]),
            ["It is", "No"],
            ["No"],
            id="the end says something else",
        ),
        pytest.param(
            attempts(
                [
                    started(),
                    said("One."),
                    called(1),
                    returned(1),
                    said("Two."),
                    completed("One.Two."),
                ]
            ),
            ["One.", "Two."],
            ["One.", "Two."],
            id="an agent whose answer is all it said",
        ),
    ],
)
def test_nobody_is_told_twice(events: list[Event], deltas: list[str], shown: list[str]) -> None:
    frames, answer = told(events)

    assert [f["delta"] for f in frames if f["type"] == "response.output_text.delta"] == deltas
    assert texts(answer) == shown
    assert len([i for i in answer.response["output"] if i["type"] == "mcp_call"]) <= 1
    opened = [f["item"]["id"] for f in frames if f["type"] == "response.output_item.added"]
    closed = [f["item"]["id"] for f in frames if f["type"] == "response.output_item.done"]
    assert sorted(opened) == sorted(closed)
    assert len(set(opened)) == len(opened)
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))


def test_an_attempt_whose_beginning_was_lost_is_known_by_its_number() -> None:
    events = attempts(
        [started(), said("It is")], [started("w2"), said("It is"), completed("It is")]
    )

    _, answer = told([event for event in events if event.attempt == 1 or event.seq > 1])

    assert texts(answer) == ["It is"]


def test_a_call_whose_beginning_was_lost_is_shown_when_it_returns() -> None:
    _, answer = told(attempts([started(), returned(1, "5"), completed("5.")]))

    assert [item["type"] for item in answer.response["output"]] == ["mcp_call", "message"]


def test_whoever_does_not_read_along_gets_no_events() -> None:
    answer = Answer(response_object(record()), task=TASK)
    answer.begin("in_progress")
    answer.take(attempts([started(), completed("x")]), now=NOW)

    assert answer.frames() == []
    assert texts(answer) == ["x"]
    assert answer.response["completed_at"] == int(NOW)


def test_codes_are_words_with_underscores() -> None:
    assert code_of(FailureReason.RESULT_TOO_LARGE) == "result_too_large"
