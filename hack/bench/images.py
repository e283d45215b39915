"""Measures what a worker of each framework costs beside the bare framework, in one run.

    python hack/bench/images.py                        all of them, into docs/images.md
    python hack/bench/images.py CrewAI AG2             these; prints, keeps nothing

Both sides run in the framework's own environment and are started in turns. The queue is a real
NATS server with a trust plane, as embedded mode has them; no cluster is needed.
"""

import argparse
import asyncio
import os
import platform as machine
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import processes
import sizes
from figures import By, Measure, Pair, Result, comparison
from starts import IMPORTS, Start, Starts

from controller.api.agent import Framework as Named
from controller.desired.agent import IMAGE_BY_FRAMEWORK
from controller.local.environments import EXTRAS, Environments
from runtime.contract.agent_config import Framework
from runtime.contract.trust_config import Role
from runtime.contract.value import ObjectName
from runtime.tests.nats import running_stack

DOCUMENT = processes.ROOT / "docs" / "images.md"
STACK = ObjectName(namespace="team", name="default")
PLAIN, OURS = "bare framework", "k8gentai"

QUIET = "Little else ran."
BUSY = (
    "Others kept the cores busy: times on the clock tell little of either side, and a limit that\n"
    "they miss has to be measured again; the processor time below can be trusted."
)

PAGE = """\
# What a worker costs

Made by `make bench-images`; do not edit. Each image has one framework, and each worker runs one
agent: here one from instructions, without tools. Beside it stands a Python that only imports what
such an agent is written with. Both ran in the environment of the image's lock, started in turns,
{rounds} rounds; each comparison is made within a round, and the median of the rounds counts.

Machine: {cores} cores, {machine}, Linux {kernel}, Python {python}; {day}. Load average while
measuring: {load}. {beside}

## Cold start

From the start of the process to the first event of a task that has waited for it, with no worker
before: interpreter, imports, proof of identity, connection, agent, task, run record. The bare
framework's is from the start of the process to the end of its imports.

{cold}

Processor time of the same starts, which hardly depends on what else the machine does:

{cpu}

## Import

The same end for both: everything is imported; on our side the agent is made, too.

{imported}

## Idle memory

Resident, of a worker that is ready and has done nothing, and of the bare framework after its
imports.

{idle}

## Size

Of the packages that the framework needs, and of all packages of the worker's environment and our
own code; without bytecode and without the base image.

{size}
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was found out about one framework."""

    cold: Result
    cpu: Result
    imported: Result
    idle: Result
    size: Result


def figures(
    framework: str, rounds: Sequence[tuple[Start, Start, Start, Start]], size: Pair
) -> Figures:
    """The rows of the tables, with what is wanted of them.

    Args:
        framework: its name.
        rounds: what each came to: bare, made, idle, cold.
        size: of the framework alone, and of the worker's environment.
    """
    return Figures(
        cold=Result(
            Measure(framework, "s", By.DIFFERENCE, at_most=0.5),
            [Pair(bare.seconds, cold.seconds) for bare, _, _, cold in rounds],
        ),
        cpu=Result(
            Measure(framework, "s", By.DIFFERENCE),
            [Pair(bare.cpu, cold.cpu) for bare, _, _, cold in rounds],
        ),
        imported=Result(
            Measure(framework, "s", By.DIFFERENCE),
            [Pair(bare.seconds, made.seconds) for bare, made, _, _ in rounds],
        ),
        idle=Result(
            Measure(framework, "MB", By.DIFFERENCE, at_most=40),
            [Pair(bare.memory, idle.memory) for bare, _, idle, _ in rounds],
        ),
        size=Result(Measure(framework, "MB", By.DIFFERENCE), [size]),
    )


async def in_turns(starts: Starts, rounds: int) -> list[tuple[Start, Start, Start, Start]]:
    """What each round came to, after one that does not count: it writes the bytecode."""
    found = []
    for turn in range(rounds + 1):
        if turn % 2:
            bare, cold = await starts.bare(), await starts.cold()
        else:
            cold, bare = await starts.cold(), await starts.bare()
        found.append((bare, await starts.made(), await starts.idle(), cold))
    return found[1:]


def size_of(framework: Framework, python: str) -> Pair:
    """The framework's packages alone, and the environment of `python` with our code."""
    environment, code = Path(python).parents[1], processes.ROOT / "runtime"
    project = (processes.ROOT / "pyproject.toml").read_text()
    (extra,) = EXTRAS[IMAGE_BY_FRAMEWORK[Named(framework)]]
    return Pair(*sizes.sizes(environment, code, sizes.asked_for(project, extra)))


async def measured(frameworks: Sequence[Framework], rounds: int) -> list[Figures]:
    """The figures of each framework, on one queue."""
    environments = Environments(_say)
    pythons = [await environments.python(IMAGE_BY_FRAMEWORK[Named(each)]) for each in frameworks]
    with tempfile.TemporaryDirectory(prefix="k8gentai-bench-") as name:
        folder = Path(name)
        async with (
            running_stack(STACK, folder) as nats,
            nats.link_as(await nats.serving(Role.SERVER)) as server,
        ):
            found = []
            for framework, python in zip(frameworks, pythons, strict=True):
                _say(f"{framework}, {rounds} rounds")
                starts = Starts(framework, python, nats, server, folder)
                came_to = await in_turns(starts, rounds)
                found.append(figures(framework, came_to, size_of(framework, python)))
            return found


def document(found: Sequence[Figures], rounds: int, load: Sequence[float]) -> str:
    """The page that is kept; `load` are load averages before and after."""

    def rows(results: Sequence[Result]) -> str:
        return comparison(results, PLAIN, OURS, "framework")

    return PAGE.format(
        rounds=rounds,
        cores=os.cpu_count(),
        machine=machine.machine(),
        kernel=machine.release(),
        python=machine.python_version(),
        day=time.strftime("%Y-%m-%d"),
        beside=BUSY if max(load) > (os.cpu_count() or 1) else QUIET,
        load=" to ".join(f"{each:.1f}" for each in load),
        cold=rows([each.cold for each in found]),
        cpu=rows([each.cpu for each in found]),
        imported=rows([each.imported for each in found]),
        idle=rows([each.idle for each in found]),
        size=rows([each.size for each in found]),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("frameworks", nargs="*", type=Framework, metavar="framework")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    try:
        found = asyncio.run(measured(chosen.frameworks or [*IMPORTS], chosen.rounds))
    except processes.NotRunning as error:
        sys.exit(f"error: {error}")
    page = document(found, chosen.rounds, (before, os.getloadavg()[0]))
    if not chosen.frameworks:
        DOCUMENT.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
