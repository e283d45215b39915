"""The API processes of a Stack that share one port: connections to each, and bounds for each."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import load
import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock

AT_ONCE = 100  # connections; the server's backlog takes more
ACCEPT_SECONDS = 10.0
LOOK_SECONDS = 0.05
CGROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD_MICROSECONDS = 20_000


class NotBounded(Exception):
    """The kernel gives no way to bound a process; the message says what is missing."""


@asynccontextmanager
async def connections_to(
    processes: Sequence[psutil.Process], target: load.Target, number: int
) -> AsyncIterator[list[list[load.Connection]]]:
    """`number` connections to each of these processes behind the port of `target`.

    The kernel chooses which process gets a connection: what one of them has too many, or another
    process has, is closed.

    Raises:
        TimeoutError: the processes did not take what was opened.
    """
    made: dict[int, list[load.Connection]] = {process.pid: [] for process in processes}
    opened: list[load.Connection] = []
    try:
        while any(len(each) < number for each in made.values()):
            fresh = await asyncio.gather(*(load.connect(target) for _ in range(AT_ONCE)))
            opened += fresh
            owners = await _owners(target, fresh)
            for connection in fresh:
                mine = made.get(owners[connection.port])
                if mine is not None and len(mine) < number:
                    mine.append(connection)
                else:
                    connection.close()
        yield list(made.values())
    finally:
        for connection in opened:
            connection.close()


async def _owners(target: load.Target, connections: Sequence[load.Connection]) -> Mapping[int, int]:
    """The pid of the process behind each connection, by the port on our side."""
    async with asyncio.timeout(ACCEPT_SECONDS):
        while True:
            owners = {
                at.raddr.port: at.pid
                for at in psutil.net_connections("tcp")
                if at.raddr and at.pid and at.laddr.port == target.port
            }
            if all(connection.port in owners for connection in connections):
                return owners
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def bounded(processes: Sequence[psutil.Process], share: float) -> Iterator[None]:
    """Each of these processes gets at most `share` of a core while the body runs.

    Raises:
        NotBounded: it cannot be done here.

    Source:
        Linux kernel documentation, "CFS Bandwidth Control".
    """
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(_bounded(process, share))
        yield


@contextmanager
def _bounded(process: psutil.Process, share: float) -> Iterator[None]:
    folder = CGROUPS / f"k8gentai-bench-{process.pid}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NotBounded(f"no group of processes can be made: {error}") from error
    try:
        (folder / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (folder / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD_MICROSECONDS)))
        (folder / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (CGROUPS / "cgroup.procs").write_text(pid)
        folder.rmdir()
