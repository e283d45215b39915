"""IdentityPolicy: who an object is, who may call whom, and what tokens say so."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from controller.api.conditions import Condition, ConditionType
from controller.api.fields import HttpUrl, Namespace, ShortName
from controller.api.names import GROUP, Kind
from controller.api.resource import AGE, Column, Resource, Status, condition_column
from controller.api.schema import NULL_IS_NOTHING, Fields, Form, Integer, Keyed, exactly_one

TrustDomain = Annotated[
    str,
    Field(max_length=255),
    Form("^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$", "a trust domain such as 'k8gentai.local'"),
]
# RFC 6749, section 3.3: printable ASCII but for space, quote and backslash.
Scope = Annotated[
    str,
    Field(max_length=128),
    Form(r"^[\x21\x23-\x5b\x5d-\x7e]+$", "one scope: printable, without spaces"),
]
ClaimValue = Annotated[str, Field(min_length=1, max_length=253)]
Scopes = Annotated[tuple[Scope, ...], Keyed()]
ClaimValues = Annotated[tuple[ClaimValue, ...], Field(min_length=1, max_length=64)]
Claims = Annotated[dict[str, ClaimValues], NULL_IS_NOTHING]
ShortNames = Annotated[tuple[ShortName, ...], Field(min_length=1, max_length=64), Keyed()]


class TargetKind(StrEnum):
    """What a policy may be attached to."""

    STACK = "Stack"
    AGENT = "Agent"
    TOOL = "Tool"


class IdentityProvider(StrEnum):
    """Who vouches for a workload."""

    SPIRE = "SPIRE"
    SERVICE_ACCOUNT = "ServiceAccount"


class TargetRef(Fields):
    """An object of the policy's namespace the policy is attached to."""

    group: Literal["k8gentai.dev"] = Field(GROUP, description="API group of the object.")
    kind: TargetKind = Field(description="Agent or Tool; Stack means all of its Agents and Tools.")
    name: ShortName = Field(description="Name of the object, in the policy's namespace.")


class WorkloadIdentity(Fields):
    """How workers prove who they are."""

    provider: IdentityProvider | None = Field(
        None,
        description="SPIRE for SVIDs, or ServiceAccount for projected tokens. Absent: SPIRE where "
        "it is installed and the operator was told of it, else ServiceAccount.",
    )
    trust_domain: TrustDomain | None = Field(
        None,
        description="SPIFFE trust domain: that of the SPIRE which the operator was told of, and "
        "there is no other; that one when absent.",
    )
    jwt_seconds: Integer = Field(
        300,
        ge=60,
        le=86400,
        description="Life of a worker's token. Kubernetes makes no projected token shorter than "
        "600 seconds.",
    )


class Users(Fields):
    """People, by what their token says of them."""

    claims: Claims = Field(
        default_factory=dict,
        max_length=16,
        description="Claims the user's token must have, each with one of these values. Empty: "
        "every authenticated user.",
    )


class Callers(Fields):
    """Who calls."""

    rules = (exactly_one("users", "agents"),)

    users: Users | None = Field(None, description="Users, by the claims of their token.")
    agents: ShortNames | None = Field(
        None, description="Agents of the policy's namespace, by name."
    )


class Callees(Fields):
    """What is called."""

    rules = (exactly_one("agents", "tools"),)

    agents: ShortNames | None = Field(
        None, description="Agents of the policy's namespace, by name."
    )
    tools: ShortNames | None = Field(None, description="Tools of the policy's namespace, by name.")


class AccessRule(Fields):
    """One permission: these may call those, with these scopes."""

    from_: Callers = Field(alias="from", description="Who calls; exactly one of users and agents.")
    to: Callees = Field(description="What is called; exactly one of agents and tools.")
    scopes: Scopes = Field(
        (),
        max_length=64,
        description="Scopes the call may carry; none when empty. Without effect in this version: a "
        "transaction token has the scope of its user's.",
    )


