"""Processes that begin with what they need imported.

A server of a Stack takes three seconds of processor time to start, a worker two, nearly all of it
imports. The fork server of the standard library imports once for each process of pytest, without
starting a thread, and each process here is a fork of it: with a pid, an environment and an output
of its own, and signals as they are when Python starts. Tests of the start itself take the real
command line.

Source:
    Python documentation, `multiprocessing`, contexts and start methods.
"""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from signal import Signals

_FORKS = multiprocessing.get_context("forkserver")
# What an environment has not is passed over. The last one spares all that is there by then.
_FORKS.set_forkserver_preload(
    [
        "runtime.tests.seldom",
        "runtime.tests.amf.tap",
        "runtime.processes.agent",
        "runtime.processes.dispatcher",
        "runtime.processes.tool",
        "runtime.adapters.langgraph",
        "runtime.tests.spared",
    ]
)


class Forked:
    """A process; as far as tests go, an `asyncio.subprocess.Process`."""

    def __init__(self, process: multiprocessing.context.ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its number, also after its end."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.exitcode

    def send_signal(self, number: Signals) -> None:
        """Send it a signal, unless it has ended.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop; raises as `send_signal`."""
        self.send_signal(Signals.SIGTERM)

    def kill(self) -> None:
        """End it; raises as `send_signal`."""
        self.send_signal(Signals.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended; gives its exit code."""
        while (code := self.returncode) is None:
            await asyncio.to_thread(wait, [self._process.sentinel])
        return code


async def forked(
    work: Callable[..., int | None], *arguments: object, environment: Mapping[str, str], log: Path
) -> Forked:
    """Start a process that does `work` in this environment and adds what it says to `log`."""
    process = _FORKS.Process(target=_work, args=(work, arguments, dict(environment), log))

    def begin() -> None:
        log.touch()
        process.start()  # the first one waits for the imports

    await asyncio.to_thread(begin)
    return Forked(process)


def _work(
    work: Callable[..., int | None],
    arguments: tuple[object, ...],
    environment: dict[str, str],
    log: Path,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    sys.exit(work(*arguments))
