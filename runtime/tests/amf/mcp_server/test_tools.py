"""Agents as tools of MCP, and the ends of runs as results."""

from typing import Any

import pytest
from mcp import types

from runtime.amf.mcp_server.tools import ended, said, task_id, told, tool_of
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import Event, Outcome
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.amf import events
from runtime.tests.amf.events import MATH, attempts, called, completed, returned, started
from runtime.tests.amf.records import completed_record, failed_record, parked_record, record


def test_an_agent_is_a_tool_that_takes_words() -> None:
    entry = AgentEntry(agent=MATH, model="math", framework=Framework.AG2, description="Does sums.")

    tool = tool_of(entry)

    assert (tool.name, tool.description) == ("math", "Does sums.")
    assert (tool.inputSchema["required"], tool.inputSchema["additionalProperties"]) == (
        ["input"],
        False,
    )


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        pytest.param({"input": "2+3?"}, "2+3?", id="words"),
        pytest.param({"input": " "}, None, id="no word"),
        pytest.param({"input": 5}, None, id="a number"),
        pytest.param({"input": "2+3?", "model": "x"}, None, id="more than that"),
        pytest.param({}, None, id="nothing"),
        pytest.param(None, None, id="no arguments"),
    ],
)
def test_the_arguments_are_words_and_nothing_else(
    arguments: dict[str, Any] | None, wanted: str | None
) -> None:
    assert said(arguments) == wanted


@pytest.mark.parametrize(
    ("run", "text", "is_error"),
    [
        pytest.param(completed_record("It is 5"), "It is 5", False, id="completed"),
        pytest.param(failed_record("The model is away."), "The model is away.", True, id="failed"),
        pytest.param(
            record(RunState.CANCELLED, ended=5), "The run was cancelled.", True, id="cancelled"
        ),
        pytest.param(
            parked_record(None), "A person has to approve the call of plus", True, id="it waits"
        ),
    ],
)
def test_the_result_says_how_the_run_ended(run: RunRecord, text: str, is_error: bool) -> None:
    found = ended(run)

    (content,) = found.content
    assert isinstance(content, types.TextContent)
    assert content.text.startswith(text)
    assert found.isError is is_error


def test_progress_is_told_for_people_and_text_that_goes_on_in_one_piece() -> None:
    run: list[Event] = attempts(
        [
            started(),
            events.said("I "),
            events.said("add: "),
            called(1),
            returned(1),
            called(2),
            returned(2, "no such number", Outcome.FAILED),
            events.said("5"),
            completed("5"),
        ]
    )

    assert told(run) == [
        *("I add: ", "asks plus", "plus has answered"),
        *("asks plus", "plus has failed: no such number", "5"),
    ]


def test_a_request_names_its_task_by_user_session_and_id_alone() -> None:
    ids = {
        task_id("ann", "s1", 1),
        task_id("ann", "s1", "1"),
        task_id("ann", "s1", 2),
        task_id("ann", "s2", 1),
        task_id("bob", "s1", 1),
    }

    assert len(ids) == 5
    assert task_id("ann", "s1", 1) == task_id("ann", "s1", 1)
    assert all(len(one) == 32 for one in ids)
