"""Measures the API servers of a Stack: what a request costs them, and how much they carry.

    python hack/bench/serving.py             all of it, into docs/bench.md and the README
    python hack/bench/serving.py --print     prints, keeps nothing

The platform runs in embedded mode with two API servers on one PostgreSQL, and two workers. The
client asks one of the servers or both, by the connections that it keeps to each.
"""

import argparse
import asyncio
import os
import platform as machine
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import load
import manifests
import processes
import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock
import replicas
import summary
import uvloop
from figures import By, Measure, Pair, Result, comparison, table

from controller.local.environments import Environments
from controller.local.site import free_port
from controller.model import Image
from runtime.tests.postgres import running_postgres

DOCUMENT = processes.ROOT / "docs" / "bench.md"
README = processes.ROOT / "README.md"
HOST = "127.0.0.1"
MODEL = "bench"
CONCURRENCY = 32
STREAMS = 1_000
CONCURRENT_RUNS = 1_024  # so that all streams run at a time, and none only waits
SHARE = 0.12
"""Of a core, for each server: client, queue and workers do all that both can pass on."""
FILES = 8_192
KIB = 1024

COST = Measure(f"CPU for a request, {CONCURRENCY} at a time", "ms", By.RATIO, at_most=1.5)
GROWTH = Measure(f"throughput, {CONCURRENCY} at a time for each", "req/s", By.RATIO, at_least=1.7)

SECTION = """\
## API servers

Made by `make bench-serving`. Two API servers of one Stack in embedded mode, on PostgreSQL, with
{workers} workers of the same agent and NATS as above. Client and servers shared the machine.

Machine: {cores} cores, {machine}, Linux {kernel}, Python {python}; {day}. Load average while
measuring: {load}.

What a request costs one of them through the queue, beside the same server with a provider of
responses that answers at once and has no queue behind it. The processor time of the two processes
was counted, in turns, {rounds} rounds of {requests} requests:

{cost}

What two of them take in beside one. On few cores everything else would be in the way, so each API
server was given {share:.0%} of a core at most (CFS bandwidth), and all others what they needed. The
same two processes ran in both cases, and the client asked one or both:

{growth}

{streams} streams at a time on one of them. All had begun and none had ended before the first was
let go on; each came whole, with every event once and in order. Memory is resident, of that one
process; its peak is what the kernel says, the burst at the end included:

{crowd}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    requests: int
    streams: int
    hold_seconds: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """How one process bore many streams; in KiB, and in seconds from the first request on."""

    streams: int
    begun: float
    ended: float
    before: float
    peak: float


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured."""

    cost: Result
    growth: Result
    crowd: Crowd


@dataclass(frozen=True, slots=True)
class Server:
    """The process of an API server, and where it is asked; those of one Stack share the port."""

    process: psutil.Process
    target: load.Target


class Serving:
    """The API servers of the platform, and beside them the one that answers at once."""

    def __init__(self, servers: Sequence[Server], at_once: Server, size: Size) -> None:
        self._servers = servers
        self._at_once = at_once
        self._size = size

    async def found(self) -> Found:
        """Every figure; the streams last, since a process that has grown stays large."""
        for server in (self._at_once, *self._servers):
            await self._spent(server)
        cost = Result(COST, [await self._cost() for _ in range(self._size.rounds)])
        return Found(cost, await self._growth(), await self._crowd())

    async def _cost(self) -> Pair:
        """Milliseconds of CPU for a request: of the server that answers at once, and of ours."""
        return Pair(await self._spent(self._at_once), await self._spent(self._servers[0]))

    async def _spent(self, server: Server) -> float:
        async with replicas.connections_to([server.process], server.target, CONCURRENCY) as (made,):
            before = processes.cpu_seconds([server.process])
            await load.rate(made, server.target, requests=self._size.requests)
            return 1000 * (processes.cpu_seconds([server.process]) - before) / self._size.requests

    async def _growth(self) -> Result:
        """Requests a second over one server and over both, each with its bounded share."""
        try:
            with replicas.bounded([server.process for server in self._servers], SHARE):
                rounds = [
                    Pair(await self._rate(self._servers[:1]), await self._rate(self._servers))
                    for _ in range(self._size.rounds)
                ]
        except replicas.NotBounded as error:
            return Result(GROWTH, skipped=str(error))
        return Result(GROWTH, rounds)

    async def _rate(self, servers: Sequence[Server]) -> float:
        target, number = servers[0].target, self._size.requests * len(servers)
        behind = [server.process for server in servers]
        async with replicas.connections_to(behind, target, CONCURRENCY) as made:
            return await load.rate([one for each in made for one in each], target, requests=number)

    async def _crowd(self) -> Crowd:
        server, target = self._servers[0].process, self._servers[0].target
        async with replicas.connections_to([server], target, self._size.streams) as (made,):
            before = _status(server, "VmRSS")
            _forget_peak(server)
            start = time.perf_counter()
            async with load.held_streams(made, target, self._size.hold_seconds, numbered=True):
                begun = time.perf_counter() - start
            ended = time.perf_counter() - start
            return Crowd(self._size.streams, begun, ended, before, _status(server, "VmHWM"))


