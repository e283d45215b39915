import subprocess
import sys
from pathlib import Path

from runtime.garbage import THRESHOLDS

STOPPED_WHILE_IT_STARTS = """
import os, signal, sys
from runtime import __main__ as program
program._process = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(program.main(["worker", "agent/ns/math"]))
"""

LOADS_SOMETHING = """
import gc, sys
from runtime import __main__ as program
program._process = lambda *_: sys.exit(str(gc.get_threshold()))
program.main(["worker", "agent/ns/math"])
"""


def test_garbage_is_looked_for_seldom_before_anything_is_loaded() -> None:
    """Or a fifth of a cold start would go into looking at what stays for good."""
    command = [sys.executable, "-c", LOADS_SOMETHING]
    done = subprocess.run(
        command,
        env={"K8GENTAI_CONFIG": "/dev/null"},
        timeout=20,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.stderr.strip() == str(THRESHOLDS)


def test_a_process_that_is_stopped_while_it_starts_goes_at_once() -> None:
    """As the first process of a container it would otherwise ignore the signal."""
    command = [sys.executable, "-c", STOPPED_WHILE_IT_STARTS]
    done = subprocess.run(command, env={"K8GENTAI_CONFIG": "/dev/null"}, timeout=20, check=False)

    assert done.returncode == 0


def test_so_does_one_that_is_stopped_while_it_imports(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    done = subprocess.run(
        [sys.executable, "-m", "runtime", "trust"],
        env={"PYTHONPATH": str(tmp_path)},
        timeout=20,
        check=False,
    )

    assert done.returncode == 0
