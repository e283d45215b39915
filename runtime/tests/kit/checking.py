"""The kit as a user starts it."""

import subprocess
import sys
from pathlib import Path

from runtime.kit.report import Report

ROOT = Path(__file__).parents[3]


def checked(*options: object) -> subprocess.CompletedProcess[str]:
    """`python -m runtime check` with these options, at its end."""
    return subprocess.run(
        [sys.executable, "-m", "runtime", "check", *map(str, options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def report_of(folder: Path, *options: object, code: int = 0) -> Report:
    """What it reports; `code` is what it has to exit with."""
    file = folder / "report.json"
    done = checked(*options, "--report", file)
    assert done.returncode == code, done.stdout + done.stderr
    report = Report.decode(file.read_bytes())
    assert done.stdout == f"{report.table()}\n"
    return report
