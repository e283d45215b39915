"""Real processes: ready when they say so, started again when they end, gone when stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.api.conditions import ReadyReason
from controller.desired.health import workload_health
from controller.local.environments import Environments
from controller.local.processes import why
from controller.local.workloads import Workload

SERVER = (
    "import http.server, os, sys\n"
    "class Ok(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers()\n"
    "    def log_message(self, *_): pass\n"
    "print(os.environ.get('WORD'), flush=True)\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['K8GENTAI_HEALTH_PORT'])), Ok)"
    ".serve_forever()\n"
)


def deployment(code: str, *, replicas: int = 1, revision: str = "1", word: str = "") -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "worker",
            "namespace": "default",
            "labels": {"app.kubernetes.io/component": "worker"},
        },
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {
                    "labels": {"app.kubernetes.io/component": "worker"},
                    "annotations": {"k8gentai.dev/revision": revision},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [
                        {
                            "name": "mcp",
                            "image": "somebody/image",
                            "command": [sys.executable, "-c", code],
                            "env": [
                                {"name": "K8GENTAI_HEALTH_PORT", "value": "8081"},
                                {"name": "WORD", "value": word},
                            ],
                            "readinessProbe": {"httpGet": {"path": "/ready", "port": "health"}},
                        }
                    ],
                },
            },
        },
    }


def workload(tmp_path: Path) -> Workload:
    return Workload(tmp_path, Environments(print), lambda _name, _key: None, lambda: None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.02)


def pid_of(tmp_path: Path) -> int:
    """The one process whose folder this is."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink().is_relative_to(tmp_path):
                    return int(entry.name)
            except OSError:
                continue
    return 0


async def test_a_process_is_ready_when_its_probe_answers_and_leaves_nothing(tmp_path: Path) -> None:
    running = workload(tmp_path)
    running.apply(deployment(SERVER, word="hello"))
    await until(lambda: any(pod.ready for pod in running.pods))
    assert running.manifest["status"]["readyReplicas"] == 1
    assert "hello" in next((tmp_path / "logs").iterdir()).read_text()
    pid = pid_of(tmp_path)
    await running.stop()
    assert pid
    assert pid_of(tmp_path) == 0


async def test_whoever_goes_patiently_can_be_asked_to_go_soon(tmp_path: Path) -> None:
    """An Agent that is drained for minutes does not hold up the end of everything."""
    manifest = deployment(f"import signal; signal.signal(15, signal.SIG_IGN)\n{SERVER}")
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 600
    running = workload(tmp_path)
    running.apply(manifest)
    await until(lambda: any(pod.ready for pod in running.pods))
    going = asyncio.create_task(running.stop())
    async with asyncio.timeout(15):
        await running.stop(0.2)
        await going
    assert pid_of(tmp_path) == 0


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    running = workload(tmp_path)
    running.apply(deployment(SERVER))
    await until(lambda: any(pod.ready for pod in running.pods))
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    await until(lambda: running.pods[0].containers[0].restarts == 1 and running.pods[0].ready)
    await running.stop()


async def test_a_new_revision_is_ready_before_the_old_one_goes(tmp_path: Path) -> None:
    running = workload(tmp_path)
    running.apply(deployment(SERVER))
    await until(lambda: any(pod.ready for pod in running.pods))
    running.apply(deployment(SERVER, revision="2"))
    async with asyncio.timeout(15):
        while [pod.revision for pod in running.pods] != ["2"]:
            assert any(pod.ready for pod in running.pods), "somebody serves at any time"
            await asyncio.sleep(0.01)
    await running.stop()


async def test_scaling_starts_and_stops_processes(tmp_path: Path) -> None:
    running = workload(tmp_path)
    running.apply(deployment(SERVER, replicas=2))
    await until(lambda: running.manifest["status"]["readyReplicas"] == 2)
    running.apply(deployment(SERVER, replicas=0))
    await until(lambda: running.manifest["status"]["replicas"] == 0)
    assert pid_of(tmp_path) == 0
    await running.stop()


WARNED = '{"level": "WARNING", "message": "a checkpoint cannot be used"}'


