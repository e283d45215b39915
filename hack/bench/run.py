"""Measures k8gentai beside the same agent in plain FastAPI, in one run, and keeps the tables.

    python hack/bench/run.py                 everything, into docs/bench.md and the README
    python hack/bench/run.py --calibrate     plain against plain: what the harness itself makes
                                             of equal servers; prints, keeps nothing

Both sides are asked in turns, request by request or round by round, and compared within each
round, so that what else the machine does falls on both. The platform runs in embedded mode: one
API process, one worker, a NATS server. Times in a cluster come last, in the current one: its
control plane takes its part of the cores, so it is brought up after the rest is measured.
"""

import argparse
import os
import platform as machine
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cluster
import load
import manifests
import processes
import psutil  # type: ignore[import-untyped]  # its stubs are not in the lock
import summary
import uvloop
from figures import By, Measure, Pair, Result, by_process, comparison

from controller.local.site import free_port

DOCUMENT = processes.ROOT / "docs" / "bench.md"
README = processes.ROOT / "README.md"
MODEL = "bench"
CONCURRENCY = 32
STREAMS = 100
TRIES = 3
CLUSTER_ROUNDS = 5
HOST = "127.0.0.1"
PLAIN = "plain FastAPI"
SETTLE_SECONDS = 3.0

WHOLE = Measure(f"throughput, {CONCURRENCY} at a time", "req/s", By.RATIO, at_least=0.8)
STREAMED = Measure(f"streams, {CONCURRENCY} at a time", "req/s", By.RATIO, at_least=0.7)
LATENCY = Measure("latency one at a time, median", "ms", By.DIFFERENCE, at_most=3)
FIRST = Measure("first text of a stream, median", "ms", By.DIFFERENCE, at_most=5)
OPEN = Measure(f"memory of {STREAMS} open streams, API process", "MiB", By.ITSELF, at_most=12)
OPEN_ALL = Measure(f"memory of {STREAMS} open streams, all processes", "MiB", By.ITSELF)
READY = Measure("apply to Ready, beside a bare Deployment", "s", By.DIFFERENCE)

QUIET = "Nothing else ran."
BUSY = "A cluster ran beside; `make cluster-down` before makes quieter figures."

PAGE = """\
# Benchmarks

Made by `make bench`; do not edit. A trivial LangGraph agent without a model, once in plain FastAPI
and uvicorn, once behind k8gentai in embedded mode with one API process, one worker and a NATS
server that keeps everything in files and has them on the disk within two minutes
(`syncInterval: 2m`; with `always`, the default, each write waits for the disk, which then sets the
pace). Both ran side by side and were asked in turns, {rounds} rounds; client and servers shared
the machine. Each comparison is made within a round, and the median of the rounds counts.

Machine: {cores} cores, {machine}, Linux {kernel}, Python {python}; {day}. {beside}

{comparison}

## Memory of idle processes

{memory}

## CPU, {concurrency} at a time

{cpu}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int
    requests: int
    streams: int
    one_at_a_time: int
    hold_seconds: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared, running."""

    target: load.Target
    root: psutil.Process
    is_platform: bool

    def parts(self) -> dict[str, list[psutil.Process]]:
        """Its processes, by what they are."""
        if self.is_platform:
            return processes.roles(self.root, self.target.port)
        return {self.target.name: processes.tree(self.root)}

    def api(self) -> list[psutil.Process]:
        """The processes that serve the port."""
        return self.parts().get("API server") or processes.tree(self.root)


@dataclass(frozen=True, slots=True)
class Found:
    """All that was measured; by process in MiB, and in ms of CPU a request."""

    results: Sequence[Result]
    memory: Mapping[str, Sequence[float]]
    cpu: Mapping[str, Sequence[float]]


