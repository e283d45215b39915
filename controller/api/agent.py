"""Agent: code or instructions that become workers behind a Stack."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from controller.api.fields import (
    ALLOWED_DESCRIPTION,
    DELETION_DESCRIPTION,
    DRAIN_DESCRIPTION,
    POD_TEMPLATE_DESCRIPTION,
    REPLICAS_DESCRIPTION,
    STACK_REF_DESCRIPTION,
    AllowedNamespaces,
    DeletionPolicy,
    ExecutionSpec,
    ModelRef,
    Namespace,
    PodTemplate,
    PythonModule,
    Ref,
    RetryPolicy,
    ScalingSpec,
    ShortName,
)
from controller.api.names import Kind
from controller.api.resource import AGE, READY, REASON, Column, Resource, name_rule
from controller.api.schema import Boolean, Fields, Integer, Keyed, Rule, exactly_one
from controller.api.workload_status import WorkloadStatus


class Framework(StrEnum):
    """What runs the agent."""

    LANGGRAPH = "LangGraph"
    CREWAI = "CrewAI"
    AG2 = "AG2"
    LLAMA_STACK = "LlamaStack"
    BEEAI = "BeeAI"


class WhenBusy(StrEnum):
    """What a message finds when its conversation is still being answered."""

    QUEUE = "Queue"
    REJECT = "Reject"
    INTERRUPT = "Interrupt"


class OnTimeout(StrEnum):
    """What an approval that nobody gave becomes."""

    DENY = "Deny"


class Declarative(Fields):
    """An agent without code: instructions, the Stack's model, and the tools of the spec."""

    instructions: str = Field(
        min_length=1, max_length=32768, description="The system prompt of the agent."
    )
    max_iterations: Integer = Field(
        10, ge=1, le=1000, description="Rounds of model and tools in one task at most."
    )


class Source(Fields):
    """Where the agent comes from."""

    rules = (exactly_one("declarative", "module"),)

    declarative: Declarative | None = Field(
        None, description="An agent made from instructions alone."
    )
    module: PythonModule | None = Field(
        None, description="Your own agent in the framework's own terms, unchanged."
    )


class Approval(Fields):
    """Whether a person has to agree before the tool is called."""

    required: Boolean = Field(
        default=False,
        description="Each call waits for a person; waiting costs no worker, "
        "and the clock of its task stands still.",
    )
    timeout_seconds: Integer = Field(
        3600,
        ge=1,
        le=2592000,
        description="How long a call waits for its approval; at most as long as the Stack's "
        "retention.taskSeconds, which bounds all such waits of one run together.",
    )
    on_timeout: OnTimeout = Field(
        OnTimeout.DENY,
        description="What follows when nobody answered in time: Deny, and the agent is told.",
    )


class ToolUse(Fields):
    """One Tool the agent may call."""

    tool_ref: Ref = Field(description="The Tool.")
    approval: Approval = Field(
        Approval(), description="Whether a person has to agree to each call."
    )


class AgentUse(Fields):
    """One Agent this agent may call as a tool."""

    agent_ref: Ref = Field(
        description="The Agent, behind the same Stack. The model calls it by its name and chooses "
        "by its spec.description."
    )


class AgentExecution(ExecutionSpec):
    """How one task is run."""

    client_timeout_seconds: Integer = Field(
        3600,
        ge=1,
        le=2592000,
        description="How long a run waits for its client, which is to call functions that it has "
        "brought along: then it ends as Failed/TimedOut. The clock of the run stands still; the "
        "Stack's retention.taskSeconds bounds all such waits of one run together.",
    )
    when_busy: WhenBusy = Field(
        WhenBusy.QUEUE,
        description="A message to a conversation that is still being answered: Queue it behind, "
        "Reject it with 409, or Interrupt the run.",
    )


class Budget(Fields):
    """What one task may use up; beyond it ends as Failed/BudgetExceeded."""

    tokens: Integer = Field(
        100000, ge=1, le=1000000000, description="Model tokens of one task, in and out."
    )
    tool_calls: Integer = Field(
        100, ge=1, le=100000, description="Calls of tools and agents of one task."
    )


def _cron() -> str:
    month = "(1[0-2]|0?[1-9]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    weekday = "([0-7]|sun|mon|tue|wed|thu|fri|sat)"
    values = ("[0-5]?[0-9]", "(2[0-3]|[01]?[0-9])", "(3[01]|[12][0-9]|0?[1-9])", month, weekday)
    parts = (f"([*]|{value}(-{value})?)(/[1-9][0-9]?)?" for value in values)
    fields = " +".join(f"{part}(,{part})*" for part in parts)
    return f"^(@(hourly|daily|weekly|monthly|yearly)|{fields})$"


SCHEDULE_PATTERN: Final = _cron()
"""Five fields of cron, each within its range. Too long to show to anybody: see the rule."""


class Trigger(Fields):
    """Work the platform itself asks for."""

    rules = (
        Rule(
            cel=f"self.schedule.matches('{SCHEDULE_PATTERN}')",
            holds=lambda trigger: re.fullmatch(SCHEDULE_PATTERN, trigger.schedule) is not None,
            message="schedule must be five fields of cron such as '0 7 * * *', or one of @hourly, "
            "@daily, @weekly, @monthly and @yearly",
            field="schedule",
        ),
    )

    schedule: str = Field(
        max_length=128,
        description="When, as five fields of cron in UTC ('0 7 * * *'), or @hourly, @daily, "
        "@weekly, @monthly, @yearly.",
    )
    input: str = Field(
        min_length=1, max_length=32768, description="What the agent is asked each time."
    )


