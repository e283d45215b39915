"""The table of faults, made of real runs of pytest in a small project of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from hack.faults import IN_SCOPE, NOT_YET

HACK = Path(__file__).parents[1]
ONE = """
@pytest.mark.fault({number})
{level}def test_fault_{number}():
    assert {holds}
"""


def write(
    project: Path, numbers: list[int], *, failing: Collection[int] = (), level: str = ""
) -> None:
    """Tests of these faults, some of which may fail."""
    tests = [ONE.format(number=n, level=level, holds=n not in failing) for n in numbers]
    (project / "test_all.py").write_text("\n".join(["import pytest", *tests]))


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # it starts sooner
    return subprocess.run(
        command, cwd=project, env=alone, capture_output=True, text=True, check=False
    )


def run_tests(project: Path, *which: str) -> None:
    done = run(project, "-m", "pytest", "-q", "-p", "hack.fault_results", *which)
    assert done.returncode in {0, 1}, done.stdout + done.stderr


def table(project: Path) -> tuple[int, dict[int, list[str]], str]:
    """Exit code, rows by number, and what was said beside the table."""
    done = run(project, "-m", "hack.faults")
    cells = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    return done.returncode, {int(row[0]): row[1:] for row in cells}, done.stderr


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a test of each fault in scope has passed."""
    project = tmp_path_factory.mktemp("faults")
    (project / "hack").mkdir()
    (project / "e2e").mkdir()
    for name in ("faults.py", "fault_results.py"):
        shutil.copy(HACK / name, project / "hack")
    markers = "integration: x\n cluster: x\n fault(n): x"
    (project / "pytest.ini").write_text(f"[pytest]\nmarkers =\n {markers}\n")
    write(project, [*IN_SCOPE], level="@pytest.mark.integration\n")
    run_tests(project)
    return project


@pytest.fixture
def project(passed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(passed, tmp_path / "project")


def test_it_is_content_when_every_fault_in_scope_has_a_passed_test(project: Path) -> None:
    code, rows, said = table(project)

    assert (code, said) == (0, "")
    assert {number: row[0] for number, row in rows.items()} == IN_SCOPE | NOT_YET
    assert {rows[number][-1] for number in NOT_YET} == {"not promised yet"}
    assert rows[2][1:] == ["integration", "test_all.py::test_fault_2", "passed"]


def test_a_fault_whose_test_is_no_more_is_named(project: Path) -> None:
    write(project, [number for number in IN_SCOPE if number != 7])

    code, rows, said = table(project)

    assert code == 1
    assert rows[7][1:] == ["-", "none has run", "missing"]
    assert said.strip() == "without a passed test: 7"


def test_what_was_shown_of_another_commit_does_not_count(project: Path) -> None:
    for command in (["init", "-q"], ["-c", "user.name=x", "-c", "user.email=x@y", "commit"]):
        options = ["--allow-empty", "-qm", "x"] if "commit" in command else []
        subprocess.run(["git", *command, *options], cwd=project, check=True)

    code, _, said = table(project)

    assert code == 1
    assert "without a passed test: 1, 2, 3" in said


def test_the_last_result_counts_and_what_is_out_of_scope_does_not(project: Path) -> None:
    other = max(IN_SCOPE | NOT_YET) + 1
    write(project, [*IN_SCOPE, other], failing=(9, other))
    run_tests(project, "-k", f"fault_9 or fault_{other}")

    code, rows, said = table(project)

    assert (code, said.strip()) == (1, "without a passed test: 9")
    assert rows[9][1:] == ["unit", "test_all.py::test_fault_9", "failed"]
    assert rows[other] == ["", "unit", f"test_all.py::test_fault_{other}", "failed"]

    write(project, [*IN_SCOPE, other], failing=(other,))
    run_tests(project, "-k", "fault_9")
    assert table(project)[0] == 0
