"""What IdentityPolicies report."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from controller.api.conditions import (
    AcceptedReason,
    Condition,
    ConditionType,
    EnforcedReason,
    ReadyReason,
    ResolvedRefsReason,
    abnormal,
    carried_over,
    summary,
)
from controller.api.identity_policy import (
    Ancestor,
    AncestorRef,
    IdentityPolicyStatus,
    TargetKind,
    TransactionToken,
)
from controller.api.names import CONTROLLER_NAME
from controller.model import PolicyThought, PolicyView, TargetThought
from controller.status.conditions import Speaker

TARGETS_LENGTH: Final = 1024
VOUCHES: Final = "it says how workers prove who they are, and nothing of who may call whom"
MOST_NAMED: Final = 3
"""Agents that a message names one by one."""


def policy_status(view: PolicyView, thought: PolicyThought, now: datetime) -> IdentityPolicyStatus:
    """What an IdentityPolicy reports: for each target whether it counts, and by which rules.

    Of several policies on one object the oldest wins; among those of one moment the first by name.
    """
    metadata, targets = view.owner.metadata, view.owner.spec.target_refs
    speaker = Speaker(metadata.generation, now)
    before = view.owner.status
    shown = ", ".join(f"{target.kind}/{target.name}" for target in targets)
    return before.model_copy(
        update={
            "observed_generation": metadata.generation,
            "conditions": carried_over(_conditions(view, thought, speaker), before.conditions),
            "targets": shown[:TARGETS_LENGTH],
            "ancestors": tuple(_ancestor(view, target, speaker) for target in thought.targets),
        }
    )


def _conditions(view: PolicyView, thought: PolicyThought, speaker: Speaker) -> Iterator[Condition]:
    accepted = _accepted(thought, speaker)
    resolved = _resolved(view, thought, speaker)
    enforced = _enforced(view, thought, speaker)
    yield from (accepted, resolved, enforced)
    good = speaker.says(ReadyReason.READY, "it is in force")
    yield summary(good, (accepted, resolved, enforced))
    if accepted.reason == AcceptedReason.CONFLICT:
        yield abnormal(ConditionType.STALLED, accepted)
    elif thought.is_awaited:
        yield abnormal(ConditionType.RECONCILING, enforced)


def _accepted(thought: PolicyThought, speaker: Speaker) -> Condition:
    for target in thought.targets:
        if target.rival is not None:
            return speaker.says(AcceptedReason.CONFLICT, _conflict(target))
    return speaker.says(AcceptedReason.ACCEPTED, "the spec is valid")


def _conflict(target: TargetThought) -> str:
    rival = target.rival.metadata.name if target.rival else ""
    return (
        f"spec.targetRefs: {target.ref.kind} {target.ref.name} has an older policy, {rival}; "
        "change that one or name other targets"
    )


def _resolved(view: PolicyView, thought: PolicyThought, speaker: Speaker) -> Condition:
    missing = [_missing(view, target) for target in thought.targets if not target.is_there]
    if missing:
        return speaker.says(ResolvedRefsReason.REF_NOT_FOUND, "; ".join(missing))
    return speaker.says(ResolvedRefsReason.RESOLVED_REFS, "everything it refers to is there")


def _missing(view: PolicyView, target: TargetThought) -> str:
    return (
        f"spec.targetRefs: there is no {target.ref.kind} {target.ref.name} in namespace "
        f"{view.key.namespace}; create it or name another one"
    )


def _enforced(view: PolicyView, thought: PolicyThought, speaker: Speaker) -> Condition:
    """The worst of all targets, and what of the spec has no effect."""
    by_target = [_force(view, target) for target in thought.targets]
    worst = min(by_target, key=lambda one: _WORST_FIRST.index(one[0]))
    if worst[0] is not EnforcedReason.ENFORCED:
        return speaker.says(*worst)
    denied = "everybody named by no rule is denied"
    about = denied if view.owner.spec.is_about_access else VOUCHES
    told = [about, *thought.idle, *_nobody(thought), *_vouching(thought), *_without_effect(view)]
    return speaker.says(EnforcedReason.ENFORCED, "; ".join(told))


_WORST_FIRST: Final = (
    EnforcedReason.CONFLICT,
    EnforcedReason.NOT_ENFORCED,
    EnforcedReason.ENFORCED,
)


def _nobody(thought: PolicyThought) -> Iterator[str]:
    for stack in thought.has_nobody:
        yield (
            f"{stack} has no spec.auth, so that whoever calls is anonymous and rules for users let "
            "nobody in"
        )


def _vouching(thought: PolicyThought) -> Iterator[str]:
    for target in thought.targets:
        if target.vouching is not None:
            yield (
                f"spec.workloadIdentity has no effect on {target.ref.kind} {target.ref.name}, of "
                f"which the older policy {target.vouching.metadata.name} says it"
            )


def _without_effect(view: PolicyView) -> Iterator[str]:
    spec = view.owner.spec
    if spec.transaction_token != TransactionToken():
        yield (
            "spec.transactionToken has no effect: transaction tokens live for 120 seconds, and a "
            "chain has 5 hops"
        )
    if spec.exchange:
        yield "spec.exchange has no effect: this version exchanges no tokens"


def _force(view: PolicyView, target: TargetThought) -> tuple[EnforcedReason, str]:
    """Whether the policy is in force on one target, and by which rules."""
    ref = target.ref
    if target.rival is not None:
        return EnforcedReason.CONFLICT, _conflict(target)
    if not target.is_there:
        return EnforcedReason.NOT_ENFORCED, _missing(view, target)
    if target.untold:
        named = ", ".join(map(str, target.untold[:MOST_NAMED]))
        more = len(target.untold) - MOST_NAMED
        others = f" and {more} more" if more > 0 else ""
        message = f"the queue has not been told yet of {named}{others}; see their conditions"
        return EnforcedReason.NOT_ENFORCED, message
    about = f"{ref.kind} {ref.name}"
    if not view.owner.spec.is_about_access:
        return EnforcedReason.ENFORCED, f"{VOUCHES}, as IdentityReady of the {about} tells"
    if ref.kind is TargetKind.STACK:
        about = f"Agents and Tools of the {about} that have no policy of their own"
    if target.rules:
        places = ", ".join(f"spec.access[{place}]" for place in target.rules)
        return EnforcedReason.ENFORCED, f"the {about}: by {places}; all else is denied"
    return EnforcedReason.ENFORCED, f"no rule is about the {about}, so all of it is denied"


def _ancestor(view: PolicyView, target: TargetThought, speaker: Speaker) -> Ancestor:
    if target.rival is None:
        accepted = speaker.says(AcceptedReason.ACCEPTED, "the policy counts for this target")
    else:
        accepted = speaker.says(AcceptedReason.CONFLICT, _conflict(target))
    enforced = speaker.says(*_force(view, target))
    ref = AncestorRef(
        kind=target.ref.kind.value, namespace=view.key.namespace, name=target.ref.name
    )
    before = next((one for one in view.owner.status.ancestors if one.ancestor_ref == ref), None)
    return Ancestor(
        ancestor_ref=ref,
        controller_name=CONTROLLER_NAME,
        conditions=carried_over((accepted, enforced), before.conditions if before else ()),
    )
