"""The processes that are compared: started, waited for, weighed, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STAND_IN = "hack/model/server.py"
MIB = 1024 * 1024
READY = "ready http://"
PLAIN_SECONDS = 60.0
PLATFORM_SECONDS = 300.0  # the first time it installs the framework's environment
STOP_SECONDS = 40.0
POLL_SECONDS = 0.05


class NotRunning(Exception):
    """A process that is measured ended, or did not become ready in time."""


def _hear_interrupts() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C; what we start must not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lives(process: psutil.Process) -> bool:
    """Whether it still runs; one that nobody has buried yet does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def plain(port: int, log: Path) -> Iterator[psutil.Process]:
    """The agent behind FastAPI, serving.

    Raises:
        NotRunning: it did not come up; the message has the end of its log.
    """
    command = [sys.executable, str(HERE / "plain.py"), "--port", str(port)]
    with started(command, log, signal.SIGTERM) as process:
        wait(process, log, PLAIN_SECONDS, lambda: listens(port))
        yield process


@contextmanager
def platform(folder: Path, port: int, log: Path) -> Iterator[psutil.Process]:
    """The platform in embedded mode with the manifests in `folder`, serving.

    Raises:
        NotRunning: it did not come up, or left a process behind when it was stopped.
    """
    command = [sys.executable, "-m", "controller.cli", "up", "-f", str(folder)]
    with started([*command, "--port", str(port)], log, signal.SIGINT) as process:
        wait(process, log, PLATFORM_SECONDS, lambda: READY in log.read_text(errors="replace"))
        yield process


@contextmanager
def framework() -> Iterator[psutil.Process]:
    """A Python that has imported the agent and its framework, and nothing else."""
    code = "import parrot; print('ready', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise NotRunning("the agent cannot be imported")
        yield psutil.Process(process.pid)
        process.communicate("\n")


@contextmanager
def started(
    command: Sequence[str],
    log: Path,
    stop: signal.Signals,
    environment: Mapping[str, str] | None = None,
) -> Iterator[psutil.Process]:
    """A process with its output in `log`; at the end `stop` is sent, and all of it must go.

    What `environment` says is added to ours.

    Raises:
        NotRunning: some of it did not go by itself; it was killed.
    """
    with log.open("w") as out:
        popen = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
            start_new_session=True,  # Ctrl-C is for us; we pass it on, once
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - one system call, no lock is taken
        )
    process = psutil.Process(popen.pid)
    try:
        yield process
    finally:
        family = tree(process)
        if popen.poll() is None:
            popen.send_signal(stop)
        end = time.monotonic() + STOP_SECONDS
        while (left := [one for one in family if lives(one)]) and time.monotonic() < end:
            popen.poll()
            time.sleep(0.05)
        for one in left:
            one.kill()
        popen.wait()
    if left:
        raise NotRunning(f"these did not stop in {STOP_SECONDS:.0f} s: {left}\n{_end_of(log)}")


def wait(process: psutil.Process, log: Path, seconds: float, ready: Callable[[], bool]) -> None:
    """Return once `ready` says so.

    Raises:
        NotRunning: the process ended, or the seconds are over; the message has the end of its log.
    """
    until = time.monotonic() + seconds
    while not ready():
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise NotRunning(f"it ended before it was ready\n{_end_of(log)}")
        if time.monotonic() > until:
            raise NotRunning(f"it was not ready in {seconds:.0f} s\n{_end_of(log)}")
        time.sleep(POLL_SECONDS)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def tree(root: psutil.Process) -> list[psutil.Process]:
    """The process and all that came from it; empty if it is gone."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def role(command: Sequence[str], *, is_root: bool, listens: bool) -> str:
    """What a process of the platform is, as the tables call it.

    `listens`: it serves the API's port. `python -m runtime worker agent/ns/name` says itself what
    it is; anything unknown goes by its program.
    """
    if is_root:
        return "operator"
    if listens:
        return "API server"
    if "runtime" in command:
        words = command[command.index("runtime") + 1 :]
        return "worker" if words[:1] == ["worker"] else " ".join(words[:1]) or "runtime"
    if any(word.endswith(STAND_IN) for word in command):
        return "stand-in model"
    return Path(command[0]).name if command else "unknown"


def roles(root: psutil.Process, port: int) -> dict[str, list[psutil.Process]]:
    """The processes of a side by their role."""
    found: dict[str, list[psutil.Process]] = {}
    for process in tree(root):
        try:
            name = role(
                process.cmdline(),
                is_root=process == root,
                listens=any(
                    at.status == psutil.CONN_LISTEN and at.laddr.port == port
                    for at in process.net_connections("tcp")
                ),
            )
        except psutil.NoSuchProcess:
            continue
        found.setdefault(name, []).append(process)
    return found


def memory(processes: Sequence[psutil.Process]) -> float:
    """Resident memory of all of them, in MiB."""
    return float(sum(process.memory_info().rss for process in processes) / MIB)


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Processor time that all of them have used so far."""
    times = (process.cpu_times() for process in processes)
    return float(sum(each.user + each.system for each in times))
