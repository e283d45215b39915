"""What one reconcile has seen. A view is read once, frozen, and then only thought about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.agent import Agent
from controller.api.conditions import Reason
from controller.api.identity_policy import IdentityPolicy, IdentityProvider
from controller.api.parse import InvalidSpec
from controller.api.resource import Envelope, Resource
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.model.objects import ChildRef, Key, Manifest, Pod, ServerFacts
from controller.model.queue import QueueState
from runtime.contract.trust_config import UserIssuer

type Children = Mapping[ChildRef, Manifest]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a user has to put right: a reason of Accepted or ResolvedRefs, and a sentence.

    The sentence names the field and the way out.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Reference[R: Resource]:
    """An object that a spec names.

    Shape:
        key      which one. `target`: the object, None if it is not there or not readable.
        problem  why it cannot be used.
    """

    key: Key
    target: R | None = None
    problem: Problem | None = None

    @property
    def usable(self) -> R | None:
        """The object, if there is nothing against using it."""
        return None if self.problem else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableView:
    """An object whose spec is not of the schema: it is told, and what runs stays as it is.

    Shape:
        reported  its status as it is.
    """

    key: Key
    envelope: Envelope
    error: InvalidSpec
    children: Children = field(default_factory=dict)
    reported: Manifest = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRule:
    """How a workload is to prove who it is.

    Shape:
        provider     who vouches for it.
        trust_domain of its SVIDs.
        problem      why it cannot, a sentence that names the policy; "" if it can.

    Units:
        `jwt_seconds`: for how long one of its tokens is good.
    """

    provider: IdentityProvider = IdentityProvider.SERVICE_ACCOUNT
    trust_domain: str = ""
    jwt_seconds: int = 3600
    problem: str = ""

    @property
    def is_spire(self) -> bool:
        """Whether it proves itself by SVIDs."""
        return self.provider is IdentityProvider.SPIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView[R: (Agent, Tool)]:
    """Everything one reconcile of an Agent or a Tool needs.

    Shape:
        stack       the Stack of the spec.
        source      the ConfigMap of modules the spec names, text by key; None if it names none, or
                    if it is not there.
        queue       what was asked of the queue; None without a Stack.
        unfinished  tasks without an end; counted only while the object is deleted.
        tools       as the spec of an Agent names them, in its order; empty for a Tool.
        agents      the same for the Agents that it may call.
        policies    every IdentityPolicy that is not being deleted, of whichever namespace.
        identity    how its workers are to prove who they are.
    """

    key: Key
    owner: R
    stack: Reference[Stack]
    source: Mapping[str, str] | None = None
    children: Children = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    queue: QueueState | None = None
    unfinished: int = 0
    tools: tuple[Reference[Tool], ...] = ()
    agents: tuple[Reference[Agent], ...] = ()
    policies: tuple[IdentityPolicy, ...] = ()
    identity: IdentityRule = IdentityRule()


type AgentView = WorkloadView[Agent]
type ToolView = WorkloadView[Tool]


@dataclass(frozen=True, slots=True)
class Member:
    """An Agent or Tool, and the Stack it names: what tells a live consumer from an orphan.

    Shape:
        stack  None if its spec cannot be read.
    """

    key: Key
    uid: str
    stack: Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A NATS that a Stack takes for its own; of several that claim one, the first in rank has it.

    Shape:
        url         the addresses, separated by commas.
        is_managed  the operator runs it for this Stack.
        users       whose users the Stack lets in; None if everybody is.
    """

    key: Key
    url: str
    created: datetime
    is_managed: bool = False
    is_leaving: bool = False
    users: UserIssuer | None = None

    @property
    def rank(self) -> tuple[bool, bool, datetime, str, str]:
        """Lower is first: who stays, whose it is, the oldest, and then by name."""
        names = (self.key.name, self.key.namespace)
        return (self.is_leaving, not self.is_managed, self.created, *names)


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """One key of a Secret that a spec names.

    Shape:
        field   of the spec. `digest`: of the value; None if nobody has made it.
    """

    field: str
    name: str
    key: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackView:
    """Everything one reconcile of a Stack needs.

    Shape:
        url       the address of its queue.
        secrets   what the spec names, in its order; none where the operator may not look at them.
        server    what the server says of itself, None when it does not answer.
        members   every Agent and Tool there is, read after `queue`: what the queue has of others
                  is of nobody any more.
        claims    of all Stacks, this one's too; read only where its spec names a NATS.
        identity  how its server and its dispatcher are to prove who they are.
    """

    key: Key
    owner: Stack
    url: str
    children: Children = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    queue: QueueState
    secrets: tuple[NamedSecret, ...] = ()
    server: ServerFacts | None = None
    members: tuple[Member, ...] = ()
    claims: tuple[Claim, ...] = ()
    identity: IdentityRule = IdentityRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """Everything one reconcile of an IdentityPolicy needs.

    Shape:
        existing  Stacks, Agents and Tools of its namespace.
        stacks, agents, tools   all that can be read, of whichever namespace.
        policies  every policy that is not being deleted, of whichever namespace; itself, too.
    """

    key: Key
    owner: IdentityPolicy
    existing: frozenset[Key] = frozenset()
    stacks: tuple[Stack, ...] = ()
    agents: tuple[Agent, ...] = ()
    tools: tuple[Tool, ...] = ()
    policies: tuple[IdentityPolicy, ...] = ()
