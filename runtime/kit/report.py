"""What the kit found out, as a value and as a table for people."""

import textwrap
from collections.abc import Sequence
from enum import StrEnum

from runtime.contract.agent_config import Framework
from runtime.contract.value import Value

WIDTH = 100  # characters of a line


class Verdict(StrEnum):
    """How a scenario ended."""

    PROVED = "proved"
    CANNOT = "cannot"
    """It does not do this, and that is known: a limit of the framework, or the agent's own way."""
    NOT_APPLICABLE = "not applicable"
    """There is nothing in this agent that could show it."""
    FAILED = "failed"


class Result(Value):
    """How one scenario ended.

    Shape:
        reason    why the agent cannot, or why the scenario does not apply; else empty.
        expected, seen   of one that failed; else empty.
    """

    scenario: str
    verdict: Verdict
    reason: str = ""
    expected: str = ""
    seen: str = ""


class Report(Value):
    """How all scenarios ended, in the kit's order.

    Shape:
        version  of the framework's package.
        agent    the entrypoint, or what stands for an agent from instructions.
    """

    framework: Framework
    version: str
    agent: str
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """The scenarios that failed."""
        return tuple(result for result in self.results if result.verdict is Verdict.FAILED)

    def table(self, *, whole: bool = True) -> str:
        """The report for people: a line a scenario, what there is to say of it below, and counts.

        Shape:
            whole   false where every scenario was shown when it ended: the counts alone.
        """
        counts = [
            f"{count} {verdict}"
            for verdict in Verdict
            if (count := sum(result.verdict is verdict for result in self.results))
        ]
        lines = [f"{self.agent} on {self.framework} {self.version}", ""]
        if whole:
            lines += [line for result in self.results for line in described(result)] + [""]
        return "\n".join([*lines, ", ".join(counts)])


def described(result: Result, logged: Sequence[str] = ()) -> list[str]:
    """One result as lines of text, and what was logged meanwhile if it is a failure."""
    lines = [f"{result.verdict:<15} {result.scenario}"]
    if result.reason:
        lines += _indented(result.reason)
    if result.verdict is Verdict.FAILED:
        lines += _indented(f"expected: {result.expected}") + _indented(f"seen: {result.seen}")
        lines += [line for said in logged for line in _indented(f"log: {said}")]
    return lines


def _indented(text: str) -> list[str]:
    margin = " " * 18
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