class Bench:
    """Two sides that run, asked in turns."""

    def __init__(self, plain: Side, ours: Side, size: Size) -> None:
        self.sides, self.size = (plain, ours), size
        self.cpu: dict[str, dict[bool, float]] = {}

    async def results(self) -> list[Result]:
        """Every measure that needs no cluster, in the order of the table."""
        for side in self.sides:
            await _warm_up(side)
        api, everything = await self._open_streams()
        rates: dict[bool, list[Pair]] = {False: [], True: []}
        first, latency = [], []
        for turn in range(self.size.rounds):
            _say(f"round {turn + 1} of {self.size.rounds}")
            latency.append((await self._in_turns(stream=False))[1])
            first.append((await self._in_turns(stream=True))[0])
            for stream in (False, True):
                rates[stream].append(await self._at_once(turn, stream=stream))
        return [
            Result(WHOLE, rates[False]),
            Result(STREAMED, rates[True]),
            Result(LATENCY, latency),
            Result(FIRST, first),
            Result(OPEN, [api]),
            Result(OPEN_ALL, [everything]),
        ]

    async def _in_turns(self, *, stream: bool) -> tuple[Pair, Pair]:
        """Medians of the first text and of the whole, in ms; turns change with each request."""
        made = [(side.target, await load.connect(side.target)) for side in self.sides]
        timings: dict[str, list[load.Timing]] = {target.name: [] for target, _ in made}
        for i in range(self.size.one_at_a_time):
            for target, connection in made if i % 2 else reversed(made):
                timing = await load.timed(connection, target, stream=stream)
                timings[target.name].append(timing)
        for _, connection in made:
            connection.close()
        first = [1000 * median(each.first for each in all_) for all_ in timings.values()]
        total = [1000 * median(each.total for each in all_) for all_ in timings.values()]
        return Pair(*first), Pair(*total)

    async def _at_once(self, turn: int, *, stream: bool) -> Pair:
        """Requests a second of both sides, one after the other; `turn` says who begins."""
        number = self.size.streams if stream else self.size.requests
        rates: dict[str, float] = {}
        for side in self.sides if turn % 2 else reversed(self.sides):
            before = _cpu(side)
            rates[side.target.name] = await load.throughput(
                side.target, requests=number, concurrency=CONCURRENCY, stream=stream
            )
            for part, seconds in _cpu(side).items():
                spent = self.cpu.setdefault(part, {False: 0.0, True: 0.0})
                spent[stream] += 1000 * (seconds - before.get(part, 0)) / number / self.size.rounds
        return Pair(*(rates[side.target.name] for side in self.sides))

    async def _open_streams(self) -> tuple[Pair, Pair]:
        """MiB more while streams are open, of the API and of all: the most of a few tries."""
        grown = [[await self._grown(side) for _ in range(TRIES)] for side in self.sides]
        api = Pair(*(max(api for api, _ in side) for side in grown))
        everything = Pair(*(max(all_ for _, all_ in side) for side in grown))
        return api, everything

    async def _grown(self, side: Side) -> tuple[float, float]:
        """MiB more while streams are open: of the API's process, and of all."""
        before = _weight(side)
        async with load.open_streams(side.target, STREAMS, self.size.hold_seconds):
            after = _weight(side)
        return after[0] - before[0], after[1] - before[1]


async def _warm_up(side: Side) -> None:
    """Each way once and again, so that nothing is measured for the first time."""
    connection = await load.connect(side.target)
    for stream in (False, True):
        for _ in range(20):
            await load.timed(connection, side.target, stream=stream)
    connection.close()
    for stream in (False, True):
        await load.throughput(side.target, requests=64, concurrency=CONCURRENCY, stream=stream)


def _weight(side: Side) -> tuple[float, float]:
    everything = [each for part in side.parts().values() for each in part]
    return processes.memory(side.api()), processes.memory(everything)


def _cpu(side: Side) -> dict[str, float]:
    return {part: processes.cpu_seconds(each) for part, each in side.parts().items()}


def measure(plain: Side, ours: Side, size: Size, bare: float) -> Found:
    """All that can be measured between two sides that run; `bare` goes with their memory."""
    time.sleep(SETTLE_SECONDS)
    memory = {"bare framework, the agent imported": [bare]}
    for side in (plain, ours):
        memory |= {part: [processes.memory(each)] for part, each in side.parts().items()}
    bench = Bench(plain, ours, size)
    results = uvloop.run(bench.results())
    return Found(results, memory, {part: [*at.values()] for part, at in bench.cpu.items()})


