"""What is logged while an agent is on trial."""

import logging
from collections.abc import Iterator

import pytest

from runtime.kit.logged import MOST_LINES, Logged
from runtime.kit.report import Result, Verdict, described


@pytest.fixture
def logged() -> Iterator[Logged]:
    handler = Logged()
    logging.getLogger("framework").addHandler(handler)
    yield handler
    logging.getLogger("framework").removeHandler(handler)


def test_the_last_lines_are_told_once(logged: Logged) -> None:
    log = logging.getLogger("framework.model")
    for number in range(MOST_LINES + 1):
        log.warning("call %d failed\nand how", number)
    log.info("all is well")
    lines = logged.taken()
    assert lines[0] == "framework.model: call 1 failed"
    assert len(lines) == MOST_LINES
    assert logged.taken() == []


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (Verdict.PROVED, []),
        (Verdict.FAILED, ["expected: an answer", "seen: none", "log: framework: it failed"]),
    ],
)
def test_a_log_is_shown_of_what_failed(verdict: Verdict, shown: list[str]) -> None:
    result = Result(scenario="answer", verdict=verdict)
    if verdict is Verdict.FAILED:
        result = result.model_copy(update={"expected": "an answer", "seen": "none"})
    first, *rest = described(result, ["framework: it failed"])
    assert first.endswith("answer")
    assert [line.strip() for line in rest] == shown
