"""What every kind is made of: metadata, a status with conditions, and the facts of its CRD."""

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from controller.api.conditions import Condition, ConditionType, Moment
from controller.api.names import Kind
from controller.api.schema import Fields, Integer, Keyed, Rule

NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those with a priority above 0 show with `-o wide` alone."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "date"] = "string"
    priority: int = 0


def condition_column(name: str, kind: ConditionType, field: Literal["status", "reason"]) -> Column:
    """The column that shows one field of the condition `kind`."""
    return Column(
        name,
        f'.status.conditions[?(@.type=="{kind}")].{field}',
        f"The {field} of the condition {kind}.",
    )


AGE = Column("Age", ".metadata.creationTimestamp", "Time since the object was created.", "date")
READY = condition_column("Ready", ConditionType.READY, "status")
REASON = condition_column("Reason", ConditionType.READY, "reason")


class Metadata(Fields):
    """The part of Kubernetes' object metadata that is looked at."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: Integer = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    creation_timestamp: Moment | None = None
    deletion_timestamp: Moment | None = None

    @property
    def is_deleting(self) -> bool:
        """Somebody asked for the removal; what is left waits for finalizers."""
        return self.deletion_timestamp is not None


class Status(Fields):
    """What the status of every kind begins with."""

    observed_generation: Integer = Field(
        0, ge=0, description="The metadata.generation this status speaks of."
    )
    conditions: Annotated[tuple[Condition, ...], Keyed(("type",))] = Field(
        (),
        max_length=16,
        description="What holds and what does not, one entry a type; wait for the type Ready.",
    )

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of this type, if it was ever published."""
        return next((found for found in self.conditions if found.type == kind), None)


class Envelope(Fields):
    """An object of ours whose spec may be unreadable: enough to report on it."""

    metadata: Metadata
    status: Status = Status()

    @field_validator("status", mode="wrap")
    @classmethod
    def _unreadable_is_empty(cls, value: object, handler: ValidatorFunctionWrapHandler) -> object:
        # The status is ours to write: what another version left there must not stop the object.
        try:
            return handler(value)
        except ValidationError:
            return handler({})


class Resource(Envelope):
    """One of the four kinds. Subclasses declare `spec`, `status` and what the CRD needs to know."""

    kind: ClassVar[Kind]
    about: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    is_scalable: ClassVar[bool] = False


def name_rule(kind: Kind) -> Rule:
    """Names of `kind` become NATS tokens, Service names and durables."""
    return Rule(
        cel=f"self.metadata.name.size() <= {NAME_LENGTH} && "
        f"self.metadata.name.matches('{NAME_PATTERN}')",
        holds=lambda resource: is_short_name(resource.metadata.name),
        message=f"metadata.name of {kind} must be at most {NAME_LENGTH} lower-case letters, digits "
        "and '-', begin with a letter and end with a letter or digit; choose another name",
        field="metadata.name",
    )


def is_short_name(name: str) -> bool:
    """Whether `name` is a DNS label without dots that leaves room for what is put around it."""
    return len(name) <= NAME_LENGTH and re.fullmatch(NAME_PATTERN, name) is not None
