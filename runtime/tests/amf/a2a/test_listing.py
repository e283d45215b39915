"""Which tasks are listed, and in which order."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from a2a.types import ListTasksRequest, TaskState
from a2a.utils.errors import InvalidParamsError

from runtime.amf.a2a.listing import Listing
from runtime.contract.messages import ResponseOptions
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf.records import CONTEXT, completed_record, parked_record, record


def named(run: RunRecord, name: str, **about: Any) -> RunRecord:
    """The run of another task."""
    return run.model_copy(update={"task": run.task.model_copy(update={"id": name} | about)})


NEW = named(record(RunState.QUEUED), "new")  # since 1
PARKED = named(parked_record(None), "parked")  # since 4
ENDED = named(completed_record(), "ended")  # since 5
LATER = named(completed_record(), "later")
ELSEWHERE = named(record(RunState.QUEUED), "elsewhere", conversation="c2")
THEIRS = named(completed_record(), "theirs", user="bob")
HIDDEN = named(completed_record(), "hidden", response=ResponseOptions(store=False))
ALL = (NEW, THEIRS, ENDED, HIDDEN, PARKED, ELSEWHERE, LATER)


def listed(runs: Iterable[RunRecord] = ALL, **asked: Any) -> Any:
    listing = Listing(ListTasksRequest(**asked), "ann")
    for run in runs:
        listing.add(run)
    return listing.response()


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [
        pytest.param({}, ["later", "ended", "parked", "new", "elsewhere"], id="all, latest first"),
        pytest.param({"context_id": CONTEXT}, ["later", "ended", "parked", "new"], id="a context"),
        pytest.param(
            {"status": TaskState.TASK_STATE_INPUT_REQUIRED}, ["parked"], id="of one state"
        ),
        pytest.param({"status_timestamp_after": at(5)}, ["later", "ended"], id="changed since"),
        pytest.param({"page_size": 2}, ["later", "ended"], id="a page"),
        pytest.param({"context_id": "c3"}, [], id="nothing"),
    ],
)
def test_what_is_listed(asked: dict[str, Any], tasks: list[str]) -> None:
    assert [one.id for one in listed(**asked).tasks] == tasks


def test_pages_follow_each_other_and_the_last_says_so() -> None:
    pages = [listed(page_size=2)]
    while token := pages[-1].next_page_token:
        pages.append(listed(page_size=2, page_token=token))

    found = [[one.id for one in page.tasks] for page in pages]
    assert found == [["later", "ended"], ["parked", "new"], ["elsewhere"]]
    assert {(page.total_size, page.page_size) for page in pages} == {(5, 2)}


def test_a_task_that_changes_meanwhile_moves_no_other() -> None:
    first = listed(page_size=2)
    changed = named(completed_record(), "zeta")

    second = listed([*ALL, changed], page_size=2, page_token=first.next_page_token)

    assert [one.id for one in second.tasks] == ["parked", "new"]


def test_the_history_is_as_long_as_asked_for() -> None:
    assert [len(one.history) for one in listed(history_length=0).tasks] == [0] * 5


@pytest.mark.parametrize(
    "asked",
    [{"page_size": 101}, {"page_size": -1}, {"page_token": "x"}, {"history_length": -1}],
    ids=["a large page", "less than a page", "no token", "less than no history"],
)
def test_what_is_no_page_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidParamsError):
        listed(**asked)
