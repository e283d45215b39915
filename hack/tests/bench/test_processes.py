import signal
import sys
import time
from pathlib import Path

import processes
import pytest

from controller.local.site import free_port


@pytest.mark.parametrize(
    ("command", "is_root", "listens", "role"),
    [
        (["python", "-m", "controller.cli", "up"], True, False, "operator"),
        (["python", "/bin/llama", "stack", "run", "run.yaml"], False, True, "API server"),
        (["python", "-m", "runtime", "worker", "agent/default/bench"], False, False, "worker"),
        (["python", "-m", "runtime", "dispatch", "default/bench"], False, False, "dispatch"),
        (["python", "-m", "runtime"], False, False, "runtime"),
        (["/opt/bin/nats-server", "-c", "nats.conf"], False, False, "nats-server"),
        (["python", "/k/hack/model/server.py", "--port", "1"], False, False, "stand-in model"),
        ([], False, False, "unknown"),
    ],
)
def test_roles(command: list[str], is_root: bool, listens: bool, role: str) -> None:
    assert processes.role(command, is_root=is_root, listens=listens) == role


SERVES = """
import socket, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("ready http://here", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        child.kill()
        child.wait()
"""
STUBBORN = (
    "import signal, time; signal.signal(2, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
)


def wait_for(log: Path, text: str) -> None:
    while text not in log.read_text():
        time.sleep(0.02)


def test_a_family_is_found_weighed_and_stopped(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-c", SERVES, str(port)]

    with processes.started(command, log, signal.SIGINT) as root:
        wait_for(log, "ready")
        family = processes.tree(root)
        assert len(family) == 2
        assert set(processes.roles(root, port)) == {"operator", Path(sys.executable).name}
        assert processes.memory(family) > processes.memory([root]) > 1
        assert processes.cpu_seconds(family) > 0

    assert not any(each.is_running() for each in family)
    assert processes.tree(root) == []


def test_what_does_not_stop_is_killed_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    log = tmp_path / "log"

    def run() -> None:
        with processes.started([sys.executable, "-c", STUBBORN], log, signal.SIGINT):
            wait_for(log, "on")

    with pytest.raises(processes.NotRunning, match="did not stop"):
        run()


def test_a_platform_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    missing = processes.platform(tmp_path / "missing", free_port(), log)

    with pytest.raises(processes.NotRunning, match="ended before it was ready") as failed, missing:
        pass

    assert log.read_text().splitlines()[-1] in str(failed.value)


def test_the_bare_framework_weighs_something() -> None:
    with processes.framework() as bare:
        assert processes.memory([bare]) > 20
    assert not bare.is_running()
