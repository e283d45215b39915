"""What travels on the queue: tasks, calls, their results, and the events of a run.

Each carries the version of its schema; golden files in the tests keep every
released version readable. Versions 1 and 2 are not released yet and may still change.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, override

from pydantic import Field, TypeAdapter

from runtime.contract.client_calls import ClientFunction
from runtime.contract.output_format import OutputFormat
from runtime.contract.value import Growing, ObjectName, Value, Versioned


class Role(StrEnum):
    """Who said something."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class Message(Value):
    """One thing that was said; the input and the history of a task are made of these."""

    role: Role
    text: str


class Options(Value):
    """What the client asked for beside the input.

    Shape:
        stream            publish text as it appears; otherwise only whole steps are published.
        instructions      replaces nothing: it is added to the agent's own instructions.
        temperature, max_output_tokens   handed to the model where the framework can.
        output            the form of the answer; null for text.
        functions         those of the client, which the model may call beside the agent's tools.
        parallel_calls    whether the client may be asked for several calls of these at once.
    """

    stream: bool = False
    instructions: str | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    output: OutputFormat | None = None
    functions: tuple[ClientFunction, ...] = ()
    parallel_calls: bool = True


class ResponseOptions(Value):
    """What the client asked of the response object; no agent needs it.

    Shape:
        background  the client does not wait for it.
        store       whether the client may retrieve it later.
        previous    the response that this one goes on with: its id without `resp_`.
        claim       key in `runs` of the claim under which it was asked for; null without one.
    """

    background: bool = False
    store: bool = True
    metadata: dict[str, str] = Field(default_factory=dict)
    previous: str | None = None
    claim: str | None = None


class Asked(Value):
    """Which agent has asked for a task, as a call of a run of its own.

    Shape:
        call    the key of the call in `effects`: the task's end becomes its result.
        task    whose run made the call; without it nobody waits any more.
        worker  DNS label of the worker process that waits; it is woken by core message.
        chain   the agents that wait for each other, the caller last.

    Units:
        deadline  seconds since the epoch; later than that nobody waits.
    """

    call: str
    task: str
    worker: str
    chain: tuple[ObjectName, ...]
    deadline: float


LONGEST_CHAIN = 5
"""Agents that may wait for each other, the last one asked included.

Each costs a model at least one turn before and one after, so a user waits ten turns for such a
chain; a longer one is a mistake in who may ask whom.
"""


class Task(Growing):
    """One unit of work for an Agent.

    Shape:
        id            DNS label, also the `Nats-Msg-Id`; the Responses API shows it as `resp_<id>`.
        origin        DNS label of the API process that follows the events.
        conversation  id of the conversation the task belongs to, `sequence` its place in it.
        input         what is new; `history` what was said before, oldest first.
        asked         by which agent, or null if a client has.
        grant         signed statement of the user's rights, or null on an open Stack.
        traceparent   W3C trace context of the request.

    Units:
        created       seconds since the epoch.
        deadline      seconds since the epoch; the run has ended by then, one way or another.
    """

    id: str
    stack: ObjectName
    agent: ObjectName
    origin: str
    user: str = "anonymous"
    conversation: str | None = None
    sequence: int | None = None
    input: tuple[Message, ...]
    history: tuple[Message, ...] = ()
    options: Options = Options()
    response: ResponseOptions = ResponseOptions()
    asked: Asked | None = None
    created: float
    deadline: float
    grant: str | None = None
    traceparent: str | None = None

    @property
    @override
    def calls_client(self) -> bool:
        return bool(self.options.functions)


class Call(Versioned):
    """One unit of work for a Tool, or what an agent asks of another one.

    Shape:
        id         the key of the call in `effects` (`keys.effect_key`, or `ask_key` of an
                   Agent), also the `Nats-Msg-Id`.
        step       which call it is: a number made from function and arguments, so that a rerun
                   finds the record again even if it makes its calls in another order.
        index      how many equal calls the run made before this one.
        tool       the Tool, or the Agent that is asked: its `arguments` are `{"input": str}`.
        function   which of the tool's functions, by the name its worker discovered; of an Agent
                   the name under which it was offered.
        arguments  the JSON object of the function's arguments.
        worker     DNS label of the agent's worker process that waits; it is woken by core message.

    Units:
        deadline   seconds since the epoch; later than that nobody waits.
    """

    id: str
    task: str
    step: int
    index: int
    caller: ObjectName
    tool: ObjectName
    function: str
    arguments: dict[str, Any]
    worker: str
    deadline: float
    grant: str | None = None
    traceparent: str | None = None


class Outcome(StrEnum):
    """How a call ended, or that it has not yet."""

    RESERVED = "Reserved"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class FailureReason(StrEnum):
    """Why a run or a call failed: a closed list."""

    AGENT_ERROR = "AgentError"
    MODEL_ERROR = "ModelError"
    EMPTY_ANSWER = "EmptyAnswer"
    WRONG_FORMAT = "WrongFormat"
    BUDGET_EXCEEDED = "BudgetExceeded"
    TIMED_OUT = "TimedOut"
    RESULT_TOO_LARGE = "ResultTooLarge"
    DEAD_LETTERED = "DeadLettered"


