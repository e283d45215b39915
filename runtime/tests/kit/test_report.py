"""The report for people."""

import pytest

from runtime.contract.agent_config import Framework
from runtime.kit.report import Report, Result, Verdict

REPORT = Report(
    framework=Framework.AG2,
    version="1.2",
    agent="own:agent",
    results=(
        Result(scenario="answer", verdict=Verdict.PROVED),
        Result(scenario="resume", verdict=Verdict.CANNOT, reason="It has no state."),
        Result(scenario="stream", verdict=Verdict.PROVED),
    ),
)


@pytest.mark.parametrize(
    ("whole", "between"),
    [
        (
            True,
            [
                "proved          answer",
                "cannot          resume",
                "                  It has no state.",
                "proved          stream",
                "",
            ],
        ),
        (False, []),
    ],
)
def test_what_was_shown_already_is_left_out(*, whole: bool, between: list[str]) -> None:
    lines = REPORT.table(whole=whole).splitlines()
    assert lines == ["own:agent on AG2 1.2", "", *between, "2 proved, 1 cannot"]
