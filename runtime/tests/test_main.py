import subprocess
import sys

STOPPED_WHILE_IT_STARTS = """
import os, signal, sys
from runtime import __main__ as program
program._process = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(program.main(["worker", "agent/ns/math"]))
"""


def test_a_process_that_is_stopped_while_it_starts_goes_at_once() -> None:
    """As the first process of a container it would otherwise ignore the signal."""
    command = [sys.executable, "-c", STOPPED_WHILE_IT_STARTS]
    done = subprocess.run(command, env={"K8GENTAI_CONFIG": "/dev/null"}, timeout=20, check=False)

    assert done.returncode == 0