class ResultParts(Value):
    """Where a value is kept that is too large for the record of its call.

    Shape:
        reservation, count  name the keys (`keys.effect_part`), the parts numbered from 0.
        digest              SHA-256 of the value's JSON, in hexadecimal.
    """

    reservation: int
    count: int
    digest: str


class CallResult(Versioned):
    """The record of one call in `effects`: reserved before the effect, finished after it.

    Shape:
        value     what the function returned, any JSON, when `outcome` is `Succeeded`.
        parts     where to find it, if it is too large to stand here; `Ledger.whole` puts it back.
        error     a sentence for the model, when it is `Failed` or `Unknown`.
        reason    `DeadLettered` when a worker gave it up: its message is a dead letter, or will
                  be; `ResultTooLarge` when it was carried out and its value could not be kept.
        attempt   how many times a worker reserved it, the first included.
        sequence  place in the stream of the message that reserved it; tells a crash of its worker
                  from a second message for the same call.
    """

    call: str
    outcome: Outcome
    value: Any = None
    parts: ResultParts | None = None
    error: str | None = None
    reason: FailureReason | None = None
    attempt: int = 1
    sequence: int | None = None


class TokenUsage(Value):
    """Tokens that the models of one run took and gave."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class EventBase(Versioned):
    """Where an event stands: events of one task are ordered by (attempt, seq), both from 1."""

    task: str
    attempt: int
    seq: int


class Started(EventBase):
    """A worker has begun an attempt at the task."""

    kind: Literal["Started"] = "Started"
    worker: str


class TextDelta(EventBase):
    """A piece of the answer's text."""

    kind: Literal["TextDelta"] = "TextDelta"
    text: str


class ToolCalled(EventBase):
    """The agent asked for a tool; `arguments` is the JSON object as text."""

    kind: Literal["ToolCalled"] = "ToolCalled"
    call: str
    tool: str
    arguments: str


class ToolReturned(EventBase):
    """The tool answered; `output` is JSON as text, or the sentence of the error."""

    kind: Literal["ToolReturned"] = "ToolReturned"
    call: str
    tool: str
    output: str
    outcome: Outcome = Outcome.SUCCEEDED


class AgentCalled(EventBase):
    """The agent asked another agent."""

    kind: Literal["AgentCalled"] = "AgentCalled"
    call: str
    agent: str
    input: str


class CheckpointSaved(EventBase):
    """From here on a crash resumes at `step`."""

    kind: Literal["CheckpointSaved"] = "CheckpointSaved"
    step: int


class ApprovalNeeded(EventBase):
    """The run is parked until a person decides.

    Shape:
        number  which of the approvals in the run record it is.
        left    how many more of these events follow at once; after the last one nothing does.
    """

    kind: Literal["ApprovalNeeded"] = "ApprovalNeeded"
    call: str
    tool: str
    arguments: str
    expires: float
    number: int
    left: int = 0


class OutputNeeded(EventBase):
    """The run is parked until its client has made these calls; that ends one response of it.

    Shape:
        handover, number  which handover of the record it is part of, which call of the run.
        left, used        see `ApprovalNeeded`; what the models of the run have cost so far.
    """

    kind: Literal["OutputNeeded"] = "OutputNeeded"
    key: str
    function: str
    arguments: str
    handover: int
    number: int
    left: int = 0
    used: TokenUsage = TokenUsage()


class UsageReported(EventBase):
    """What one step of the run cost."""

    kind: Literal["Usage"] = "Usage"
    usage: TokenUsage


class Completed(EventBase):
    """The end of a run that went well; `text` is the whole answer."""

    kind: Literal["Completed"] = "Completed"
    text: str
    usage: TokenUsage = TokenUsage()


class Failed(EventBase):
    """The end of a run that did not go well; `message` is a sentence for the client."""

    kind: Literal["Failed"] = "Failed"
    reason: FailureReason
    message: str


class Cancelled(EventBase):
    """The end of a run that somebody cancelled; `reason` says why, if it was no client."""

    kind: Literal["Cancelled"] = "Cancelled"
    by: str = "anonymous"
    reason: str | None = None


type End = Completed | Failed | Cancelled
type Event = Annotated[
    Started
    | TextDelta
    | ToolCalled
    | ToolReturned
    | AgentCalled
    | CheckpointSaved
    | ApprovalNeeded
    | OutputNeeded
    | UsageReported
    | Completed
    | Failed
    | Cancelled,
    Field(discriminator="kind"),
]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def decode_event(data: bytes) -> Event:
    """The event that `encode` wrote.

    Raises:
        ValueError: the data is no event of a schema this program knows.
    """
    return _EVENT.validate_json(data)
