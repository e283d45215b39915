"""What policies come to for one object: which one counts, and whom it lets call and be called."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.api.identity_policy import AccessRule, IdentityPolicy, TargetKind
from controller.api.names import Kind
from controller.api.parse import InvalidSpec, parse
from controller.api.resource import Resource
from controller.desired.metadata import key_of
from controller.model import AgentView, Key, Manifest, ToolView
from runtime.contract.access import (
    Access,
    Guard,
    ResourceKind,
    Rule,
    Verdict,
    decide,
)
from runtime.contract.access import Resource as Callee
from runtime.contract.value import ObjectName

RESOURCE_KIND_BY_KIND = {Kind.AGENT: ResourceKind.AGENT, Kind.TOOL: ResourceKind.TOOL}


def resource(key: Key) -> Callee:
    """An Agent or a Tool, in the words of the queue."""
    return Callee(kind=RESOURCE_KIND_BY_KIND[key.kind], name=key.object_name)


def readable[R: Resource](model: type[R], bodies: Iterable[Manifest]) -> tuple[R, ...]:
    """The objects whose spec can be read."""
    found = []
    for body in bodies:
        with contextlib.suppress(InvalidSpec):
            found.append(parse(model, body))
    return tuple(found)


def standing_policies(bodies: Iterable[Manifest]) -> tuple[IdentityPolicy, ...]:
    """The policies that are not being deleted.

    One that cannot be read lets nobody call what it is attached to: what it would allow, nobody
    knows, and without it everybody could.
    """
    bodies = tuple(bodies)
    found = (*readable(IdentityPolicy, bodies), *_closed(bodies))
    return tuple(one for one in found if not one.metadata.is_deleting)


def _closed(bodies: Iterable[Manifest]) -> Iterator[IdentityPolicy]:
    for body in bodies:
        if readable(IdentityPolicy, (body,)):
            continue
        spec = body.get("spec")
        targets = {"targetRefs": spec.get("targetRefs") if isinstance(spec, Mapping) else None}
        yield from readable(IdentityPolicy, ({**body, "spec": targets},))


def age(policy: IdentityPolicy) -> tuple[datetime, str]:
    """Lower is older; among those of one moment the name decides."""
    created = policy.metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC)
    return created, policy.metadata.name


def winner(
    kind: TargetKind, namespace: str, name: str, policies: Iterable[IdentityPolicy]
) -> IdentityPolicy | None:
    """Of the policies that are attached to an object the one that counts; None if there is none."""
    attached = [
        policy
        for policy in policies
        if policy.metadata.namespace == namespace
        and any((ref.kind, ref.name) == (kind, name) for ref in policy.spec.target_refs)
        and not policy.metadata.is_deleting
    ]
    return min(attached, key=age, default=None)


def counts_for(key: Key, stack: Key, policies: Iterable[IdentityPolicy]) -> IdentityPolicy | None:
    """The policy that says who may call an Agent or Tool: its own, before that of its Stack."""
    found = tuple(one for one in policies if one.spec.is_about_access)
    own = winner(TargetKind(key.kind.value), key.namespace, key.name, found)
    return own or winner(TargetKind.STACK, stack.namespace, stack.name, found)


def guard_of(key: Key, stack: Key, policies: Iterable[IdentityPolicy]) -> Guard | None:
    """What the policy that counts for an Agent or Tool of `stack` says of it; None without one."""
    policy = counts_for(key, stack, policies)
    if policy is None:
        return None
    names = ObjectName(namespace=policy.metadata.namespace, name=policy.metadata.name)
    rules = (compiled(place, one) for place, one in enumerate(policy.spec.access))
    return Guard(policy=names, rules=tuple(rule for rule in rules if _is_about(rule, key, policy)))


def compiled(place: int, rule: AccessRule) -> Rule:
    """A rule as it is decided by."""
    users = rule.from_.users
    return Rule(
        place=place,
        users=None if users is None else dict(users.claims),
        from_agents=rule.from_.agents or (),
        to_agents=rule.to.agents or (),
        to_tools=rule.to.tools or (),
        scopes=rule.scopes,
    )


def _is_about(rule: Rule, key: Key, policy: IdentityPolicy) -> bool:
    if key.namespace != policy.metadata.namespace:
        return False
    if key.kind is Kind.TOOL:
        return key.name in rule.to_tools
    return key.name in (*rule.to_agents, *rule.from_agents)


def access_of(view: AgentView | ToolView, *others: Key) -> Access:
    """The guards of an object, of all that its spec lets it call, and of `others` of its Stack."""
    keys = (view.key, *(tool.key for tool in view.tools), *(one.key for one in view.agents))
    found = {key: guard_of(key, view.stack.key, view.policies) for key in (*keys, *others)}
    return {resource(key): guard for key, guard in found.items() if guard is not None}


def policies_about(view: AgentView) -> tuple[IdentityPolicy, ...]:
    """Every policy that counts for an Agent, or for what its spec lets it call."""
    keys = (view.key, *(one.key for one in view.tools), *(one.key for one in view.agents))
    found = (counts_for(key, view.stack.key, view.policies) for key in keys)
    by_key = {key_of(one): one for one in found if one is not None}
    return tuple(by_key[key] for key in sorted(by_key))


@dataclass(frozen=True, slots=True)
class Denial:
    """A reference of an Agent's spec that policies do not let it use."""

    field: str
    key: Key
    verdict: Verdict


def denials(view: AgentView) -> Iterator[Denial]:
    """Every reference of an Agent's spec that policies do not let it use, in its order."""
    access, caller = access_of(view), resource(view.key)
    for field, references in (
        ("spec.tools[{}].toolRef", view.tools),
        ("spec.agents[{}].agentRef", view.agents),
    ):
        for place, one in enumerate(references):
            verdict = decide(access, caller, resource(one.key))
            if not verdict.allowed:
                yield Denial(field.format(place), one.key, verdict)


def permitted(view: AgentView, kind: Kind) -> tuple[ObjectName, ...]:
    """The Tools, or the Agents, that an Agent's spec names and policies let it call."""
    denied = {denial.key for denial in denials(view)}
    named = view.tools if kind is Kind.TOOL else view.agents
    return tuple(one.key.object_name for one in named if one.key not in denied)
