"""From a view to a thought: how far it is, what is wrong, how it fares, what it implies."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.api.conditions import ConditionType, ReadyReason, ResolvedRefsReason
from controller.api.stack import Stack
from controller.desired.accept import agent_problems, stack_problems, tool_problems
from controller.desired.access import denials, policies_about
from controller.desired.agent import (
    catalogue_entry,
    desired_agent,
    model_name,
    narrowed,
    proved,
    retold,
    told_before,
)
from controller.desired.availability import Availability, availability, of_what_runs
from controller.desired.health import workload_health, worst
from controller.desired.identity import proving
from controller.desired.metadata import Role, workload_name
from controller.desired.parts import image_of
from controller.desired.removal import gone_agent, gone_tool, leaving, stage_of
from controller.desired.stack import desired_stack
from controller.desired.tool import desired_tool, discovered, explained
from controller.desired.waiting import waiting
from controller.desired.workload import worker_replicas
from controller.model import (
    AgentView,
    ChildRef,
    Desired,
    Health,
    Manifest,
    Problem,
    Proving,
    Site,
    StackView,
    Stage,
    Thought,
    ToolView,
    WorkloadView,
)
from runtime.contract.subjects import StackSubjects


def think_agent(view: AgentView, site: Site, now: datetime) -> Thought:
    """What to make of an Agent."""
    stage, problems = stage_of(view, now), agent_problems(view)
    workers = _workers(view, Role.AGENT)
    # What its own spec has wrong keeps an object from Ready, whatever else does.
    waits = () if problems else _dependencies(view)
    health = replace(worst(workers, *waits), replicas=workers.replicas, ready=workers.ready)
    told = availability(view, workers, health, problems)
    desired = _desired_agent(view, site, stage, told, workers)
    image = image_of(desired.children, "worker") if desired else ""
    return Thought(
        stage=stage,
        problems=problems,
        denied=tuple(_denied(view)),
        policies=policies_about(view),
        health=health,
        desired=desired,
        image=image,
        capabilities=proved(view.owner, image, site),
        url=f"{site.server_url(view.stack.key.object_name)}/v1" if view.stack.usable else "",
        model=model_name(view),
        proving=_proving(view, Role.AGENT, stage, workers),
    )


def _denied(view: AgentView) -> Iterator[Problem]:
    """What its spec names in vain: the rest of it is made all the same."""
    for denial in denials(view):
        message = (
            f"{denial.field}: {denial.verdict.why}, so {view.key.name} works without "
            f"{denial.key.name}; add a rule to the policy, or remove the reference"
        )
        yield Problem(ResolvedRefsReason.REF_NOT_PERMITTED, message)


def _desired_agent(
    view: AgentView, site: Site, stage: Stage, told: Availability, workers: Health
) -> Desired | None:
    subjects = StackSubjects(view.stack.key.object_name)
    entry = catalogue_entry(view, subjects, stage=stage, availability=told)
    match stage, view.stack.target:
        case Stage.LEAVING, _:
            return leaving(entry)
        case Stage.GONE, _:
            return gone_agent(view)
        case _, Stack() as stack if told.is_programmed:
            return desired_agent(view, stack, site, stage=stage, availability=told)
        case Stage.DRAINING | Stage.CANCELLING, Stack():
            # What its spec refers to may be going as well: no new tasks, the rest as it is.
            entries = (*narrowed(view, subjects), entry)
            return Desired(entries=entries, keeps_children=True, keeps_queue=True)
        case Stage.STAYING, Stack() if view.stack.usable is not None and not view.children:
            # Nothing runs that could be asked; whoever asks for it is told why.
            entries = (*narrowed(view, subjects), entry)
            return Desired(entries=entries, keeps_children=True, keeps_queue=True)
        case Stage.STAYING, Stack() if view.children and (old := told_before(view, subjects)):
            # What runs is of an earlier spec, and so is all that is told but how it is.
            entry = retold(view, old, of_what_runs(view, workers), subjects)
            entries = (*narrowed(view, subjects), entry)
            return Desired(entries=entries, keeps_children=True, keeps_queue=True)
        case _:
            return None


def think_tool(view: ToolView, site: Site, now: datetime) -> Thought:
    """What to make of a Tool."""
    stage, problems = stage_of(view, now), tool_problems(view)
    health = _workers(view, Role.TOOL)
    desired = _desired_tool(view, site, stage, health, is_good=not problems)
    functions = discovered(view, desired.revision) if desired else None
    return Thought(
        stage=stage,
        problems=problems,
        health=explained(health, functions),
        desired=desired,
        functions=functions,
        proving=_proving(view, Role.TOOL, stage, health),
    )


def _desired_tool(
    view: ToolView, site: Site, stage: Stage, health: Health, *, is_good: bool
) -> Desired | None:
    match stage, view.stack.target:
        case Stage.LEAVING, _:
            return leaving()
        case Stage.GONE, _:
            return gone_tool(view)
        case _, Stack() as stack if is_good:
            return desired_tool(view, stack, site, stage=stage, health=health)
        case _:
            return None


def think_stack(view: StackView, site: Site) -> Thought:
    """What to make of a Stack."""
    stack, problems = view.owner, stack_problems(view)
    secrets = [one.digest for one in view.secrets if one.digest is not None]
    if stack.metadata.is_deleting:
        health = Health(ReadyReason.PROGRESSING, "it is being deleted")
        return Thought(
            stage=Stage.GONE,
            problems=problems,
            health=health,
            desired=Desired(),
            proving=_stack_proving(view),
        )
    return Thought(
        problems=problems,
        health=_stack_health(view),
        desired=None if problems else desired_stack(stack, site, secrets, view.identity, view.pods),
        url=site.server_url(view.key.object_name),
        proving=_stack_proving(view),
    )


def _stack_proving(view: StackView) -> tuple[Proving, ...]:
    replicas = view.owner.spec.server.replicas
    return tuple(
        proving(role, view.key, view.identity, replicas=wanted, ready=_part(view, role, "").ready)
        for role, wanted in ((Role.SERVER, replicas), (Role.DISPATCHER, 1))
    )


def _stack_health(view: StackView) -> Health:
    server = _part(view, Role.SERVER, "API server")
    parts = [server, _part(view, Role.DISPATCHER, "dispatcher")]
    if view.owner.spec.messaging.managed is not None:
        # First of what is not ready, because the others wait for it: it tells why.
        parts.insert(0, _part(view, Role.NATS, "NATS server", kind="StatefulSet"))
    found = worst(*parts)
    if found.reason is not ReadyReason.READY:
        return found
    others = (part.message for part in parts if part is not server)
    return replace(server, message="; ".join([server.message, *others]))


def _part(view: StackView, role: Role, noun: str, kind: str = "Deployment") -> Health:
    return workload_health(_workload(view, role, kind), view.pods, noun=noun)


def _proving(
    view: WorkloadView[Any], role: Role, stage: Stage, workers: Health
) -> tuple[Proving, ...]:
    replicas = worker_replicas(view, stage)
    return (proving(role, view.key, view.identity, replicas=replicas, ready=workers.ready),)


def _workers(view: WorkloadView[Any], role: Role) -> Health:
    return workload_health(_workload(view, role), view.pods, noun="worker")


def _workload(
    view: WorkloadView[Any] | StackView, role: Role, kind: str = "Deployment"
) -> Manifest | None:
    name = workload_name(role, view.key)
    return view.children.get(ChildRef("apps/v1", kind, name.namespace, name.name))


def _dependencies(view: AgentView) -> tuple[Health, ...]:
    return (
        *waiting(ConditionType.READY, view.stack, *view.tools),
        # Its workers need not run, since a call waits in the queue. Nor could each of two agents
        # that ask each other become Ready if it had to wait for the other one.
        *waiting(ConditionType.PROGRAMMED, *view.agents),
    )
