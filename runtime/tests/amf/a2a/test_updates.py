"""The events of a run as updates of A2A."""

import pytest
from a2a.helpers import get_artifact_text, get_data_parts
from a2a.types import TaskArtifactUpdateEvent, TaskState

from runtime.amf.a2a.updates import Update, Updates
from runtime.contract.messages import Event, Outcome
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf.events import attempts, called, completed, needed, returned, said, started
from runtime.tests.amf.records import completed_record, failed_record, parked_record, record

RUN = record(RunState.RUNNING, attempt=1)
CALL = {"call": "1", "name": "plus", "arguments": "{}"}
RESULT = {"call": "1", "name": "plus", "output": "5"}


def told(update: Update) -> object:
    """An update as tables write it: text that replaces, `+text`, data or a state."""
    if isinstance(update, TaskArtifactUpdateEvent):
        return "+" * update.append + get_artifact_text(update.artifact)
    data = get_data_parts(update.status.message.parts)
    return data[0] if data else TaskState.Name(update.status.state).removeprefix("TASK_STATE_")


@pytest.mark.parametrize(
    ("events", "updates"),
    [
        pytest.param(
            attempts([started(), said("It "), said("is 5"), completed("It is 5")]),
            ["WORKING", "It is 5"],
            id="text that came together is told together, the end by the record",
        ),
        pytest.param(
            attempts([started(), said("Well: "), called(1), returned(1), said("5")]),
            ["WORKING", "Well: ", CALL, RESULT, "5"],
            id="what is said after a call replaces what was said before",
        ),
        pytest.param(
            attempts([started(), called(1), returned(1, "no", Outcome.FAILED)]),
            ["WORKING", CALL, {"call": "1", "name": "plus", "error": "no"}],
            id="a call that failed",
        ),
        pytest.param(
            attempts(
                [started("w1"), said("The "), called(1), returned(1), said("ans")],
                [started("w2"), said("The "), called(1), returned(1), said("answer")],
            ),
            ["WORKING", "The ", CALL, RESULT, "ans", "WORKING", "The ", "answer"],
            id="another attempt says it anew, and tells no call twice",
        ),
        pytest.param(
            attempts([started(), called(1), called(1, index=1), returned(1, "7", index=1)]),
            ["WORKING", CALL, CALL | {"call": "2"}, RESULT | {"call": "2", "output": "7"}],
            id="equal calls are told apart",
        ),
        pytest.param(
            attempts([started(), needed(0)]), ["WORKING"], id="what is asked the record tells"
        ),
    ],
)
def test_what_is_told_of_a_run(events: list[Event], updates: list[object]) -> None:
    assert [told(one) for one in Updates(RUN.task).of(events, now=3)] == updates


def test_text_that_comes_in_two_batches_is_one_answer() -> None:
    updates = Updates(RUN.task)
    events = attempts([started(), said("It "), said("is 5")])

    first = updates.of(events[:2], now=3)
    second = updates.of(events[2:], now=3)

    assert [told(one) for one in [*first, *second]] == ["WORKING", "It ", "+is 5"]


@pytest.mark.parametrize(
    ("spoken", "end", "updates"),
    [
        pytest.param("It is 5", completed_record("It is 5"), ["COMPLETED"], id="all was said"),
        pytest.param("It ", completed_record("It is 5"), ["It is 5", "COMPLETED"], id="a hole"),
        pytest.param("", completed_record("It is 5"), ["It is 5", "COMPLETED"], id="not streamed"),
        pytest.param("It ", failed_record(), ["FAILED"], id="it broke off"),
        pytest.param("It ", record(RunState.CANCELLED, ended=5), ["CANCELED"], id="cancelled"),
    ],
)
def test_the_end_is_what_the_record_has(spoken: str, end: RunRecord, updates: list[object]) -> None:
    telling = Updates(RUN.task)
    telling.of(attempts([started(), said(spoken)]), now=3)

    assert [told(one) for one in telling.last(end)] == updates


def test_a_run_that_waits_for_a_person_ends_by_saying_for_what() -> None:
    (last,) = Updates(RUN.task).last(parked_record(None))

    assert not isinstance(last, TaskArtifactUpdateEvent)
    assert last.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    assert get_data_parts(last.status.message.parts)[0]["approvals"][0]["name"] == "plus"
