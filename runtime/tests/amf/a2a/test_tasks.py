"""A run record as a task of A2A."""

import pytest
from a2a.helpers import get_artifact_text, get_data_parts, get_message_text
from a2a.types import Role, TaskState

from runtime.amf.a2a.tasks import state_of, task_of
from runtime.contract.approval import Verdict
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf.events import TASK
from runtime.tests.amf.records import (
    CONTEXT,
    completed_record,
    failed_record,
    parked_record,
    record,
)


@pytest.mark.parametrize(
    ("run", "state"),
    [
        pytest.param(record(RunState.WAITING), "SUBMITTED", id="its conversation is busy"),
        pytest.param(record(RunState.QUEUED), "SUBMITTED", id="no worker has it"),
        pytest.param(record(RunState.RUNNING, attempt=1), "WORKING", id="a worker has it"),
        pytest.param(
            record(RunState.QUEUED, attempt=1, returned=1), "SUBMITTED", id="a worker gave it back"
        ),
        pytest.param(parked_record(None), "INPUT_REQUIRED", id="it waits for a person"),
        pytest.param(
            parked_record(Verdict.DENIED, None), "INPUT_REQUIRED", id="one call is undecided"
        ),
        pytest.param(parked_record(Verdict.APPROVED), "WORKING", id="it is decided"),
        pytest.param(
            parked_record(Verdict.APPROVED).resuming(9), "WORKING", id="it is queued again"
        ),
        pytest.param(completed_record(), "COMPLETED", id="completed"),
        pytest.param(failed_record(), "FAILED", id="failed"),
        pytest.param(record(RunState.CANCELLED, ended=5), "CANCELED", id="cancelled"),
    ],
)
def test_where_a_run_stands(run: RunRecord, state: str) -> None:
    assert TaskState.Name(state_of(run)) == f"TASK_STATE_{state}"


def test_a_completed_task_has_the_answer_as_its_one_artifact() -> None:
    task = task_of(completed_record("It is 5"))

    assert (task.id, task.context_id) == (TASK, CONTEXT)
    assert [get_artifact_text(one) for one in task.artifacts] == ["It is 5"]
    assert task.status.timestamp.seconds == 5
    (asked,) = task.history
    assert (asked.role, get_message_text(asked)) == (Role.ROLE_USER, "2+3?")


def test_a_failed_task_says_why() -> None:
    task = task_of(failed_record("The model is away."))

    assert get_message_text(task.status.message) == "The model is away."
    assert not task.artifacts


def test_a_task_that_waits_says_for_what_in_words_and_as_data() -> None:
    message = task_of(parked_record(Verdict.APPROVED, None)).status.message

    assert 'the call of plus with {"a":2}' in get_message_text(message)
    (asked,) = get_data_parts(message.parts)
    (approval,) = asked["approvals"]
    assert approval == {
        "id": f"mcpr_{TASK}_1",
        "name": "plus",
        "arguments": '{"a":2}',
        "expires": 2e9,
    }
