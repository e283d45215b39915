"""IdentityReady: whether an object's workloads can prove who they are, and have."""

from dataclasses import dataclass
from typing import Any, Final

from controller.api.conditions import Condition, IdentityReadyReason
from controller.model import Children, Manifest, Outcome, Proving, Thought
from controller.status.conditions import Speaker

LOG: Final = "the log of SPIRE's controller manager says why"


@dataclass(frozen=True, slots=True)
class _Missing:
    reason: IdentityReadyReason
    message: str
    unknown: bool = False


def identity(thought: Thought, children: Children, outcome: Outcome, speaker: Speaker) -> Condition:
    """IdentityReady of an object whose `children` were observed before the `outcome`."""
    for problem in thought.problems:
        if isinstance(problem.reason, IdentityReadyReason):
            return speaker.says(problem.reason, problem.message)
    workloads = thought.proving
    names = " and ".join(one.spiffe_id or f"the ServiceAccount {one.account}" for one in workloads)
    if outcome.failure is not None:
        told = f"whether {names} is let in to the queue is not known"
        return speaker.says(IdentityReadyReason.CLIENT_NOT_REGISTERED, told, unknown=True)
    if thought.desired is not None:  # nothing was registered for a spec that is wrong
        for one in workloads:
            if one.spiffe_id and (missing := _missing(one, children.get(one.ref))):
                return speaker.says(missing.reason, missing.message, unknown=missing.unknown)
    return speaker.says(IdentityReadyReason.IDENTITY_READY, f"workers prove themselves as {names}")


def _missing(workload: Proving, found: Manifest | None) -> _Missing | None:
    """What a workload lacks to prove itself by an SVID; None if it has.

    Source:
        spire-controller-manager, ClusterSPIFFEID, `status.stats`.
    """
    stats = _stats(found)
    entry = IdentityReadyReason.SPIRE_ENTRY_MISSING
    if stats is None:
        told = (
            "SPIRE's controller manager has not looked at it yet; if that lasts, see that it runs"
        )
        return _Missing(entry, f"{workload.ref}: {told} and takes this className", unknown=True)
    for field, told in _FAILURES.items():
        if stats.get(field):
            return _Missing(entry, f"{workload.ref}: {told} ({field}: {stats[field]})")
    if not workload.replicas:
        return None
    selected, entries = stats.get("podsSelected", 0), stats.get("entriesToSet", 0)
    if not selected:
        told = "it selects no pod yet"
        return _Missing(entry, f"{workload.ref}: {told}", unknown=True)
    if entries < selected:
        told = f"{entries} of {selected} pods are registered"
        return _Missing(entry, f"{workload.ref}: {told}", unknown=True)
    if not workload.ready:
        told = f"{workload.spiffe_id} is registered, and no pod has come to the queue with it yet"
        return _Missing(IdentityReadyReason.SVID_MISSING, told, unknown=True)
    return None


_FAILURES: Final = {
    "namespacesIgnored": "SPIRE's controller manager ignores the namespace (its ignoreNamespaces)",
    "podEntryRenderFailures": f"SPIRE can make no registration entry of it; {LOG}",
    "entryFailures": f"the SPIRE server refuses its registration entries; {LOG}",
    "entriesMasked": "another ClusterSPIFFEID registers the same pods by the same selectors and "
    "came first; remove that one",
}


def _stats(found: Manifest | None) -> dict[str, Any] | None:
    status = (found or {}).get("status") or {}
    stats = status.get("stats")
    return dict(stats) if stats is not None else None