@contextmanager
def two_sides(folder: Path, *, calibrate: bool) -> Iterator[tuple[Side, Side]]:
    """The sides, ready to be asked; `folder` is for what they need and for their logs."""
    ports = free_port(), free_port()
    with ExitStack() as stack:
        first = stack.enter_context(processes.plain(ports[0], folder / "plain.log"))
        if calibrate:
            second = stack.enter_context(processes.plain(ports[1], folder / "again.log"))
        else:
            (folder / "manifests").mkdir()
            manifests.write(folder / "manifests", manifests.texts())
            second = stack.enter_context(
                processes.platform(folder / "manifests", ports[1], folder / "platform.log")
            )
        yield (
            Side(load.Target(PLAIN, HOST, ports[0], MODEL), first, is_platform=False),
            Side(
                load.Target("again" if calibrate else "k8gentai", HOST, ports[1], MODEL),
                second,
                is_platform=not calibrate,
            ),
        )


def in_cluster(rounds: int, bring_up: str) -> Result:
    """From apply to Ready in the cluster that `bring_up` makes, or why that was not measured."""
    done = subprocess.run(shlex.split(bring_up or "true"), stdout=sys.stderr, check=False)
    if done.returncode:
        return Result(READY, skipped=f"`{bring_up}` failed")
    if why := cluster.unavailable():
        return Result(READY, skipped=why)
    try:
        return Result(READY, cluster.apply_to_ready(rounds))
    except cluster.KubectlFailed as error:
        return Result(READY, skipped=str(error).splitlines()[0])


def document(found: Found, size: Size, ours: str, beside: str) -> str:
    """The page that is kept.

    Shape:
        ours    the name of the side that is not plain.
        beside  a sentence on what else the machine did.
    """
    return PAGE.format(
        rounds=size.rounds,
        cores=os.cpu_count(),
        machine=machine.machine(),
        kernel=machine.release(),
        python=machine.python_version(),
        day=time.strftime("%Y-%m-%d"),
        beside=beside,
        comparison=comparison(found.results, PLAIN, ours),
        memory=by_process("resident", "MiB", found.memory),
        concurrency=CONCURRENCY,
        cpu=by_process("a request, a stream", "ms", found.cpu),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=640, help="a round, many at a time")
    parser.add_argument("--streams", type=int, default=320, help="a round, many at a time")
    parser.add_argument("--one-at-a-time", type=int, default=100, help="requests a round")
    parser.add_argument("--hold", type=float, default=4, help="seconds that streams stay open")
    parser.add_argument("--calibrate", action="store_true", help="plain against plain")
    parser.add_argument("--cluster", default="", help="what brings a cluster up, with k8gentai")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the page is kept")
    chosen = parser.parse_args(arguments)
    size = Size(chosen.rounds, chosen.requests, chosen.streams, chosen.one_at_a_time, chosen.hold)
    beside = BUSY if cluster.answers() else QUIET
    with processes.framework() as process:
        bare = processes.memory([process])
    with tempfile.TemporaryDirectory(prefix="k8gentai-bench-") as name:
        try:
            with two_sides(Path(name), calibrate=chosen.calibrate) as (plain, ours):
                found = measure(plain, ours, size, bare)
        except (processes.NotRunning, load.WrongAnswer, OSError) as error:
            sys.exit(f"error: {error}")
    if not chosen.calibrate:
        found = replace(found, results=[*found.results, in_cluster(CLUSTER_ROUNDS, chosen.cluster)])
        page = document(found, size, ours.target.name, beside)
        if chosen.document.exists():
            page = summary.with_servers(page, summary.servers_of(chosen.document.read_text()))
        chosen.document.write_text(page)
        if chosen.document == DOCUMENT:
            README.write_text(summary.into(README.read_text(), page))
    print(document(found, size, ours.target.name, beside))


if __name__ == "__main__":
    main()
