"""From the view of an IdentityPolicy to what it does to each of its targets."""

from collections.abc import Iterable, Iterator

from controller.api.identity_policy import IdentityPolicy, TargetKind, TargetRef
from controller.api.names import Kind
from controller.desired.access import age, compiled, counts_for, winner
from controller.desired.metadata import key_of
from controller.desired.references import agents_of, stack_of, tools_of
from controller.model import Key, PolicyThought, PolicyView, TargetThought
from runtime.contract.access import Rule


def think_policy(view: PolicyView) -> PolicyThought:
    """What to make of an IdentityPolicy."""
    targets = tuple(_target(view, target) for target in view.owner.spec.target_refs)
    governed = frozenset(_governed(view))
    return PolicyThought(
        targets=targets,
        idle=tuple(_idle(view.owner, governed)),
        has_nobody=tuple(sorted(_without_users(view, governed))),
    )


def _target(view: PolicyView, target: TargetRef) -> TargetThought:
    spec = view.owner.spec
    key = Key(Kind(target.kind.value), view.key.namespace, target.name)
    access = [one for one in view.policies if one.spec.is_about_access]
    identity = [one for one in view.policies if one.spec.workload_identity is not None]
    vouching = _older(view, target, identity) if spec.workload_identity is not None else None
    rival = _older(view, target, access) if spec.is_about_access else vouching
    return TargetThought(
        ref=target,
        rival=rival,
        vouching=vouching if rival is None else None,
        is_there=key in view.existing,
        rules=tuple(_rules(view, target)),
        untold=tuple(_untold(view, target)) if rival is None else (),
    )


def _older(
    view: PolicyView, target: TargetRef, policies: Iterable[IdentityPolicy]
) -> IdentityPolicy | None:
    """The one of these that counts for a target in place of the policy."""
    first = winner(target.kind, view.key.namespace, target.name, policies)
    return None if first is None or age(first) == age(view.owner) else first


def _rules(view: PolicyView, target: TargetRef) -> Iterator[int]:
    """The places of the rules that are about a target."""
    for place, one in enumerate(view.owner.spec.access):
        if _is_about(compiled(place, one), target):
            yield place


def _is_about(rule: Rule, target: TargetRef) -> bool:
    match target.kind:
        case TargetKind.STACK:
            return True  # which of its objects the rule names, `_idle` looks at
        case TargetKind.AGENT:
            return target.name in (*rule.from_agents, *rule.to_agents)
        case TargetKind.TOOL:
            return target.name in rule.to_tools


def _untold(view: PolicyView, target: TargetRef) -> Iterator[Key]:
    """Agents whose part of the queue does not say yet what the policy says now."""
    metadata = view.owner.metadata
    ours = (metadata.namespace, metadata.name, metadata.generation)
    for agent in view.agents:
        stack = stack_of(agent)
        concerned = [
            key
            for key in (key_of(agent), *tools_of(agent), *agents_of(agent))
            if _is_meant(target, key, stack, view) and _counts(view, key, stack)
        ]
        told = {(one.namespace, one.name, one.generation) for one in agent.status.policies}
        if concerned and ours not in told and not agent.metadata.is_deleting:
            yield key_of(agent)


def _is_meant(target: TargetRef, key: Key, stack: Key, view: PolicyView) -> bool:
    namespace = view.key.namespace
    if target.kind is TargetKind.STACK:
        return stack == Key(Kind.STACK, namespace, target.name)
    return key == Key(Kind(target.kind.value), namespace, target.name)


def _counts(view: PolicyView, key: Key, stack: Key) -> bool:
    found = counts_for(key, stack, view.policies)
    return found is not None and age(found) == age(view.owner) and key_of(found) == view.key


def _governed(view: PolicyView) -> Iterator[Key]:
    """The Agents and Tools for which this policy counts."""
    members = {
        **{key_of(agent): stack_of(agent) for agent in view.agents},
        **{key_of(tool): stack_of(tool) for tool in view.tools},
    }
    return (key for key, stack in members.items() if _counts(view, key, stack))


def _idle(policy: IdentityPolicy, governed: frozenset[Key]) -> Iterator[str]:
    """What rules count for nothing, and why."""
    namespace = policy.metadata.namespace
    for place, one in enumerate(policy.spec.access):
        rule = compiled(place, one)
        named = {
            *(Key(Kind.AGENT, namespace, name) for name in (*rule.from_agents, *rule.to_agents)),
            *(Key(Kind.TOOL, namespace, name) for name in rule.to_tools),
        }
        if rule.users is not None and rule.to_tools:
            yield f"spec.access[{place}]: users call no Tools; name the Agents that call them"
        elif not named & governed:
            yield (
                f"spec.access[{place}]: it names nothing that this policy counts for; "
                "add one of them to spec.targetRefs"
            )


def _without_users(view: PolicyView, governed: frozenset[Key]) -> Iterator[Key]:
    """The Stacks that authenticate nobody, though a rule is about users of their Agents."""
    wanted = {
        Key(Kind.AGENT, view.key.namespace, name)
        for rule in view.owner.spec.access
        if rule.from_.users is not None
        for name in rule.to.agents or ()
    }
    named = {stack_of(agent) for agent in view.agents if key_of(agent) in wanted & governed}
    for stack in view.stacks:
        if stack.spec.auth is None and key_of(stack) in named:
            yield key_of(stack)
