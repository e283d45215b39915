"""`k8gentai up` as a user starts it, and what a test needs to know of it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.local.site import free_port

ROOT = Path(__file__).parents[3]
READY_SECONDS = 150
STOP_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that runs on the manifests of `folder`; `said` is all it wrote so far."""

    folder: Path
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> str:
        """Everything on its screen."""
        return self.log.read_text()

    @property
    def state(self) -> Path:
        """The folder of what outlives it."""
        return self.log.with_name("state")

    def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Wait until something is so, or say what the screen showed."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.said
            time.sleep(0.05)

    def until_said(self, pattern: str, seconds: float = 60) -> str:
        """Wait for a line; gives the match."""
        self.until(lambda: re.search(pattern, self.said), seconds)
        match = re.search(pattern, self.said)
        assert match is not None
        return match.group(0)

    def write(self, **manifests: str) -> None:
        """Put manifests into the folder, each replaced as a whole."""
        for name, text in manifests.items():
            fresh = self.folder / f".{name}"
            fresh.write_text(text)
            fresh.replace(self.folder / f"{name}.yaml")

    def remove(self, name: str) -> None:
        """Take a manifest away."""
        (self.folder / f"{name}.yaml").unlink()

    def pids(self, words: str) -> list[int]:
        """The processes below this one whose command line holds `words`."""
        return [pid for pid in _descendants(self.process.pid) if words in _command_line(pid)]

    def kill(self, words: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the one process with these words; gives its pid."""
        (pid,) = self.pids(words)
        os.kill(pid, number)
        return pid


def k8gentai(*words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, however it ends."""
    return subprocess.run(
        [sys.executable, "-m", "controller.cli", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


@contextlib.contextmanager
def running(folder: Path, place: Path, *options: str, until: str = "ready") -> Iterator[Platform]:
    """`k8gentai up` on `folder`, ready; stopped by Ctrl-C, and nothing of it may be left.

    Args:
        until: the first word of the line that is waited for.
    """
    port = free_port()
    log = place / "screen.log"
    command = [sys.executable, "-m", "controller.cli", "up", "-f", str(folder), "--port", str(port)]
    with log.open("wb") as screen:
        process = subprocess.Popen(
            [*command, "--state", str(place / "state"), *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=screen,
        )
    platform = Platform(folder, f"http://127.0.0.1:{port}", log, process)
    try:
        platform.until_said(rf"{until} http://\S+", READY_SECONDS)
        yield platform
        below = _descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0, platform.said
        assert not [pid for pid in below if _lives(pid)], platform.said
    finally:
        process.kill()
        process.wait()


def _descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
