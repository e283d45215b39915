"""The one Protocol behind which every framework stands."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import FailureReason, Message, Options, TokenUsage
from runtime.tools.numbering import Numbering
from runtime.tools.port import ToolFunction


class AgentFailure(Exception):
    """The run cannot succeed; the message is a sentence for the client.

    Shape:
        retryable  another attempt may succeed.
        counts     such an attempt is one of `retryPolicy.maxAttempts`.
    """

    reason = FailureReason.AGENT_ERROR
    retryable = False
    counts = True


class ModelFailure(AgentFailure):
    """The model endpoint is down, refuses, or answers garbage."""

    reason = FailureReason.MODEL_ERROR


class ModelBusy(ModelFailure):
    """The model has no capacity at the moment."""

    retryable = True


class ModelLost(ModelFailure):
    """The model went away: its connection broke, or a gateway before it has none to give."""

    retryable = True


class ModelAway(ModelLost):
    """The Stack's server takes no connections: it is being started again, and nothing was asked."""

    counts = False


class EmptyAnswer(AgentFailure):
    """The agent ended without an answer."""

    reason = FailureReason.EMPTY_ANSWER


class WrongFormat(AgentFailure):
    """The answer has not the form that the client asked for."""

    reason = FailureReason.WRONG_FORMAT


class BudgetExceeded(AgentFailure):
    """The task used more than `spec.budget` allows."""

    reason = FailureReason.BUDGET_EXCEEDED


class BadAgent(Exception):
    """The agent cannot be loaded; the message names the field of the spec and the way out."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer, as it appears."""

    text: str


@dataclass(frozen=True, slots=True)
class Used:
    """What one model call cost."""

    usage: TokenUsage


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer: the last thing an adapter yields."""

    text: str


type Step = Text | Used | Answer


class Checkpoint(Protocol):
    """Where a run keeps how far it has come: whatever an adapter makes of that, as bytes.

    No secret may be in it.
    """

    async def load(self) -> bytes | None:
        """What was saved last, in an attempt before; None if nothing was.

        Raises:
            BadCheckpoint: it cannot be used; the adapter says so in the log and begins anew.
            TransportError: the queue is away; the adapter lets it through.
        """
        ...

    async def save(self, write: Callable[[], bytes]) -> None:
        """Keep what `write` gives in place of what was saved before; a failure is logged only.

        Saves that are asked for while another is under way take one together, of what the last of
        them writes when it is their turn; the others are not called.

        Raises:
            Exception: whatever `write` raises.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at one task, as an adapter sees it.

    Shape:
        checkpoint  where attempts keep how far they have come; None if each begins anew.
        numbering   of the calls of `tools`. Who goes on from a checkpoint has to restore what was
                    taken up to there: it belongs into the checkpoint.
    """

    task: str
    attempt: int
    input: tuple[Message, ...]
    history: tuple[Message, ...] = ()
    options: Options = field(default_factory=Options)
    user: str = "anonymous"
    tools: tuple[ToolFunction, ...] = ()
    checkpoint: Checkpoint | None = None
    numbering: Numbering = field(default_factory=Numbering)


class Adapter(Protocol):
    """One framework. Made once a worker; `run` is called many times, also at the same time."""

    def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent once: pieces of text, costs, and at last exactly one `Answer`.

        Cancelling the consuming task ends the run and its model calls.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentContext:
    """What a user's function gets when the entrypoint is a function that builds an agent.

    Shape:
        config   the worker's configuration.
        tools    in the form the framework knows (for LangGraph: `BaseTool` objects).
        model    in the form the framework knows (for LangGraph: a `BaseChatModel`).
    """

    config: AgentConfig
    tools: list[Any]
    model: Any


type Build = Callable[[AgentConfig, tuple[FunctionSpec, ...]], Awaitable[Adapter]]