class TransactionToken(Fields):
    """The token that carries user and chain from hop to hop."""

    seconds: Integer = Field(120, ge=10, le=3600, description="Life of a transaction token.")
    max_hops: Integer = Field(
        5, ge=1, le=32, description="Longest chain from the user to the last tool."
    )


class Exchange(Fields):
    """A third party's token a tool may get in the user's name."""

    tool: ShortName = Field(description="The Tool, in the policy's namespace.")
    issuer: HttpUrl = Field(description="Issuer that exchanges tokens.")
    audience: str = Field(
        min_length=1, max_length=253, description="The one audience the token is good for."
    )
    scopes: Scopes = Field((), max_length=64, description="Scopes asked for.")


class IdentityPolicySpec(Fields):
    """Who an object is and who may call it."""

    target_refs: Annotated[tuple[TargetRef, ...], Keyed(("kind", "name"))] = Field(
        min_length=1,
        max_length=16,
        description="Objects the policy is attached to. Of several policies on one object the "
        "oldest wins, for access and for workloadIdentity each; an object's own goes before that "
        "of its Stack.",
    )
    workload_identity: WorkloadIdentity | None = Field(
        None,
        description="How the targets' workers prove who they are. Absent: as the policy of their "
        "Stack says, else by ServiceAccount tokens.",
    )
    access: tuple[AccessRule, ...] = Field(
        (),
        max_length=64,
        description="Who may call whom. Once a policy targets an object, what is not listed is "
        "denied: who calls it, and whom it calls. One that gives workloadIdentity and no access is "
        "not about this.",
    )
    transaction_token: TransactionToken = Field(
        TransactionToken(),
        description="The token that carries user and chain. Without effect in this version: tokens "
        "live for 120 seconds, and a chain has 5 hops.",
    )
    exchange: Annotated[tuple[Exchange, ...], Keyed(("tool",))] = Field(
        (),
        max_length=64,
        description="Third parties' tokens tools may get in the user's name. Without effect in "
        "this version, which exchanges none.",
    )

    @property
    def is_about_access(self) -> bool:
        """Whether it says who may call whom, be it nobody.

        One that gives `workloadIdentity` and no `access` says nothing of that.
        """
        return "access" in self.model_fields_set or self.workload_identity is None


class AncestorRef(Fields):
    """The object an entry of the status speaks of."""

    group: str = Field(GROUP, max_length=253, description="API group of the object.")
    kind: str = Field(max_length=63, description="Kind of the object.")
    namespace: Namespace | None = Field(None, description="Namespace of the object.")
    name: str = Field(max_length=253, description="Name of the object.")


class Ancestor(Fields):
    """What the policy does to one of its targets."""

    ancestor_ref: AncestorRef = Field(description="The target.")
    controller_name: str = Field(max_length=253, description="Who wrote this entry.")
    conditions: Annotated[tuple[Condition, ...], Keyed(("type",))] = Field(
        (), max_length=8, description="Accepted and Enforced, for this target."
    )


class IdentityPolicyStatus(Status):
    """What a policy does."""

    targets: str | None = Field(
        None, max_length=1024, description="The targets in one line, for the column: Agent/math."
    )
    ancestors: tuple[Ancestor, ...] = Field(
        (), max_length=16, description="What the policy does to each of its targets."
    )


class IdentityPolicy(Resource):
    """Who an object is and who may call it."""

    kind: ClassVar[Kind] = Kind.IDENTITY_POLICY
    about: ClassVar[str] = (
        "Identity and access of Agents, Tools or a whole Stack: who vouches for their workers, "
        "who may call them, and which tokens carry the user's identity on."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Targets", ".status.targets", "Objects the policy is attached to."),
        condition_column("Accepted", ConditionType.ACCEPTED, "status"),
        condition_column("Enforced", ConditionType.ENFORCED, "status"),
        AGE,
    )

    spec: IdentityPolicySpec
    status: IdentityPolicyStatus = IdentityPolicyStatus()
