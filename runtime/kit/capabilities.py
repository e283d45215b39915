"""What scenarios prove, in the words of `status.capabilities`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from runtime.kit.report import Report, Verdict

SCENARIOS_BY_CAPABILITY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Answers": ("answer", "order of steps"),
        "Streaming": ("stream",),
        "Usage": ("usage",),
        "Conversations": ("conversation",),
        "Instructions": ("instructions of the client",),
        "StructuredOutput": ("structured output",),
        "Concurrency": ("concurrent runs",),
        "Tools": ("tool call", "tool error"),
        "ParallelTools": ("parallel tool calls",),
        "ClientFunctions": ("function of the client",),
        "Agents": ("sub-agent",),
        "Budgets": ("budget of tool calls", "budget of tokens"),
        "Cancel": ("cancel", "cancel amid text"),
        "Timeout": ("timeout",),
        "Resume": ("resume",),
        "ModelErrors": (
            "empty model answer",
            "model answers 500",
            "model answers garbage",
        ),
        "ModelRetry": ("model answers 429",),
    }
)
"""Each scenario stands for one word, and a word for all of its scenarios."""


def capabilities(report: Report) -> tuple[str, ...]:
    """The words that `report` proves in full, in the order of `SCENARIOS_BY_CAPABILITY`."""
    proved = {result.scenario for result in report.results if result.verdict is Verdict.PROVED}
    return tuple(
        word for word, scenarios in SCENARIOS_BY_CAPABILITY.items() if proved.issuperset(scenarios)
    )
