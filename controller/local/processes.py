"""Local processes: started, watched, started again, and stopped without a trace."""

import asyncio
import contextlib
import ctypes
import itertools
import json
import logging
import math
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.local.programs import Probe, Program
from controller.local.site import HOST
from controller.model import Container, Pod

log = logging.getLogger(__name__)

BACKOFF_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
PROBE_SECONDS: Final = 0.1
PROBE_TIMEOUT_SECONDS: Final = 2.0
STEADY_SECONDS: Final = 2.0  # between probes once it is ready
TAIL_BYTES: Final = 2000
CANNOT_RUN: Final = "RunContainerError"
"""What Kubernetes says of a container that it cannot start."""
_PR_SET_PDEATHSIG: Final = 1

type OnChange = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Command:
    """What the operating system is told to run."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log_file: Path
    termination_log: Path


class LocalProcess:
    """One container as a process: it runs until `stop`, however often it ends by itself."""

    def __init__(self, program: Program, command: Command, on_change: OnChange) -> None:
        self._program = program
        self._command = command
        self._on_change = on_change
        self._restarts = 0
        self._exit_code: int | None = None
        self._last_words = ""
        self._waiting = ""
        self._refused = ""
        self._ready = False
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._running = asyncio.create_task(self._run(), name=program.name)

    @property
    def seen(self) -> Container:
        """The container as a cluster would show it."""
        return Container(
            name=self._program.name,
            ready=self._ready,
            restarts=self._restarts,
            waiting=self._waiting,
            message=self._refused,
            exit_code=self._exit_code,
            last_words=self._last_words,
        )

    async def stop(self, most_seconds: float = math.inf) -> None:
        """Ask it to stop; after its grace, or after so many seconds, it is killed."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            try:
                grace = min(self._program.grace_seconds, most_seconds)
                await asyncio.wait_for(process.wait(), grace)
            except TimeoutError:
                log.warning("killed", extra={"program": self._command.argv})
            # What it started itself goes with it, also when it did not see to that.
            _signal(process.pid, signal.SIGKILL)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        for attempt in itertools.count():
            await self._attempt()
            if self._stopping:
                return
            if not self._refused:
                self._waiting = "CrashLoopBackOff" if self._restarts else ""
                self._restarts += 1
            self._on_change()
            await asyncio.sleep(backoff(attempt))

    async def _attempt(self) -> None:
        """Run it once; what the operating system has against it is told, and tried again."""
        try:
            await self._once()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._refused = f"{self._command.argv[0]} cannot be started: {error}"
            self._waiting = CANNOT_RUN
            log.warning("cannot run", extra={"program": self._command.argv, "error": str(error)})

    async def _once(self) -> None:
        with self._command.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command.argv,
                env=self._command.environment,
                cwd=self._command.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us; we stop them in order
                preexec_fn=_die_with_parent,
            )
        self._waiting = self._refused = ""
        self._command.termination_log.unlink(missing_ok=True)  # what it holds, another one said
        probing = asyncio.create_task(self._probe(self._program.probe))
        try:
            self._exit_code = await self._process.wait()
            self._last_words = self._said(self._exit_code)
        finally:
            probing.cancel()
            self._set_ready(ready=False)

    async def _probe(self, probe: Probe | None) -> None:
        while True:
            ready = probe is None or await answers(probe)
            self._set_ready(ready=ready)
            await asyncio.sleep(STEADY_SECONDS if ready else PROBE_SECONDS)

    def _set_ready(self, *, ready: bool) -> None:
        if ready != self._ready:
            self._ready = ready
            self._on_change()

    def _said(self, exit_code: int) -> str:
        """What it left in its termination log, else the last line it wrote, or how it ended."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._command.termination_log.read_text()
        if exit_code == 0:
            return ""
        lines = _tail(self._command.log_file).splitlines()
        return f"{why(exit_code, lines)} (all of it: {self._command.log_file})"


def why(exit_code: int, lines: Sequence[str]) -> str:
    """Why a process ended, by its exit status (below 0: the signal) and its log's last lines."""
    if exit_code < 0:
        # Whatever it wrote before, it did not see this coming.
        return f"it was ended by a signal: {signal.strsignal(-exit_code)}"
    said = _blame(_telling(lines)) if lines else ""
    return said or f"it exited with status {exit_code} and said nothing of it"


def _telling(lines: Sequence[str]) -> str:
    """The last line, or the error before it: uvicorn tells in full how it stops after one."""
    if lines[-1].startswith("INFO:"):
        return next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    return lines[-1]


def _blame(line: str) -> str:
    """What a line of a log says of an end, in words; "" for a record of what did not end it."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, dict) or "level" not in told:
        return line
    if told["level"] in {"DEBUG", "INFO", "WARNING"}:
        return ""
    return ": ".join(str(told[part]) for part in ("message", "error") if told.get(part))


@dataclass(slots=True)
class LocalPod:
    """The processes of one pod."""

    name: str
    component: str
    revision: str
    processes: list[LocalProcess] = field(default_factory=list)
    refused: str = ""
    stopping: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether all of it is ready."""
        return bool(self.processes) and all(process.seen.ready for process in self.processes)

    @property
    def seen(self) -> Pod:
        """The pod as a cluster would show it."""
        refused = (Container(name="pod", ready=False, waiting=CANNOT_RUN, message=self.refused),)
        return Pod(
            name=self.name,
            component=self.component,
            revision=self.revision,
            ready=self.is_ready,
            deleting=self.stopping,
            containers=refused
            if self.refused
            else tuple(process.seen for process in self.processes),
        )

    async def stop(self, most_seconds: float = math.inf) -> None:
        """End all of it, as each of its processes."""
        self.stopping = True
        await asyncio.gather(*(process.stop(most_seconds) for process in self.processes))


def backoff(attempt: int) -> float:
    """How many seconds to wait after the attempt of this number, from 0, before the next."""
    return BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]


async def answers(probe: Probe) -> bool:
    """Whether the probe's address answers a GET with success."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, probe.port)
            try:
                request = f"GET {probe.path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status = await reader.readline()
                return b" 200 " in status
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


def _tail(file: Path) -> str:
    with contextlib.suppress(OSError), file.open("rb") as log_file:
        log_file.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return log_file.read().decode(errors="replace").strip()
    return ""


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    """Let the kernel end this process when we are killed and cannot do it ourselves."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
