"""The conditions that the kinds share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from controller.api.conditions import (
    GOOD_REASONS,
    AcceptedReason,
    Condition,
    ConditionStatus,
    ConditionType,
    IdentityReadyReason,
    ProgrammedReason,
    ReadyReason,
    Reason,
    ResolvedRefsReason,
    abnormal,
    carried_over,
    condition,
    summary,
)
from controller.api.resource import Envelope
from controller.model import ApplyChild, Outcome, Problem, Thought, UnreadableView

MESSAGE_LENGTH: Final = 4096
WORKLOADS: Final = frozenset({"Deployment", "StatefulSet"})
BEING_UPDATED: Final = "what runs is being brought up to date"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Speaks of one generation at one moment."""

    generation: int
    now: datetime

    def says(self, reason: Reason, message: str, *, unknown: bool = False) -> Condition:
        """The condition `reason` belongs to."""
        shown = message[:MESSAGE_LENGTH]
        return condition(reason, shown, generation=self.generation, now=self.now, unknown=unknown)


def judgements(problems: Sequence[Problem], speaker: Speaker) -> Iterator[Condition]:
    """Accepted and ResolvedRefs: good, or with all problems of their sort."""
    for good, message, reasons in (
        (AcceptedReason.ACCEPTED, "the spec is valid", AcceptedReason),
        (ResolvedRefsReason.RESOLVED_REFS, "everything it refers to is there", ResolvedRefsReason),
    ):
        found = [problem for problem in problems if isinstance(problem.reason, reasons)]
        if not found:
            yield speaker.says(good, message)
        else:
            told = "; ".join(problem.message for problem in found)
            yield speaker.says(found[0].reason, told)


def programmed(thought: Thought, outcome: Outcome, speaker: Speaker, leaving: str) -> Condition:
    """Programmed: whether all that is desired could be written; `leaving` is told meanwhile."""
    failure = outcome.failure
    if failure is not None:
        message = f"{leaving}; {failure.message}" if leaving else failure.message
        return speaker.says(failure.reason, message, unknown=failure.unknown)
    if leaving:
        return speaker.says(ProgrammedReason.PENDING, leaving)
    if thought.desired is None or thought.problems:
        told = "nothing is changed until the spec is put right"
        return speaker.says(ProgrammedReason.PENDING, told)
    return speaker.says(ProgrammedReason.PROGRAMMED, "identity, queue and workload are written")


def as_seen(thought: Thought, outcome: Outcome) -> Thought:
    """`thought` without praise for a workload that was just written: nobody has seen it yet."""
    is_new = any(
        isinstance(step, ApplyChild) and step.child.ref.kind in WORKLOADS for step in outcome.done
    )
    if not is_new or thought.health.reason not in GOOD_REASONS:
        return thought
    health = replace(thought.health, reason=ReadyReason.PROGRESSING, message=BEING_UPDATED)
    return replace(thought, health=health)


def complete(
    owner: Envelope, thought: Thought, parts: tuple[Condition, ...], speaker: Speaker
) -> tuple[Condition, ...]:
    """`parts`, what follows from them, and since when each of them holds."""
    health = thought.health
    workload = speaker.says(health.reason, health.message)
    all_good = all(part.status is ConditionStatus.TRUE for part in parts)
    # A workload that is not there yet has nothing to say as long as something keeps it away.
    speaks = not health.unknown or all_good
    ready = summary(workload, parts) if speaks else summary(parts[0], parts[1:])
    blockers = [part for part in parts if _needs_a_person(part)]
    if health.stalled:
        blockers.append(workload)
    return carried_over((*parts, ready, *_abnormal(blockers, ready)), owner.status.conditions)


def _abnormal(blockers: Sequence[Condition], ready: Condition) -> Iterator[Condition]:
    if blockers:
        yield abnormal(ConditionType.STALLED, blockers[0])
    elif ready.status is not ConditionStatus.TRUE:
        yield abnormal(ConditionType.RECONCILING, ready)


def _needs_a_person(part: Condition) -> bool:
    return part.status is ConditionStatus.FALSE and (
        part.type == ConditionType.ACCEPTED
        or part.reason
        in (
            ResolvedRefsReason.REF_NOT_PERMITTED,
            ProgrammedReason.STREAM_CONFLICT,
            IdentityReadyReason.SPIRE_MISSING,
        )
    )


def unreadable_conditions(view: UnreadableView, now: datetime) -> tuple[Condition, ...]:
    """The conditions of an object whose spec breaks the schema."""
    speaker = Speaker(view.envelope.metadata.generation, now)
    accepted = speaker.says(AcceptedReason.INVALID, str(view.error))
    ready = summary(accepted, ())
    stalled = abnormal(ConditionType.STALLED, accepted)
    return carried_over((accepted, ready, stalled), view.envelope.status.conditions)
