"""`make frameworks`: run the kit in each framework's environment, keep and write down the results.

python -m hack.frameworks                 every framework that the runtime knows
python -m hack.frameworks CrewAI AG2      these anew, the others as they were
python -m hack.frameworks --page          no run: what is written from the results that are kept

They are written down for people, as a page, and for the operator, as what it puts into the
`status.capabilities` of Agents.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from controller.api.agent import Framework
from controller.local.check import CheckOptions, check
from runtime.adapters.registry import MODULES
from runtime.kit.capabilities import SCENARIOS_BY_CAPABILITY, capabilities
from runtime.kit.check import SCENARIOS
from runtime.kit.limits import LIMITS
from runtime.kit.report import Report, Result, Verdict

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "frameworks.json"
PAGE = ROOT / "docs" / "frameworks.md"
MODULE = ROOT / "controller" / "desired" / "capabilities.py"
MARK_BY_VERDICT = {
    Verdict.PROVED: "✓",
    Verdict.CANNOT: "cannot",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.FAILED: "**failed**",
}
ABOVE = """\
# Frameworks

<!-- Generated from docs/frameworks.json by `make frameworks`; do not edit. -->

Agents of every framework run behind one contract, and one kit of scenarios shows what they can do.
This is what it found for an agent from instructions on each framework, in the framework's own
environment and against the [stand-in model](../hack/model/server.py). `make frameworks` runs it
again and writes this page.
"""
CAPABILITIES = """
## Capabilities

`status.capabilities` of an Agent names what was proved of its framework; a word that is missing
there is something that it cannot do. Whatever an Agent's own code leaves undone is not seen there,
nor is anything said of an image that is not ours: `k8gentai check`, below, finds out.

"""
HEAD = '''\
"""What the conformance kit has proved of each framework.

Generated from docs/frameworks.json by `make frameworks`; do not edit.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controller.api.agent import Framework

CAPABILITIES: Final = (
WORDS)
"""Whatever an Agent may be capable of."""