def _distinct(member: str, attribute: str, uses: Callable[[Any], Any]) -> Rule:
    """The entries of spec.<member> refer to different objects."""

    def is_distinct(spec: Any) -> bool:
        refs = [uses(entry) for entry in getattr(spec, member)]
        return len({(ref.namespace, ref.name) for ref in refs}) == len(refs)

    return Rule(
        cel=f"!has(self.{member}) || self.{member}.all(x,"
        f" self.{member}.exists_one(y, x.{attribute} == y.{attribute}))",
        holds=is_distinct,
        message=f"{member} names the same object twice; remove one entry",
        field=member,
    )


class AgentSpec(Fields):
    """What a user may ask of an agent."""

    rules = (
        _distinct("tools", "toolRef", lambda use: use.tool_ref),
        _distinct("agents", "agentRef", lambda use: use.agent_ref),
    )

    stack_ref: Ref = Field(description=STACK_REF_DESCRIPTION)
    framework: Framework = Field(
        description="What runs the agent: LangGraph, CrewAI, AG2, LlamaStack or BeeAI."
    )
    description: str = Field(
        "",
        max_length=1024,
        description="What the agent is good for; people and calling agents choose by it.",
    )
    source: Source = Field(
        description="Where the agent comes from; exactly one of declarative and module."
    )
    model_ref: ModelRef | None = Field(
        None, description="The model it uses; the first one of the Stack when absent."
    )
    tools: tuple[ToolUse, ...] = Field(
        (), max_length=64, description="Tools it may call; no others."
    )
    agents: tuple[AgentUse, ...] = Field(
        (),
        max_length=64,
        description="Agents it may call as if they were tools; no others, and not itself. A call "
        "waits in the queue of the Agent that is called, which needs no worker until then.",
    )
    replicas: Integer | None = Field(None, ge=0, le=1000, description=REPLICAS_DESCRIPTION)
    scaling: ScalingSpec = Field(
        ScalingSpec(), description="How many workers there are while replicas is unset."
    )
    execution: AgentExecution = Field(AgentExecution(), description="How one task is run.")
    retry_policy: RetryPolicy = Field(RetryPolicy(), description="How often a task is tried.")
    budget: Budget = Field(Budget(), description="What one task may use up.")
    deletion_policy: DeletionPolicy = Field(DeletionPolicy.DRAIN, description=DELETION_DESCRIPTION)
    drain_seconds: Integer = Field(600, ge=0, le=604800, description=DRAIN_DESCRIPTION)
    triggers: tuple[Trigger, ...] = Field(
        (), max_length=32, description="Tasks the platform submits by itself, each once."
    )
    allowed_namespaces: AllowedNamespaces = Field(
        AllowedNamespaces(), description=ALLOWED_DESCRIPTION
    )
    suspend: Boolean = Field(
        default=False,
        description="While true no worker runs, and none is let in to the queue: what it has there "
        "is closed within ten seconds. What is accepted waits in the queue.",
    )
    pod_template: PodTemplate = Field(default_factory=dict, description=POD_TEMPLATE_DESCRIPTION)


Capability = Annotated[str, Field(max_length=64)]


class BindingPolicy(Fields):
    """An IdentityPolicy as the queue has been told of it."""

    namespace: Namespace = Field(description="Its namespace.")
    name: ShortName = Field(description="Its name.")
    generation: Integer = Field(ge=0, description="The metadata.generation that was read of it.")


class AgentStatus(WorkloadStatus):
    """What is known of an agent."""

    type: str | None = Field(
        None, max_length=64, description="Which member of spec.source is set, in CamelCase."
    )
    url: str | None = Field(
        None, max_length=2048, description="Where it is asked: the Stack's address with /v1."
    )
    model: str | None = Field(
        None, max_length=253, description="The model name under which clients ask for it."
    )
    image: str | None = Field(None, max_length=512, description="The image its workers run.")
    capabilities: tuple[Capability, ...] = Field(
        (),
        max_length=64,
        description="What tests of the platform have proved of the framework in this image, for "
        "example Streaming, ParallelTools, Cancel; what is missing it cannot do. Empty for an "
        "image of your own. docs/frameworks.md says what each word means.",
    )
    policies: Annotated[tuple[BindingPolicy, ...], Keyed(("namespace", "name"))] = Field(
        (),
        max_length=256,
        description="The IdentityPolicies that count for it, or for what it may call, as the queue "
        "has been told of them.",
    )


class Agent(Resource):
    """An agent behind a Stack."""

    rules = (name_rule(Kind.AGENT),)
    kind: ClassVar[Kind] = Kind.AGENT
    about: ClassVar[str] = (
        "An agent: your own code in LangGraph, CrewAI, AG2, Llama Stack or BeeAI, or just "
        "instructions and tools. Its workers take tasks from the queue of a Stack, through whose "
        "API it is asked."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Framework", ".spec.framework", "What runs the agent."),
        READY,
        REASON,
        Column("Replicas", ".status.replicas", "Workers that exist.", "integer"),
        Column(
            "Backlog",
            ".status.backlog",
            "Tasks that wait or run, a minute old.",
            "integer",
        ),
        AGE,
        Column("SpiffeID", ".status.spiffeID", "Identity of its workers.", priority=1),
        Column("URL", ".status.url", "Where it is asked.", priority=1),
        Column("Image", ".status.image", "Image of its workers.", priority=1),
    )
    is_scalable: ClassVar[bool] = True

    spec: AgentSpec
    status: AgentStatus = AgentStatus()
