"""The whole of it, plain against plain: what the harness makes of equal servers."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

RUN = Path(__file__).parents[2] / "bench" / "run.py"
SMALL = ("--rounds=2", "--requests=64", "--streams=32", "--one-at-a-time=4", "--hold=0.5")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


def test_equal_servers_are_measured(tmp_path: Path) -> None:
    kept = tmp_path / "bench.md"

    done = run("--calibrate", *SMALL, f"--document={kept}")

    assert done.returncode == 0, done.stderr
    rows = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if "|" in line}
    assert {"throughput, 32 at a time", "first text of a stream, median"} <= rows.keys()
    assert {"plain FastAPI", "again", "bare framework, the agent imported"} <= rows.keys()
    assert "not measured" not in done.stdout
    # Equal servers differ by what else the machine does, not by a multiple.
    ratio = float(rows["throughput, 32 at a time"].split("|")[4])
    assert 0.2 < ratio < 5
    assert not kept.exists()
