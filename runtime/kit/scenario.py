"""What a scenario is."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum

from runtime.kit.trial import Trial

type Check = Callable[[Trial], Coroutine[None, None, None]]
"""Returns when the agent does what is expected; raises `Unmet`, `Unable`, or what the run did."""


class Need(StrEnum):
    """What an agent must do for a scenario to say anything about it."""

    MODEL = "asks its model where the platform says"
    TOOLS = "offers the platform's tools to its model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that every agent is expected to do.

    Shape:
        name     short: a line of the report and a row of the matrix.
        expects  what has to be seen, as one sentence.
        fault    the name of the stand-in's model that goes wrong, or None.
    """

    name: str
    expects: str
    check: Check
    fault: str | None = None
    needs: frozenset[Need] = frozenset()

    def not_applicable(self, trial: Trial) -> str | None:
        """Why the scenario would say nothing about this agent, or None."""
        if self.fault is not None and trial.proxy.stand_in is None:
            return "there is no stand-in model here, and only that one fails at will"
        if (self.fault is not None or self.needs) and not trial.asks_model:
            return (
                "the agent asks no model where the platform says: AgentContext.model, or "
                "OPENAI_BASE_URL and LLAMA_STACK_CLIENT_BASE_URL of its environment"
            )
        if Need.TOOLS in self.needs and not trial.takes_tools:
            return "the agent does not take the platform's tools: AgentContext.tools"
        return None