@pytest.mark.parametrize(
    ("exit_code", "lines", "words"),
    [
        (3, ["serving", "no such model"], "no such model"),
        (3, ["[1]"], "[1]"),
        (3, ['{"level": "ERROR", "message": "no", "error": "a b", "logger": "x"}'], "no: a b"),
        (3, ['{"level": "CRITICAL", "message": "no"}'], "no"),
        (3, ['{"level": "ERROR"}'], "it exited with status 3 and said nothing of it"),
        (7, ['{"level": "INFO"}'], "it exited with status 7 and said nothing of it"),
        (7, [WARNED], "it exited with status 7 and said nothing of it"),
        (1, ["ERROR:    port taken", "INFO:     shut down"], "ERROR:    port taken"),
        (1, ["INFO:     started", "INFO:     shut down"], "INFO:     shut down"),
        (7, [], "it exited with status 7 and said nothing of it"),
        (-9, [WARNED], "it was ended by a signal: Killed"),
        (-9, ["no such model"], "it was ended by a signal: Killed"),
    ],
)
def test_why_a_process_ended_is_its_last_line_if_that_can_say_it(
    exit_code: int, lines: list[str], words: str
) -> None:
    assert why(exit_code, lines) == words


async def test_a_process_that_was_killed_once_says_so_while_it_comes_back(tmp_path: Path) -> None:
    running = workload(tmp_path)
    running.apply(deployment(f"print({WARNED!r}, flush=True)\n{SERVER}"))
    await until(lambda: any(pod.ready for pod in running.pods))
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    await until(lambda: not running.pods[0].ready)
    health = workload_health(running.manifest, running.pods, noun="worker")
    assert health.reason is ReadyReason.PROGRESSING
    assert health.message.startswith("mcp stopped: it was ended by a signal: Killed (all of it: /")
    assert health.message.endswith("); it is started again")
    await running.stop()


async def test_the_last_words_of_a_process_are_kept(tmp_path: Path) -> None:
    code = "open('mcp.termination', 'w').write('spec.x: no'); raise SystemExit(78)"
    running = workload(tmp_path)
    running.apply(deployment(code))
    await until(lambda: running.pods != () and running.pods[0].containers[0].exit_code == 78)
    assert running.pods[0].containers[0].last_words == "spec.x: no"
    await running.stop()


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("mcp", "give a command that runs on this machine, or use a cluster"),
        (
            "worker",
            (
                "give the module in a ConfigMap, and let PYTHONPATH name a folder that has what it "
                "imports (pip install --target), or use a cluster"
            ),
        ),
    ],
)
async def test_an_image_that_cannot_run_here_is_told(
    tmp_path: Path, name: str, way_out: str
) -> None:
    manifest = deployment(SERVER)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["name"] = name
    del container["command"]
    running = workload(tmp_path)
    running.apply(manifest)
    await until(lambda: running.pods != ())
    said = f"embedded mode runs no images (somebody/image); {way_out}"
    assert running.pods[0].containers[0].message == said
    await running.stop()


@pytest.mark.integration
async def test_a_worker_finds_packages_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `check` was told by PYTHONPATH has to do here, too."""
    (tmp_path / "own_package.py").write_text("WORD = 'found'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = "import own_package; open('worker.termination', 'w').write(own_package.WORD)"
    manifest = deployment(f"{words}; raise SystemExit(78)")
    manifest["spec"]["template"]["spec"]["containers"][0] |= {
        "name": "worker",
        "image": "embedded/runtime",
    }
    running = workload(tmp_path)
    running.apply(manifest)
    await until(lambda: running.pods != () and running.pods[0].containers[0].exit_code == 78)
    assert running.pods[0].containers[0].last_words == "found"
    await running.stop()


async def test_a_command_that_does_not_exist_is_told_and_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "later"
    manifest = deployment(SERVER)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["command"] = [str(program), *container["command"][1:]]
    running = workload(tmp_path)
    running.apply(manifest)
    await until(lambda: running.pods != () and running.pods[0].containers[0].message != "")
    (seen,) = running.pods[0].containers
    health = workload_health(running.manifest, running.pods, noun="worker")
    assert health.reason is ReadyReason.DEPENDENCY_NOT_READY
    assert seen.message in health.message
    assert seen.message.startswith(f"{program} cannot be started: [Errno 2]")
    assert seen.restarts == 0
    program.symlink_to(sys.executable)
    await until(lambda: running.pods[0].ready)
    assert running.pods[0].containers[0].message == ""
    await running.stop()


async def test_a_folder_that_cannot_be_made_is_told_and_tried_again(tmp_path: Path) -> None:
    in_the_way = tmp_path / "pods"
    in_the_way.write_text("")
    running = workload(tmp_path)
    running.apply(deployment(SERVER))
    await until(lambda: running.pods != ())
    assert "worker cannot be started: [Errno" in running.pods[0].containers[0].message
    in_the_way.unlink()
    await until(lambda: [pod.ready for pod in running.pods] == [True])
    await running.stop()
