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
        own     whether it is one of users' own agents alone, not of those from instructions.
    """

    reason: str
    seen: str
    own: bool = False


_BLOCKING = (
    "A blocking llama_stack_client.Agent runs in a thread, which nothing can end from outside: the "
    "run ends at once, its call of the model with the next thing that the server says. An "
    "AsyncAgent has no such limit."
)
_OPEN = "the call of the model was still open"

LIMITS: Mapping[tuple[Framework, str], Limit] = {
    (Framework.LLAMA_STACK, "model answers 429"): Limit(
        reason="The Responses API of llama-stack 0.7.3 answers 500 where its model answers 429, so "
        "a model without capacity cannot be told from a broken one; the run is not tried again.",
        seen="answered 500",
    ),
    (Framework.LLAMA_STACK, "cancel"): Limit(_BLOCKING, _OPEN, own=True),
    (Framework.LLAMA_STACK, "timeout"): Limit(_BLOCKING, _OPEN, own=True),
    (Framework.LLAMA_STACK, "budget of tokens"): Limit(
        reason="A blocking llama_stack_client.Agent tells what its turns have cost when the last "
        "one is over, so that spec.budget.tokens is seen to be exceeded only then. An AsyncAgent "
        "tells it turn by turn.",
        seen="the first cost was told when",
        own=True,
    ),
    (Framework.LLAMA_STACK, "resume"): Limit(
        reason="What was said to a blocking llama_stack_client.Agent is held by its server, under "
        "a session of each attempt: the next attempt begins anew, and finds the results of the "
        "platform's tools. An AsyncAgent has no such limit.",
        seen="the model was asked again",
        own=True,
    ),
}
"""By framework and the name of the scenario."""