LACKED_BY_FRAMEWORK: Final[Mapping[Framework, tuple[str, ...]]] = MappingProxyType(
    {
'''
FOOT = """\
    }
)
"""
BELOW = """
## Check an agent of your own

```sh
k8gentai check math_agent:graph --framework LangGraph --path ./agents
```

runs the same scenarios on your module, unchanged, in the environment of its framework. Between the
agent and its model stands a proxy that sees each call, so that a call which goes on after its run
was cancelled does not stay hidden. The agent has to ask its model where the platform says: by
`AgentContext.model`, or by a client that reads `OPENAI_BASE_URL` (LlamaStack:
`LLAMA_STACK_CLIENT_BASE_URL`) as those of OpenAI do by themselves. What your agent leaves undone in
its own right is *cannot*, what it has nothing to show for is *not applicable*, each with the
reason; only what the platform promises and does not come is *failed*.

`--model-base-url URL --model NAME` lets it ask a model of your own; the scenarios in which a model
goes wrong still ask the stand-in, since only that one fails at will. For LlamaStack the endpoint
has to serve the Responses API. The command exits with 0 if nothing failed, 1 if something did, and
2 if there was nothing to check, with a sentence that names what is wrong. `--report FILE` keeps the
report as JSON. In an image of ours, without this checkout, `python -m runtime check` is the same.
What your module needs beside its framework, `pip install --target DIR` puts where `PYTHONPATH=DIR`
finds it; in a cluster it has to be in an image of your own.

Known limits of agents of your own:

LIMITS

## What no framework is asked for

What becomes of a call of another agent on the queue concerns more than one process, which the kit
does not start.

## What a run goes on from

With `retry.onCrash: Resume`, another worker goes on with the run of one that was lost. Calls of the
platform's tools find their recorded results in any case. Beside them:

- **LangGraph** goes on from the last step of the graph that was done.
- **AG2** goes on from its last events: what the model wanted, or what all tools of a turn said. It
  does not keep `variables`: once a tool has written into them, no more is kept of the run.
- **LlamaStack** does the same with an agent from instructions and an `AsyncAgent`; a blocking
  `Agent` begins anew.
- **BeeAI** begins at the start, with the answers that its models gave before, and with what tools
  of your own gave, a `StringToolOutput` or a `JSONToolOutput`, or failed with where an agent tells
  its model of that.
- **CrewAI** does not do again what tasks have done, in crews of every process and in those that a
  Flow kicks off: their outputs and files are there again, with their objects, and no callback or
  guardrail of theirs is called. The task that was cut off, an Agent or a Flow begins at its start,
  with answers of models and results of tools as in BeeAI; these have to be JSON, a `ToolFailure` or
  of the class that the tool declares, and errors nothing but a class and its arguments. What is
  called again are callbacks of the kickoff, conditions of tasks and the methods of a Flow;
  listeners hear nothing of what is not done again. Of models of another provider than OpenAI, tool
  calls in a class of that provider's are asked for again. Not kept is what blocks an event loop,
  what a Flow asks models for that it awaits itself, what a tool gives whose class has a `run` of
  its own that does not call `super().run`, and the cache of a crew's tools.

In these two, agents that write down the date or the time write down when their run began; where
code of your own writes the time of day into a question, that is another question each time, and
asked again. What JSON would change is not kept, which the log tells, and only that is done again;
in AG2 and LlamaStack it ends the keeping, and a crash behind it goes back to before it. A tool or
callback of your own that was under way when its worker was lost is called again; if that must not
happen, let it be a Tool, whose `sideEffects` decide.

An agent with other instructions, other code, another model or other tools begins anew. Other code
is another content of its ConfigMap or another reference to its image. What was said in a run, and
what tools and tasks came to, is kept; keys and headers of models are not.
"""


def page(reports: Sequence[Report]) -> str:
    """The page that shows `reports`."""
    found = [*_matrix(reports), *_reasons(reports)]
    lines = [*found, CAPABILITIES + "\n".join(_words(reports))]
    return "\n".join([ABOVE, *lines, BELOW.replace("LIMITS\n", "\n".join(_own_limits()))])


def _matrix(reports: Sequence[Report]) -> Iterator[str]:
    heads = [f"{report.framework} {report.version}" for report in reports]
    yield _row(["scenario", "expected", *heads])
    yield _row(["---"] * (2 + len(heads)))
    for scenario in SCENARIOS:
        found = (_result(report, scenario.name) for report in reports)
        marks = [MARK_BY_VERDICT[one.verdict] if one else "not run" for one in found]
        yield _row([scenario.name, scenario.expects, *marks])


def _words(reports: Sequence[Report]) -> Iterator[str]:
    yield _row(["capability", "proved by", *(report.framework for report in reports)])
    yield _row(["---"] * (2 + len(reports)))
    for word, scenarios in SCENARIOS_BY_CAPABILITY.items():
        marks = ["✓" if word in capabilities(report) else "" for report in reports]
        yield _row([f"`{word}`", ", ".join(scenarios), *marks])


def module(reports: Sequence[Report]) -> str:
    """The module that tells the operator, as the formatter leaves it."""
    words = "".join(f'    "{word}",\n' for word in SCENARIOS_BY_CAPABILITY)
    return HEAD.replace("WORDS", words) + "".join(map(_lacked, reports)) + FOOT


def _lacked(report: Report) -> str:
    """What a framework lacks, as an entry of the module's table."""
    proved = capabilities(report)
    lacked = [word for word in SCENARIOS_BY_CAPABILITY if word not in proved]
    # A single word stays on its line, several get one each.
    before, after = ("\n            ", "\n        ") if len(lacked) > 1 else ("", "")
    inner = "".join(f'{before}"{word}",' for word in lacked) + after
    return f"        Framework.{Framework(report.framework).name}: ({inner}),\n"


def _reasons(reports: Sequence[Report]) -> Iterator[str]:
    """What stands behind each mark that is no ✓."""
    told = [
        f"- {report.framework}, {result.scenario}: "
        + (result.reason or f"expected {result.expected}; seen: {result.seen}")
        for report in reports
        for result in report.results
        if result.verdict is not Verdict.PROVED
    ]
    if told:
        yield from ("", *told)


def _own_limits() -> Iterator[str]:
    """What is known of users' own agents, each reason once."""
    names: dict[tuple[str, str], list[str]] = {}
    for (framework, scenario), limit in LIMITS.items():
        if limit.own:
            names.setdefault((framework, limit.reason), []).append(scenario)
    for (name, reason), scenarios in names.items():
        yield f"- {name}, {', '.join(scenarios)}: {reason}"
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _result(report: Report, scenario: str) -> Result | None:
    return next((one for one in report.results if one.scenario == scenario), None)


def read() -> tuple[Report, ...]:
    """The results that are kept, one report a framework."""
    if not RESULTS.exists():
        return ()
    return tuple(Report.model_validate(one) for one in json.loads(RESULTS.read_text()))


def write(reports: Sequence[Report]) -> None:
    """Keep the results, and write page and module."""
    kept = [json.loads(report.encode()) for report in reports]
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(reports))
    MODULE.write_text(module(reports))


async def run(framework: str) -> Report:
    """The kit's report on an agent from instructions."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        options = CheckOptions(framework=Framework(framework), report=file)
        await check(options, lambda words: print(words, file=sys.stderr, flush=True))
        return Report.decode(file.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("frameworks", nargs="*", metavar="framework", help="which to run anew")
    parser.add_argument("--page", action="store_true", help="run nothing")
    given = parser.parse_args()
    kept = {report.framework: report for report in read()}
    anew = () if given.page else given.frameworks or MODULES
    ran = {report.framework: report for report in (asyncio.run(run(one)) for one in anew)}
    reports = [(kept | ran)[one] for one in MODULES if one in kept | ran]
    write(reports)
    return 1 if any(report.failed for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
