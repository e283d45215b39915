"""What IdentityPolicies report."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from controller.api.conditions import (
    AcceptedReason,
    Condition,
    ConditionType,
    EnforcedReason,
    ResolvedRefsReason,
    abnormal,
    carried_over,
    summary,
)
from controller.api.identity_policy import (
    Ancestor,
    AncestorRef,
    IdentityPolicy,
    IdentityPolicyStatus,
    TargetRef,
)
from controller.api.names import CONTROLLER_NAME, Kind
from controller.model import Key, PolicyView
from controller.status.conditions import Speaker

NOT_ENFORCED: Final = (
    "this version does not enforce who may call whom: everybody may call the target as if there "
    "were no policy; spec.workloadIdentity takes effect, as IdentityReady of the target tells"
)
TARGETS_LENGTH: Final = 1024


def policy_status(view: PolicyView, now: datetime) -> IdentityPolicyStatus:
    """What an IdentityPolicy reports: for each target whether it counts, and that it has no force.

    Of several policies on one object the oldest wins; among those of one moment the first by name.
    """
    metadata, targets = view.owner.metadata, view.owner.spec.target_refs
    speaker = Speaker(metadata.generation, now)
    before = view.owner.status
    shown = ", ".join(f"{target.kind}/{target.name}" for target in targets)
    return before.model_copy(
        update={
            "observed_generation": metadata.generation,
            "conditions": carried_over(_conditions(view, speaker), before.conditions),
            "targets": shown[:TARGETS_LENGTH],
            "ancestors": tuple(_ancestor(view, target, speaker) for target in targets),
        }
    )


def _conditions(view: PolicyView, speaker: Speaker) -> Iterator[Condition]:
    accepted, resolved = _accepted(view, speaker), _resolved(view, speaker)
    enforced = _enforced(view, speaker)
    yield from (accepted, resolved, enforced)
    yield summary(accepted, (resolved, enforced))
    if accepted.reason == AcceptedReason.CONFLICT:
        yield abnormal(ConditionType.STALLED, accepted)


def _accepted(view: PolicyView, speaker: Speaker) -> Condition:
    for target in view.owner.spec.target_refs:
        winner = _winner(view, target)
        if winner is not None:
            return _conflict(winner, target, speaker)
    return speaker.says(AcceptedReason.ACCEPTED, "the spec is valid")


def _conflict(winner: IdentityPolicy, target: TargetRef, speaker: Speaker) -> Condition:
    return speaker.says(
        AcceptedReason.CONFLICT,
        f"spec.targetRefs: {target.kind} {target.name} has an older policy, "
        f"{winner.metadata.name}; change that one or name other targets",
    )


def _resolved(view: PolicyView, speaker: Speaker) -> Condition:
    missing = [
        f"spec.targetRefs: there is no {target.kind} {target.name} in namespace "
        f"{view.key.namespace}; create it or name another one"
        for target in view.owner.spec.target_refs
        if _key(view, target) not in view.existing
    ]
    if missing:
        return speaker.says(ResolvedRefsReason.REF_NOT_FOUND, "; ".join(missing))
    return speaker.says(ResolvedRefsReason.RESOLVED_REFS, "everything it refers to is there")


def _enforced(view: PolicyView, speaker: Speaker) -> Condition:
    if any(_winner(view, target) for target in view.owner.spec.target_refs):
        return speaker.says(EnforcedReason.CONFLICT, "an older policy counts for a target of it")
    return speaker.says(EnforcedReason.NOT_ENFORCED, NOT_ENFORCED)


def _ancestor(view: PolicyView, target: TargetRef, speaker: Speaker) -> Ancestor:
    winner = _winner(view, target)
    if winner is None:
        accepted = speaker.says(AcceptedReason.ACCEPTED, "the policy counts for this target")
        enforced = speaker.says(EnforcedReason.NOT_ENFORCED, NOT_ENFORCED)
    else:
        accepted = _conflict(winner, target, speaker)
        enforced = speaker.says(EnforcedReason.CONFLICT, accepted.message)
    ref = AncestorRef(kind=target.kind.value, namespace=view.key.namespace, name=target.name)
    before = next((one for one in view.owner.status.ancestors if one.ancestor_ref == ref), None)
    return Ancestor(
        ancestor_ref=ref,
        controller_name=CONTROLLER_NAME,
        conditions=carried_over((accepted, enforced), before.conditions if before else ()),
    )


def _key(view: PolicyView, target: TargetRef) -> Key:
    return Key(Kind(target.kind.value), view.key.namespace, target.name)


def _winner(view: PolicyView, target: TargetRef) -> IdentityPolicy | None:
    """The older policy on the same target, if there is one."""
    wanted = (target.kind, target.name)
    older = [
        other
        for other in view.others
        if _age(other) < _age(view.owner)
        and wanted in {(theirs.kind, theirs.name) for theirs in other.spec.target_refs}
    ]
    return min(older, key=_age, default=None)


def _age(policy: IdentityPolicy) -> tuple[datetime, str]:
    created = policy.metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC)
    return created, policy.metadata.name
