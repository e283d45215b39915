"""The kit as a user starts it."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.kit.report import Report

LONGEST_SECONDS = 240
ROOT = Path(__file__).parents[3]


def checked(*options: object) -> subprocess.CompletedProcess[str]:
    """`python -m runtime check` with these options, at its end."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "runtime", "check", *map(str, options)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired as expired:
        said = (expired.stderr or b"").decode()  # bytes, whatever `text` says
        pytest.fail(f"no end within {LONGEST_SECONDS} s, so far: {said}")


def report_of(folder: Path, *options: object, code: int = 0) -> Report:
    """What it reports; `code` is what it has to exit with."""
    file = folder / "report.json"
    done = checked(*options, "--report", file)
    assert done.returncode == code, done.stdout + done.stderr
    report = Report.decode(file.read_bytes())
    assert done.stdout == f"{report.table()}\n"
    return report
