"""Conditions: what every kind says about itself, and the closed lists of reasons."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from controller.api.schema import Fields, Integer


class ConditionType(StrEnum):
    """What a condition is about."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    IDENTITY_READY = "IdentityReady"
    ENFORCED = "Enforced"
    READY = "Ready"
    SCHEMA_DRIFTED = "SchemaDrifted"
    DEGRADED = "Degraded"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """Yes, no, or nobody can tell at the moment."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class AcceptedReason(StrEnum):
    """Whether the spec is valid and this operator owns it."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    UNSUPPORTED_VALUE = "UnsupportedValue"
    CONFLICT = "Conflict"


class ResolvedRefsReason(StrEnum):
    """Whether every reference exists and is permitted."""

    RESOLVED_REFS = "ResolvedRefs"
    REF_NOT_FOUND = "RefNotFound"
    REF_NOT_PERMITTED = "RefNotPermitted"
    INVALID_KIND = "InvalidKind"


class ProgrammedReason(StrEnum):
    """Whether streams, consumers, workload and identity are written."""

    PROGRAMMED = "Programmed"
    PENDING = "Pending"
    STREAM_CONFLICT = "StreamConflict"


class IdentityReadyReason(StrEnum):
    """Whether the identity is registered and was seen alive."""

    IDENTITY_READY = "IdentityReady"
    SPIRE_MISSING = "SpireMissing"
    SPIRE_ENTRY_MISSING = "SpireEntryMissing"
    SVID_MISSING = "SvidMissing"
    AUDIENCE_NOT_ALLOWED = "AudienceNotAllowed"
    CLIENT_NOT_REGISTERED = "ClientNotRegistered"


class EnforcedReason(StrEnum):
    """Whether a policy is in force on its target."""

    ENFORCED = "Enforced"
    NOT_ENFORCED = "NotEnforced"
    CONFLICT = "Conflict"


class ReadyReason(StrEnum):
    """What the workload, as observed, has to say."""

    READY = "Ready"
    SCALED_TO_ZERO = "ScaledToZero"
    DEPENDENCY_NOT_READY = "DependencyNotReady"
    CRASH_LOOP = "CrashLoop"
    PROGRESSING = "Progressing"


class SchemaDriftedReason(StrEnum):
    """How the functions of a Tool differ from those that were accepted."""

    COMPATIBLE_CHANGE = "CompatibleChange"
    BREAKING_CHANGE = "BreakingChange"
    DIGEST_MISMATCH = "DigestMismatch"


type Reason = (
    AcceptedReason
    | ResolvedRefsReason
    | ProgrammedReason
    | IdentityReadyReason
    | EnforcedReason
    | ReadyReason
    | SchemaDriftedReason
)

TYPE_BY_REASONS: Final[Mapping[type[StrEnum], ConditionType]] = MappingProxyType(
    {
        AcceptedReason: ConditionType.ACCEPTED,
        ResolvedRefsReason: ConditionType.RESOLVED_REFS,
        ProgrammedReason: ConditionType.PROGRAMMED,
        IdentityReadyReason: ConditionType.IDENTITY_READY,
        EnforcedReason: ConditionType.ENFORCED,
        ReadyReason: ConditionType.READY,
        SchemaDriftedReason: ConditionType.SCHEMA_DRIFTED,
    }
)
GOOD_REASONS: Final[tuple[Reason, ...]] = (
    AcceptedReason.ACCEPTED,
    ResolvedRefsReason.RESOLVED_REFS,
    ProgrammedReason.PROGRAMMED,
    IdentityReadyReason.IDENTITY_READY,
    EnforcedReason.ENFORCED,
    ReadyReason.READY,
    ReadyReason.SCALED_TO_ZERO,
)
"""With these, and with no other, a condition is True."""

type AbnormalType = Literal[
    ConditionType.SCHEMA_DRIFTED,
    ConditionType.DEGRADED,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
]
WORST_FIRST: Final = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


Moment = Annotated[
    datetime,
    AfterValidator(_whole_seconds),
    PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]
"""A point in time as Kubernetes writes it: UTC, whole seconds."""


class Condition(Fields):
    """One statement about an object, in the form of Kubernetes' own conditions.

    Source:
        Kubernetes API conventions, "Typical status properties"; `metav1.Condition`.
    """

    type: str = Field(
        max_length=316, description="What the condition is about, for example Ready or Accepted."
    )
    status: ConditionStatus = Field(description="True, False, or Unknown when nobody can tell yet.")
    reason: str = Field(
        max_length=1024, description="Why, in one CamelCase word from a closed list."
    )
    message: str = Field(
        "", max_length=32768, description="Why, in a sentence, with the way out if there is one."
    )
    last_transition_time: Moment = Field(description="When `status` last became what it is.")
    observed_generation: Integer = Field(
        0, ge=0, description="The metadata.generation this condition speaks of."
    )


def condition(
    reason: Reason,
    message: str,
    *,
    generation: int,
    now: datetime,
    unknown: bool = False,
) -> Condition:
    """The condition `reason` belongs to; its status follows from the reason.

    Args:
        reason: one of the closed lists; the list tells the type.
        message: a sentence.
        generation: the metadata.generation that was looked at.
        now: for `lastTransitionTime`; `carried_over` restores an earlier one.
        unknown: nobody can tell; Unknown instead of False.

    Raises:
        ValueError: `unknown` with a reason that says all is well.
    """
    is_good = reason in GOOD_REASONS
    if is_good and unknown:
        raise ValueError(f"{reason} says that all is well: it cannot be Unknown")
    bad = ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE
    return Condition(
        type=TYPE_BY_REASONS[type(reason)],
        status=ConditionStatus.TRUE if is_good else bad,
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=generation,
    )


def abnormal(kind: AbnormalType, cause: Condition) -> Condition:
    """A condition that is published only while it lasts, and then is True, by its `cause`."""
    return cause.model_copy(update={"type": kind.value, "status": ConditionStatus.TRUE})


def summary(workload: Condition, others: Iterable[Condition]) -> Condition:
    """Ready: the worst of the workload as observed and of the other conditions.

    False beats Unknown, Unknown beats True; among equals the workload speaks first, so that
    ScaledToZero shows through. The reason is that of the condition at fault.
    """
    worst = min((workload, *others), key=lambda part: WORST_FIRST.index(part.status))
    return worst.model_copy(update={"type": ConditionType.READY.value})


def carried_over(
    conditions: Iterable[Condition], before: Iterable[Condition]
) -> tuple[Condition, ...]:
    """`conditions`, each with its earlier `lastTransitionTime` where the status has not changed."""
    since = {(past.type, past.status): past.last_transition_time for past in before}
    return tuple(
        fresh.model_copy(
            update={
                "last_transition_time": since.get(
                    (fresh.type, fresh.status), fresh.last_transition_time
                )
            }
        )
        for fresh in conditions
    )