@contextmanager
def at_once(python: str, log: Path) -> Iterator[Server]:
    """The server of a Stack with a provider that answers at once, serving.

    Raises:
        NotRunning: it did not come up; the message has the end of its log.
    """
    port = free_port()
    environment = {
        "K8GENTAI_CONFIG": str(processes.HERE / "at_once" / "run.yaml"),
        "K8GENTAI_HOST": HOST,
        "K8GENTAI_PORT": str(port),
        "K8GENTAI_HEALTH_PORT": str(free_port()),
        "PYTHONPATH": f"{processes.ROOT}:{processes.HERE}",
    }
    command = [python, "-m", "runtime", "serve", "stack/default/at-once"]
    with processes.started(command, log, signal.SIGTERM, environment) as process:
        target = load.Target("at once", HOST, port, MODEL)
        processes.wait(process, log, processes.PLAIN_SECONDS, lambda: processes.listens(port))
        yield Server(process, target)


def _status(process: psutil.Process, field: str) -> float:
    """A figure in KiB of what the kernel tells of a process."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return float(text.partition(f"{field}:")[2].split()[0])


def _forget_peak(process: psutil.Process) -> None:
    """Let the kernel begin anew with the largest resident memory of a process.

    Source:
        Linux manual, proc_pid_clear_refs(5).
    """
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def section(found: Found, size: Size, load_average: Sequence[float]) -> str:
    """What stands in the page; `load_average` before and after."""
    crowd = found.crowd
    grown = crowd.peak - crowd.before
    head = ("streams", "all begun", "all ended", "API server before", "at its peak", "a stream")
    row = (
        f"{crowd.streams}",
        f"{crowd.begun:.1f} s",
        f"{crowd.ended:.1f} s",
        f"{crowd.before / KIB:.0f} MiB",
        f"{crowd.peak / KIB:.0f} MiB",
        f"{grown / crowd.streams:.0f} KiB",
    )
    return SECTION.format(
        cores=os.cpu_count(),
        machine=machine.machine(),
        kernel=machine.release(),
        python=machine.python_version(),
        day=time.strftime("%Y-%m-%d"),
        load=" to ".join(f"{each:.1f}" for each in load_average),
        workers=manifests.WORKERS,
        rounds=size.rounds,
        requests=size.requests,
        cost=comparison([found.cost], "answers at once", "through the queue"),
        share=SHARE,
        growth=comparison([found.growth], "one server", "two servers"),
        streams=f"{crowd.streams:,}",
        crowd=table(head, [row]),
    )


async def measured(size: Size) -> Found:
    """All of it.

    Raises:
        NotRunning: something did not come up.
        WrongAnswer, ConnectionError: see `load`.
    """
    python = await Environments(_say).python(Image.SERVER)
    with tempfile.TemporaryDirectory(prefix="k8gentai-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "manifests").mkdir()
        async with running_postgres(folder) as database:
            written = manifests.replicated(database.url, CONCURRENT_RUNS)
            manifests.write(folder / "manifests", written)
            port = free_port()
            target = load.Target("k8gentai", HOST, port, MODEL)
            platform = processes.platform(folder / "manifests", port, folder / "platform.log")
            root = stack.enter_context(platform)
            plain = stack.enter_context(at_once(python, folder / "at_once.log"))
            servers = [Server(process, target) for process in await _servers(root, port)]
            found = await Serving(servers, plain, size).found()
            await asyncio.to_thread(stack.close)
            return found


async def _servers(root: psutil.Process, port: int) -> Sequence[psutil.Process]:
    """The API servers, once all of them listen."""
    async with asyncio.timeout(processes.PLATFORM_SECONDS):
        while True:
            found = processes.roles(root, port).get("API server", [])
            if len(found) == manifests.SERVERS:
                return found
            await asyncio.sleep(processes.POLL_SECONDS)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1_000, help="a round, of one server")
    parser.add_argument("--streams", type=int, default=STREAMS, help="at a time")
    parser.add_argument("--hold", type=float, default=10, help="seconds that streams stay open")
    parser.add_argument("--print", action="store_true", help="keep nothing")
    chosen = parser.parse_args(arguments)
    size = Size(chosen.rounds, chosen.requests, chosen.streams, chosen.hold)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    before = os.getloadavg()[0]
    try:
        found = uvloop.run(measured(size))
    except (processes.NotRunning, load.WrongAnswer, OSError) as error:
        sys.exit(f"error: {error}")
    made = section(found, size, (before, os.getloadavg()[0]))
    if not chosen.print:
        page = summary.with_servers(DOCUMENT.read_text(), made)
        DOCUMENT.write_text(page)
        README.write_text(summary.into(README.read_text(), page))
    print(made)


if __name__ == "__main__":
    main()
