"""A pytest plugin: remembers how the tests of each fault ended, for `make faults`.

Tests say which fault or attack they show by `@pytest.mark.fault(number)`. What ended how is kept
in `.cache/faults/`, one file a run, so that runs side by side do not disturb each other.
"""

import json
import os
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[1] / ".cache" / "faults"
KEPT_RUNS = 50


def commit(folder: Path) -> str:
    """The commit that `folder` is at; what was shown of another one says nothing of this."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class FaultResults:
    """The results of one run."""

    def __init__(self) -> None:
        self._outcomes: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the outcome of a test that shows a fault; its worst part counts."""
        report = yield
        numbers = sorted({mark.args[0] for mark in item.iter_markers("fault")})
        if numbers and (report.when == "call" or report.outcome != "passed"):
            level = next(
                (m for m in ("cluster", "integration") if item.get_closest_marker(m)), "unit"
            )
            self._outcomes[item.nodeid] = {
                "faults": numbers,
                "level": level,
                "outcome": report.outcome,
                "at": time.time(),
            }
        return report

    def pytest_sessionfinish(self) -> None:
        """Keep what was noted."""
        if not self._outcomes:
            return
        now = commit(RESULTS.parents[1])
        for outcome in self._outcomes.values():
            outcome["commit"] = now
        RESULTS.mkdir(parents=True, exist_ok=True)
        name = f"{time.time():.3f}-{os.getpid()}.json"
        (RESULTS / name).write_text(json.dumps(self._outcomes, indent=1))
        for old in sorted(RESULTS.glob("*.json"))[:-KEPT_RUNS]:
            old.unlink(missing_ok=True)


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the run."""
    config.pluginmanager.register(FaultResults())
