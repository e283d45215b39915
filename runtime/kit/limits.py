"""What a framework cannot do, though its adapter is in order: known, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.contract.agent_config import Framework


@dataclass(frozen=True, slots=True)
class Limit:
    """A scenario that a framework cannot pass.

    Shape:
        reason  why, for the user who chooses a framework.
        seen    what the scenario shows in that case; anything else is a failure all the same.
    """

    reason: str
    seen: str


LIMITS: Mapping[tuple[Framework, str], Limit] = {
    (Framework.LLAMA_STACK, "model answers 429"): Limit(
        reason="The Responses API of llama-stack 0.7.3 answers 500 where its model answers 429, so "
        "a model without capacity cannot be told from a broken one; the run is not tried again.",
        seen="answered 500",
    ),
}
"""By framework and the name of the scenario."""
