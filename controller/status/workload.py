"""What Agents and Tools report."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.api.agent import AgentStatus, BindingPolicy
from controller.api.conditions import AcceptedReason, Condition, carried_over
from controller.api.names import Component, Kind, selector_labels
from controller.api.tool import ToolStatus
from controller.api.workload_status import access
from controller.model import (
    AgentView,
    Backlog,
    Origin,
    Outcome,
    Problem,
    QueueFacts,
    Stage,
    Thought,
    ToolView,
    WorkloadView,
)
from controller.status.conditions import (
    Speaker,
    as_seen,
    complete,
    judgements,
    programmed,
)
from controller.status.drift import MOST_TOOLS, discovered_tool, judged
from controller.status.identity import identity


def agent_status(view: AgentView, thought: Thought, outcome: Outcome, now: datetime) -> AgentStatus:
    """What an Agent reports. What is not known at the moment stays as it was reported before."""
    before = view.owner.status
    spec = view.owner.spec
    return before.model_copy(
        update={
            **_workload_facts(view, thought),
            "conditions": workload_conditions(view, thought, outcome, now),
            "tools": tuple(
                function
                for tool in view.tools
                if tool.usable is not None
                for function in tool.usable.status.tools
            )[:MOST_TOOLS],
            "type": "Declarative" if spec.source.declarative else "Module",
            "url": thought.url or None,
            "model": thought.model or None,
            "image": thought.image or before.image,
            "capabilities": thought.capabilities if thought.image else before.capabilities,
            "policies": _bound_by(thought, outcome, before),
        }
    )


def _bound_by(thought: Thought, outcome: Outcome, before: AgentStatus) -> tuple[BindingPolicy, ...]:
    """The policies of which the queue has been told; as before, if that did not work out."""
    if thought.desired is None or outcome.failure is not None:
        return before.policies
    return tuple(
        BindingPolicy(
            namespace=one.metadata.namespace,
            name=one.metadata.name,
            generation=one.metadata.generation,
        )
        for one in thought.policies
    )


def tool_status(view: ToolView, thought: Thought, outcome: Outcome, now: datetime) -> ToolStatus:
    """What a Tool reports. What is not known at the moment stays as it was reported before."""
    before, spec = view.owner.status, view.owner.spec
    said = thought.functions
    tools = before.tools
    if said is not None:
        tools = tuple(discovered_tool(one) for one in said.functions[:MOST_TOOLS])
    schema = judged(spec, before, tools, said, _speaker(view, now))
    drifted = () if schema.drifted is None else (schema.drifted,)
    conditions = (*workload_conditions(view, thought, outcome, now), *drifted)
    return before.model_copy(
        update={
            **_workload_facts(view, thought),
            "conditions": carried_over(conditions, before.conditions),
            "type": "Python" if spec.python else "MCP" if spec.mcp else "HTTP",
            "tools": tools,
            "tool_count": len(tools),
            "schema_digest": schema.digest,
            "accepted_schema": schema.accepted,
        }
    )


def _speaker(view: WorkloadView[Any], now: datetime) -> Speaker:
    return Speaker(view.owner.metadata.generation, now)


def _workload_facts(view: WorkloadView[Any], thought: Thought) -> dict[str, object]:
    owner, before = view.owner, view.owner.status
    stack = view.stack.usable
    component = Component.WORKER if owner.kind is Kind.AGENT else Component.TOOL_WORKER
    labels = selector_labels(owner.kind, owner.metadata.name, component)
    backlog = _backlog(view)
    revision = thought.desired.revision if thought.desired else ""
    return {
        "observed_generation": owner.metadata.generation,
        "replicas": thought.health.replicas,
        "ready_replicas": thought.health.ready,
        "selector": ",".join(f"{name}={value}" for name, value in labels.items()),
        "backlog": before.backlog if backlog is None else backlog.total,
        "spiffe_id": next((one.spiffe_id for one in thought.proving), None),
        "access": access(has_auth=stack.spec.auth is not None) if stack else None,
        "revision": revision or before.revision,
    }


def _backlog(view: WorkloadView[Any]) -> Backlog | None:
    """What waits and runs; nobody else's consumer was asked about."""
    if not isinstance(view.queue, QueueFacts):
        return None
    return sum(view.queue.backlogs.values(), start=Backlog())


def workload_conditions(
    view: WorkloadView[Any], thought: Thought, outcome: Outcome, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of an Agent or a Tool."""
    speaker = _speaker(view, now)
    parts = (
        *judgements((*thought.problems, *thought.denied, *_refused(view, outcome)), speaker),
        programmed(thought, outcome, speaker, _leaving(view, thought)),
        identity(thought, view.children, outcome, speaker),
    )
    return complete(view.owner, as_seen(thought, outcome), parts, speaker)


def _refused(view: WorkloadView[Any], outcome: Outcome) -> Iterator[Problem]:
    """What Kubernetes does not accept is the user's, where the user had the last word."""
    failure = outcome.failure
    if failure is not None and failure.origin is Origin.CHILD and view.owner.spec.pod_template:
        yield Problem(AcceptedReason.INVALID, f"spec.podTemplate: {failure.message}")


def _leaving(view: WorkloadView[Any], thought: Thought) -> str:
    """What a deleted object waits for; "" for one that stays."""
    backlog = _backlog(view)
    left = max(backlog.total if backlog else 0, view.unfinished)
    noun = f"{'task' if view.owner.kind is Kind.AGENT else 'call'}{'' if left == 1 else 's'}"
    match thought.stage:
        case Stage.STAYING:
            return ""
        case Stage.DRAINING if backlog is None:
            return "it is being deleted and waits to learn what is left in the queue"
        case Stage.DRAINING | Stage.CANCELLING if not left:
            return f"it is being deleted and takes no new {noun}"
        case Stage.DRAINING:
            return f"it is being deleted and waits for {left} {noun} to end{_until(view)}"
        case Stage.CANCELLING:
            return f"it is being deleted and cancels {left} {noun}"
        case Stage.LEAVING | Stage.GONE:
            return "it is being deleted"


def _until(view: WorkloadView[Any]) -> str:
    """For how long what drains is waited for, and how to wait no longer."""
    deleted, limit = view.owner.metadata.deletion_timestamp, view.owner.spec.drain_seconds
    if deleted is None:
        return ""
    until = (deleted + timedelta(seconds=limit)).astimezone(UTC)
    now = "cancels" if view.owner.kind is Kind.AGENT else "gives up"
    return (
        f", until {until:%Y-%m-%d %H:%M:%S} UTC at the latest (spec.drainSeconds: {limit}); "
        f"spec.deletionPolicy: Cancel {now} what is left at once"
    )
